//! What a client sends of a call. It has as long for that as for a body over REST (SEC-D2), so that also who asks reflection does
//! not hold a stream for ever; what is too large, tonic refuses by its length.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

const PATIENCE: Duration = Duration::from_secs(10);

/// A body that breaks off when its time is over.
struct Timed {
    body: Body,
    late: Pin<Box<Sleep>>,
}

pub(super) fn timed(body: Body) -> Body {
    within(body, PATIENCE)
}

fn within(body: Body, patience: Duration) -> Body {
    Body::new(Timed { body, late: Box::pin(tokio::time::sleep(patience)) })
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.late.as_mut().poll(cx));
        Poll::Ready(Some(Err("the message did not come in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt;

    use super::*;

    /// The client sends the head of its message and then nothing.
    struct Stalled(Option<Bytes>);

    impl http_body::Body for Stalled {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
        }
    }

    // SEC-D2
    #[tokio::test]
    async fn a_message_that_does_not_come_is_given_up() {
        let mut body = within(Body::new(Stalled(Some(Bytes::from_static(b"\0\0\0\0\x09")))), Duration::from_millis(1));
        assert!(body.frame().await.expect("what was sent").is_ok());
        assert!(body.frame().await.expect("an end").is_err());
        let whole = within(Body::from("whole"), Duration::ZERO).collect().await.expect("what is there is taken");
        assert_eq!(whole.to_bytes(), "whole");
    }
}
