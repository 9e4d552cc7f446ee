//! One accepted connection: HTTP/1 or HTTP/2, told apart by its first bytes, until it ends or is ended.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;

use crate::listen::drain::Drain;
use crate::listen::limits::{Limits, OverLimits};
use crate::listen::order::{Ear, Order};
use crate::listen::pulse::{Pulse, Tracked};
use crate::listen::socket::{Socket, Watched};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all connections of one listener share.
#[derive(Debug)]
pub(super) struct House {
    pub(super) limits: Limits,
    pub(super) protocols: Builder<TokioExecutor>,
    pub(super) drain: Drain,
}

impl House {
    /// Serves one connection to its end, or until it is ordered to end.
    pub(super) async fn look_after<S, B>(self: Arc<Self>, socket: Socket, pulse: Arc<Pulse>, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body + Unpin + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let io = TokioIo::new(Watched::new(socket, Arc::clone(&pulse), &self.limits));
        let (beats, house) = (Arc::clone(&pulse), Arc::clone(&self));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let in_flight = beats.begin();
            let move_on = house.drain.is_leaving() && request.version() < Version::HTTP_2;
            let fits = house.limits.grant(request.version(), request.headers());
            if !fits {
                request.extensions_mut().insert(OverLimits);
            }
            let answer = (fits || house.limits.denies).then(|| service.call(request));
            async move {
                let Some(answer) = answer else { return Ok(too_large(Tracked::new(None, in_flight))) };
                let mut response = answer.await?;
                if move_on {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, S::Error>(response.map(|body| Tracked::new(Some(body), in_flight)))
            }
        });

        // In a box, since each future on the way here would hold it twice: 1.6 KB that are not in use.
        let mut connection = Box::pin(self.protocols.serve_connection(io, service));
        let mut orders = Ear::to(&pulse.orders);
        let mut finishing = false;
        let ended = poll_fn(|cx| {
            match orders.hear(cx) {
                Order::GoOn => {}
                Order::Finish if finishing => {}
                Order::Finish => {
                    finishing = true;
                    connection.as_mut().graceful_shutdown();
                    pulse.close();
                }
                Order::Cut => return Poll::Ready(Ok(())),
            }
            connection.as_mut().poll(cx)
        });
        if let Err(error) = ended.await {
            tracing::debug!(error = &*error as &dyn std::error::Error, "connection ended early");
        }
    }
}

fn too_large<B>(body: Tracked<B>) -> Response<Tracked<B>> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}
