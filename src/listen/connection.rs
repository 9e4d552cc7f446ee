//! One accepted connection, until it ends or is ended.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};

use crate::listen::drain::Drain;
use crate::listen::limits::{Limits, OverLimits};
use crate::listen::order::{Ear, Order};
use crate::listen::protocol::{BoxError, Protocols};
use crate::listen::pulse::{Pulse, Tracked};
use crate::listen::socket::{Socket, Watched};

/// What all connections of one listener share.
#[derive(Debug)]
pub(super) struct House {
    pub(super) limits: Limits,
    pub(super) protocols: Protocols,
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
        let mut socket = Watched::new(socket, Arc::clone(&pulse), &self.limits);
        let mut orders = Ear::to(&pulse.orders);
        let spoken = poll_fn(|cx| {
            match orders.hear(cx) {
                Order::GoOn => {}
                // We let it in, so its first request may be on its way: it has as long for that as to close (SEC-N2).
                Order::Finish => pulse.close(),
                Order::Cut => return Poll::Ready(None),
            }
            socket.poll_protocol(cx).map(Some)
        });
        let protocol = match spoken.await {
            Some(Ok(protocol)) => protocol,
            Some(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "connection ended early");
                return;
            }
            None => return,
        };
        let (beats, house) = (Arc::clone(&pulse), Arc::clone(&self));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let in_flight = beats.begin();
            let move_on = house.drain.is_leaving() && request.version() < Version::HTTP_2;
            let fits = house.limits.grant(request.uri(), request.headers());
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

        let mut talk = self.protocols.talk(protocol, socket, service);
        let mut finishing = false;
        let ended = poll_fn(|cx| {
            match orders.hear(cx) {
                Order::GoOn => {}
                Order::Finish if finishing => {}
                Order::Finish => {
                    finishing = true;
                    // What has come already is a request in flight; hyper would close over it unread.
                    if let Poll::Ready(ended) = talk.poll(cx) {
                        return Poll::Ready(ended);
                    }
                    talk.finish();
                    pulse.close();
                }
                Order::Cut => return Poll::Ready(Ok(())),
            }
            talk.poll(cx)
        });
        if let Err(error) = ended.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "connection ended early");
        }
    }
}

fn too_large<B>(body: Tracked<B>) -> Response<Tracked<B>> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}
