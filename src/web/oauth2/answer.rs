//! How `/oauth2` refuses: the JSON of RFC 6749 section 5.2, which no cache may keep.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::fault::{Fault, Kind};
use crate::oauth::OAuthError;
use crate::web::problem::{Problem, SOON};
use crate::web::session::unstored;

/// What a client is told.
#[derive(Debug)]
pub(super) struct Refusal {
    kind: Kind,
    error: &'static str,
    description: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn request(description: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::Malformed, error: "invalid_request", description: description.into() }
    }

    pub(super) fn grant_type() -> Self {
        let description = "The grant_type must be client_credentials or refresh_token.";
        Self { kind: Kind::Malformed, error: "unsupported_grant_type", description: description.into() }
    }

    /// Nobody, or nobody known, is asking.
    pub(super) fn client() -> Self {
        OAuthError::Client("none came, or an unknown key").into()
    }

    pub(super) fn unavailable() -> Self {
        let description = "This can't be answered now. Try again.";
        Self { kind: Kind::Unavailable, error: "temporarily_unavailable", description: description.into() }
    }

    /// A 401 names the way that was tried, or else the usual one (RFC 6749 section 5.2).
    pub(super) fn answer(self, asked: &HeaderMap) -> Response {
        let status = self.kind.http();
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = unkept((status, unstored(&body)).into_response());
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            let bearer = asked.get(header::AUTHORIZATION).is_some_and(|value| {
                value.as_bytes().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Bearer "))
            });
            let challenge = if bearer { "Bearer error=\"invalid_token\"" } else { "Basic realm=\"oauth2\"" };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(SOON));
        }
        response
    }
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        // Logs what happened, once.
        let _ = Problem::of(&error, "");
        Self { kind: error.kind(), error: error.code(), description: error.detail().into() }
    }
}

/// A body that could not be read.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (kind, detail) = problem.into_parts();
        Self { kind, error: "invalid_request", description: detail }
    }
}

/// For a face that has a form of its own.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind, refusal.error, refusal.description)
    }
}

/// `Cache-Control: no-store` stands there already; caches of HTTP/1.0 know the other word (RFC 6749 section 5.1).
pub(super) fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
