//! What the service says of itself and of what it depends on.

use serde_json::json;

use crate::harness::http::Request;
use crate::harness::wait::answered;
use crate::service::{Service, Store};

#[test]
fn the_service_says_what_it_is_and_how_it_is_doing() {
    let service = Service::start(Store::Sqlite);
    let welcome = service.send(&Request::get("/"));
    assert_eq!((welcome.status, welcome.json()["service"].as_str()), (200, Some("doorward")));
    let health = answered(|| service.send(&Request::get("/health")));
    let well = json!({"status": "ok", "dependencies": {"database": "ok", "token_store": "ok"}});
    assert_eq!((health.status, health.json()), (200, well));
}

// SEC-F1
#[test]
fn without_redis_health_says_which_dependency_is_down() {
    let mut service = Service::start(Store::SqliteAndRedis);
    service.redis.take();
    let health = service.send(&Request::get("/health"));
    let told = json!({"status": "unavailable", "dependencies": {"database": "ok", "token_store": "unreachable"}});
    assert_eq!((health.status, health.json()), (503, told));
}
