//! `grpc.health.v1.Health`: readiness over gRPC, for the doors that speak it (`gate`, `grpc`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Interval;
use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::health::Health;

/// How soon a watcher hears of a change.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// Answers for the whole server, whose name is empty, and for one service.
#[derive(Clone, Debug)]
pub struct Calls {
    health: Arc<Health>,
    service: &'static str,
    places: Option<Arc<Semaphore>>,
}

impl Calls {
    pub fn new(health: Arc<Health>, service: &'static str) -> Self {
        Self { health, service, places: None }
    }

    /// Where anyone may ask: so many may watch at once.
    pub fn with_places(self, places: usize) -> Self {
        Self { places: Some(Arc::new(Semaphore::new(places))), ..self }
    }

    pub fn server(self) -> HealthServer<Self> {
        HealthServer::new(self).max_decoding_message_size(4096)
    }

    fn known(&self, request: &Request<HealthCheckRequest>) -> Result<(), Status> {
        let asked = request.get_ref().service.as_str();
        if asked.is_empty() || asked == self.service { Ok(()) } else { Err(Status::not_found("no such service here")) }
    }
}

#[async_trait]
impl health_server::Health for Calls {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.known(&request)?;
        Ok(Response::new(status_of(&self.health)))
    }

    type WatchStream = Watching;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watching>, Status> {
        self.known(&request)?;
        let place = self.places.clone().map(Semaphore::try_acquire_owned).transpose();
        let place = place.map_err(|_| Status::resource_exhausted("there are as many watchers as there may be"))?;
        let every = tokio::time::interval(WATCH_EVERY);
        let health = Arc::clone(&self.health);
        Ok(Response::new(Watching { health, every, told: None, last: false, _place: place }))
    }
}

fn status_of(health: &Health) -> HealthCheckResponse {
    let status = if health.ready().ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

/// Tells the status now and after each change. Ends with the drain, so that a watcher does not hold it up.
#[derive(Debug)]
pub struct Watching {
    health: Arc<Health>,
    every: Interval,
    told: Option<HealthCheckResponse>,
    last: bool,
    _place: Option<OwnedSemaphorePermit>,
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

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_health::pb::health_server::Health as _;

    use super::*;

    #[tokio::test]
    async fn no_more_watch_than_have_a_place() {
        let calls = Calls::new(Arc::new(Health::new()), "some.Service").with_places(2);
        let watch = async || calls.watch(Request::new(HealthCheckRequest::default())).await;
        let (_first, second) = (watch().await.expect("a place"), watch().await.expect("a place"));
        assert_eq!(watch().await.expect_err("no place").code(), Code::ResourceExhausted);
        assert!(calls.check(Request::new(HealthCheckRequest::default())).await.is_ok(), "asking once needs none");
        drop(second);
        assert!(watch().await.is_ok());
    }
}
