//! `GET /` and `GET /health`: that someone is at home, and how what accounts rest on is doing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::Desk;
use crate::web::problem::Problem;
use crate::web::session::unstored;

#[derive(Serialize, ToSchema)]
pub(super) struct Welcome {
    #[schema(examples("doorward"))]
    service: &'static str,
    /// Where this API is described.
    #[schema(examples("/openapi.json"))]
    openapi: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(examples("ok"))]
    status: &'static str,
    /// `database` and `token_store`: `ok` or what is wrong.
    dependencies: BTreeMap<&'static str, String>,
}

/// Says what this is.
#[utoipa::path(get, path = "/", tag = "service", responses((status = 200, body = Welcome)))]
pub async fn welcome() -> Response {
    unstored(&Welcome { service: "doorward", openapi: "/openapi.json" })
}

/// Whether the users' database and the token store answer. Probes of orchestrators ask `/livez` and `/readyz` of the ops plane.
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, body = Health),
    (status = 503, body = Health, description = "One of them does not answer."),
))]
pub async fn health(State(desk): State<Arc<Desk>>) -> Result<Response, Problem> {
    let found = desk.accounts()?.health().await;
    let well = found.iter().all(|(_, state)| state.is_ok());
    let told = |(name, state): (&'static str, Result<(), String>)| (name, state.err().unwrap_or_else(|| "ok".into()));
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body =
        Health { status: if well { "ok" } else { "unavailable" }, dependencies: found.into_iter().map(told).collect() };
    Ok((status, unstored(&body)).into_response())
}
