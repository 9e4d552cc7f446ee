//! The ops plane: `/livez`, `/readyz` and `/metrics`, for orchestrators and Prometheus, on a listener of its own (SEC-P13).

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde_json::json;

use crate::health::Health;
use crate::metrics::Metrics;

#[derive(Clone)]
struct Ops {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

pub fn router(metrics: Arc<Metrics>, health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(Ops { metrics, health })
}

/// Says only that the process runs: an outage of a store must not restart it (SEC-N1).
async fn livez() -> &'static str {
    "ok"
}

/// One line a dependency, and 503 unless all are well.
async fn readyz(State(ops): State<Ops>) -> Response {
    let report = ops.health.ready();
    let line = |(name, state): &(String, Result<(), String>)| json!({ "name": name, "ok": state.is_ok(), "detail": state.as_ref().err().map_or("ok", String::as_str) });
    let checks: Vec<_> = report.lines.iter().map(line).collect();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = axum::Json(json!({ "ready": report.ready, "checks": checks, "remarks": ops.health.remarks() }));
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

async fn exposition(State(ops): State<Ops>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], ops.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::body::Body;
    use http::{HeaderMap, Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(router: &Router, path: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let (head, body) = router.clone().oneshot(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status, head.headers, String::from_utf8(body.into()).expect("UTF-8"))
    }

    // SEC-N1
    #[tokio::test]
    async fn readiness_names_each_dependency_and_liveness_none() {
        let (health, up) = (Arc::new(Health::new()), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&up);
        let probe = move || if seen.load(Ordering::Relaxed) { Ok(()) } else { Err("no answer for 31 s".into()) };
        health.add("keys", Arc::new(|| Ok(())));
        health.add("state", Arc::new(probe));
        let router = router(Arc::new(Metrics::new()), Arc::clone(&health));

        let (status, _, body) = get(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let told: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(told["ready"], false);
        assert_eq!(told["checks"][0], json!({"name": "keys", "ok": true, "detail": "ok"}));
        assert_eq!(told["checks"][1], json!({"name": "state", "ok": false, "detail": "no answer for 31 s"}));
        assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);

        up.store(true, Ordering::Relaxed);
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::OK);
        health.set_draining();
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_in_the_text_exposition_format() {
        let metrics = Arc::new(Metrics::new());
        metrics.refresh.with_label_values(&["rotated"]).inc();
        let (status, headers, body) = get(&router(metrics, Arc::new(Health::new())), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CONTENT_TYPE], "text/plain; version=0.0.4");
        assert!(body.contains("doorward_refresh_total{result=\"rotated\"} 1\n"), "{body}");
    }
}
