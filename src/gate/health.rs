//! The check listener's own health: `/livez`, `/readyz` and `grpc.health.v1.Health` (as Envoy's health checker calls it).

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::gate::body::Body;
use crate::gate::text;
use crate::health::Health;
use crate::health::calls::Calls;

pub(super) const GRPC_PREFIX: &str = "/grpc.health.v1.Health/";

/// What Envoy asks for.
const SERVICE: &str = "envoy.service.auth.v3.Authorization";

/// Alive is who answers.
pub(super) fn live(method: &Method) -> Response<Body> {
    text(StatusCode::OK, "ok\n".into(), method)
}

pub(super) fn ready(health: &Health, method: &Method) -> Response<Body> {
    let report = health.ready();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let words = if report.ready { "ok\n" } else { "not ready\n" };
    text(status, format!("{words}{report}"), method)
}

pub(super) async fn answer_grpc(health: &Arc<Health>, request: Request<Incoming>) -> Response<Body> {
    let mut server = Calls::new(Arc::clone(health), SERVICE).server();
    let Ok(response) = tower::Service::call(&mut server, request).await;
    response.map(Body::stream)
}
