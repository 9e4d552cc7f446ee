//! `/.well-known/oauth-authorization-server`: where everything is and what is spoken there (RFC 8414). Made of the configuration,
//! never of the request.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Value, json};

use crate::oauth::Names;
use crate::web::Desk;
use crate::web::problem::Problem;

pub(in crate::web) async fn root(State(desk): State<Arc<Desk>>) -> Response {
    desk.oauth.as_ref().map_or_else(|| Problem::not_found().into_response(), |oauth| serve(oauth.names()))
}

/// An issuer with a path has that behind the well-known part (RFC 8414 section 3).
pub(in crate::web) async fn under(State(desk): State<Arc<Desk>>, Path(path): Path<String>) -> Response {
    let ours = desk.oauth.as_ref().map(|oauth| oauth.names()).filter(|names| {
        let after_scheme = names.issuer.split_once("://").map_or("", |(_, rest)| rest);
        after_scheme.split_once('/').is_some_and(|(_, own)| own.trim_end_matches('/') == path)
    });
    ours.map_or_else(|| Problem::not_found().into_response(), serve)
}

fn serve(names: &Names) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, described(names).to_string()).into_response()
}

fn described(names: &Names) -> Value {
    let at = |path: &str| format!("{}{path}", names.base);
    let proofs = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let or_none = [proofs.as_slice(), &["none"]].concat();
    let algorithms = ["EdDSA", "ES256", "RS256", "PS256"];
    json!({
        "issuer": names.issuer,
        "token_endpoint": names.token_endpoint(),
        "jwks_uri": at("/.well-known/jwks.json"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "grant_types_supported": ["client_credentials", "refresh_token"],
        // There is no authorization endpoint.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": or_none,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": proofs,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": or_none,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    })
}
