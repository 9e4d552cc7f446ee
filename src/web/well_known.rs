//! `GET /.well-known/jwks.json`: our public keys as a JWK Set (RFC 7517), cacheable as long as a new key is published
//! before it signs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::secret::{Digest, base64url};
use crate::web::Desk;

pub async fn jwks(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let body = (desk.keys)().to_string();
    let etag = format!("\"{}\"", base64url(&Digest::of(body.as_bytes()).as_bytes()[..16]));
    let mut response = if asks_for_other_than(&headers, &etag) {
        ([(header::CONTENT_TYPE, "application/jwk-set+json")], body).into_response()
    } else {
        StatusCode::NOT_MODIFIED.into_response()
    };
    let kept = response.headers_mut();
    kept.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        kept.insert(header::ETAG, etag);
    }
    response
}

/// `If-None-Match` by weak comparison (RFC 9110 section 13.1.2).
fn asks_for_other_than(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    !given.flat_map(|list| list.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
