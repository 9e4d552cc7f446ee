//! The check listener's own health: `/livez`, `/readyz` and `grpc.health.v1.Health` (as Envoy's health checker calls it).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Interval;
use tonic::codegen::tokio_stream::Stream;
use tonic::{Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as Calls, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::gate::body::Body;
use crate::gate::text;
use crate::health::Health;

pub(super) const GRPC_PREFIX: &str = "/grpc.health.v1.Health/";

/// The whole server, and the service Envoy asks for.
const SERVICES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

/// How soon a watcher hears of a change.
const WATCH_EVERY: Duration = Duration::from_millis(500);

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
    let mut server = HealthServer::new(Service(Arc::clone(health))).max_decoding_message_size(4096);
    let Ok(response) = tower::Service::call(&mut server, request).await;
    response.map(Body::stream)
}

#[derive(Debug)]
struct Service(Arc<Health>);

#[async_trait]
impl Calls for Service {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        known(&request)?;
        Ok(tonic::Response::new(status_of(&self.0)))
    }

    type WatchStream = Watching;

    async fn watch(&self, request: tonic::Request<HealthCheckRequest>) -> Result<tonic::Response<Watching>, Status> {
        known(&request)?;
        let every = tokio::time::interval(WATCH_EVERY);
        Ok(tonic::Response::new(Watching { health: Arc::clone(&self.0), every, told: None, last: false }))
    }
}

fn known(request: &tonic::Request<HealthCheckRequest>) -> Result<(), Status> {
    let asked = request.get_ref().service.as_str();
    if SERVICES.contains(&asked) { Ok(()) } else { Err(Status::not_found("no such service here")) }
}

fn status_of(health: &Health) -> HealthCheckResponse {
    let status = if health.ready().ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

/// Tells the status now and after each change. Ends with the drain, so that a watcher does not hold it up.
#[derive(Debug)]
struct Watching {
    health: Arc<Health>,
    every: Interval,
    told: Option<HealthCheckResponse>,
    last: bool,
}

impl Stream for Watching {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.last {
                return Poll::Ready(None);
            }
            ready!(self.every.poll_tick(cx));
            self.last = self.health.draining();
            let status = status_of(&self.health);
            if self.told.as_ref() != Some(&status) {
                self.told = Some(status);
                return Poll::Ready(Some(Ok(status)));
            }
        }
    }
}
