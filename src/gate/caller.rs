//! One connection's way to the gate, as hyper calls it. An answer from memory is there at once; only what has to wait for the
//! store or for a body is a future on the heap.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::Service;

use crate::gate::body::Body;
use crate::gate::{Inner, Link};

/// The service of one connection. What it shares is counted for this connection alone: a count for all of them would be
/// one cache line that every core writes at each check.
#[derive(Clone)]
pub struct Caller(Arc<Desk>);

struct Desk {
    gate: Arc<Inner>,
    link: Link,
}

impl Caller {
    pub(super) fn new(gate: Arc<Inner>, link: Link) -> Self {
        Self(Arc::new(Desk { gate, link }))
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("link", &self.0.link).finish_non_exhaustive()
    }
}

impl Service<Request<Incoming>> for Caller {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        // A body nobody reads would be taken for the next request (contract rule 3).
        let close = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
        let Desk { gate, link } = &*self.0;
        let arrival = gate.receive(*link, &request);
        match gate.answer_now(&arrival, &request) {
            Some(response) => Answer::Now(Some(closing(response, close))),
            None => {
                let desk = Arc::clone(&self.0);
                Answer::Later(Box::pin(async move { closing(desk.gate.answer(arrival, request).await, close) }))
            }
        }
    }
}

fn closing(mut response: Response<Body>, close: bool) -> Response<Body> {
    if close {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// An answer, there already or under way.
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and is to cost no allocation")]
pub enum Answer {
    /// Until it is taken.
    Now(Option<Response<Body>>),
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Now(_)) { "Now(…)" } else { "Later(…)" })
    }
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            Self::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}
