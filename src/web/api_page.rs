//! `/api`, with `--dev` only: a page that shows `/openapi.json` and sends requests by it. Two files of our own; nothing comes from
//! another host.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;

const PAGE: &str = include_str!("api_page.html");
const SCRIPT: &str = include_str!("api_page.js");
const POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'";

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/api", get(async || of("text/html; charset=utf-8", PAGE)))
        .route("/api.js", get(async || of("text/javascript; charset=utf-8", SCRIPT)))
}

pub(super) fn of(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
