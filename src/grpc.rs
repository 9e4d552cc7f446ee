//! The session plane's gRPC face, on the same listener as `web` and at the same desk: `doorward.v1.Auth`, health, reflection.
//! No rule lives here.
//!
//! `app` serves [`beside`]; `every_call` is what holds for each call, `auth` the service, `refusal` the form of each "no".

mod auth;
mod deadline;
mod every_call;
mod incoming;
mod reflection;
mod refusal;
pub mod v1;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use http::{HeaderValue, Method, Version, header};
use tonic::Status;
use tonic::server::NamedService;
use tower::Service;

use crate::grpc::auth::AuthCalls;
use crate::grpc::v1::auth_server::AuthServer;
use crate::health::Health;
use crate::health::calls::Calls;
use crate::web::Desk;

/// The largest message that is read (SEC-D1); metadata is bounded by the listener.
const LARGEST_MESSAGE: usize = 64 << 10;
/// How many may watch our health at once: anyone may ask, and each costs a look now and then.
const WATCHERS: usize = 256;

type Served = AuthServer<AuthCalls>;

/// Both faces: what is gRPC, by its version and content type, goes to this one, all else to `web`.
pub fn beside(web: Router, desk: Arc<Desk>, health: Arc<Health>) -> Router {
    let grpc = router(desk, health);
    Router::new().fallback_service(tower::service_fn(move |request: Request| {
        let mut face = if is_grpc(&request) { grpc.clone() } else { web.clone() };
        face.call(request)
    }))
}

fn router(desk: Arc<Desk>, health: Arc<Health>) -> Router {
    let auth = AuthServer::new(AuthCalls::at(Arc::clone(&desk))).max_decoding_message_size(LARGEST_MESSAGE);
    let health = Calls::new(health, Served::NAME).with_places(WATCHERS).server();
    Router::new()
        .merge(route(auth))
        .merge(route(health))
        .merge(reflection::routes())
        .fallback(async || no_such_service())
        .layer(from_fn_with_state(desk, every_call::every_call))
}

/// All methods of one service; those that it does not have are its own to refuse.
fn route<S>(service: S) -> Router
where
    S: NamedService
        + Service<Request, Response = http::Response<tonic::body::Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    Router::new().route_service(&format!("/{}/{{method}}", S::NAME), service)
}

fn no_such_service() -> Response {
    Status::unimplemented("No such service is served here.").into_http()
}

/// gRPC is HTTP/2 with this content type, and may name its codec (`+proto`); gRPC-Web is another protocol.
fn is_grpc(request: &Request) -> bool {
    let told = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = told.strip_prefix(b"application/grpc");
    // By POST alone, as gRPC has it: a GET changes nothing (SEC-C2).
    let posted = request.version() == Version::HTTP_2 && request.method() == Method::POST;
    posted && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
