//! The bodies of the door's answers: none, a few bytes, one gRPC message with its trailers, or a tonic stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// An answer's body.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Bytes(Bytes),
    Message { message: Bytes, trailers: Option<HeaderMap> },
    Stream(tonic::body::Body),
}

impl Body {
    pub(super) fn empty() -> Self {
        Self(Kind::Bytes(Bytes::new()))
    }

    /// One framed message, then the trailers.
    pub(super) fn message(message: Bytes, trailers: HeaderMap) -> Self {
        Self(Kind::Message { message, trailers: Some(trailers) })
    }

    pub(super) fn stream(body: tonic::body::Body) -> Self {
        Self(Kind::Stream(body))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(Kind::Bytes(text.into()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = match &mut self.0 {
            Kind::Bytes(bytes) | Kind::Message { message: bytes, .. } if !bytes.is_empty() => {
                Some(Frame::data(std::mem::take(bytes)))
            }
            Kind::Bytes(_) => None,
            Kind::Message { trailers, .. } => trailers.take().map(Frame::trailers),
            Kind::Stream(body) => return Pin::new(body).poll_frame(cx),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.is_empty(),
            Kind::Message { message, trailers } => message.is_empty() && trailers.is_none(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // Not exact: a gRPC answer carries no Content-Length.
            Kind::Message { .. } => SizeHint::default(),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}
