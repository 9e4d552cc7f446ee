//! `/graphql`: the GraphQL face of accounts, for clients of services that had one. The schema is `docs/schema.graphql`, what the
//! answers mean is in `docs/graphql.md`. No rule lives here: each field asks `accounts`.
//!
//! `http` reads a request and answers it, `document` refuses documents that ask for too much before anything is validated,
//! `schema` says what there is, `refusal` words refusals. With `--dev` there is a page to try it, and introspection.

mod document;
mod http;
mod playground;
mod refusal;
mod schema;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::web::Desk;

/// The GraphQL face of accounts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether `/graphql` is served.
    pub enabled: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

pub(super) fn routes(dev: bool) -> Router<Arc<Desk>> {
    let face = http::Face::new(dev);
    let page = if dev { playground::routes() } else { Router::new() };
    Router::new().route("/graphql", get(http::asked).post(http::posted)).layer(axum::Extension(face)).merge(page)
}
