//! The page to try the schema, with `--dev` only: two files of our own; nothing comes from another host.

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::get;

use crate::web::Desk;
use crate::web::api_page::of;

pub(super) fn routes() -> Router<Arc<Desk>> {
    let script = async || of("text/javascript; charset=utf-8", include_str!("playground.js"));
    Router::new().route("/graphql/playground.js", get(script))
}

pub(super) fn page() -> Response {
    of("text/html; charset=utf-8", include_str!("playground.html"))
}
