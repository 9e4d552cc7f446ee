//! Lets an axum router stand behind a listener: each request carries its [`Peer`] as an extension.

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;

use crate::listen::peer::Peer;

/// One connection's view of a router.
#[derive(Clone, Debug)]
pub struct Routed {
    router: Router,
    peer: Peer,
}

/// Makes the services of a listener's connections; hand it to [`crate::listen::serve::serve`].
pub fn router(router: Router) -> impl Fn(&Peer) -> Routed {
    move |peer| Routed { router: router.clone(), peer: *peer }
}

impl Service<Request<Incoming>> for Routed {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = RouteFuture<Self::Error>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        // A router is always ready, and its clone is one reference counted.
        tower::Service::call(&mut self.router.clone(), request)
    }
}
