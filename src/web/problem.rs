//! Problems: every refusal of the session plane as `application/problem+json` (RFC 9457). Handlers return a [`Problem`];
//! the router's outermost layer words it, since only there the request id is at hand. `grpc` words the same in its own way.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::AccountError;
use crate::fault::{Fault, Kind};
use crate::limit::Limited;

/// What the body of a refusal looks like.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used; `answer` writes it")]
pub(super) struct ProblemBody {
    #[schema(examples("about:blank"))]
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Stable, for programs.
    code: String,
    /// What joins this answer with the service's log.
    request_id: String,
}

/// `Retry-After` of what can't be answered now, in seconds.
pub(super) const SOON: &str = "1";

/// What goes wrong, in words a client may see.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(crate) kind: Kind,
    pub(crate) code: &'static str,
    pub(crate) detail: Cow<'static, str>,
}

impl Problem {
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, detail: detail.into() }
    }

    /// The request cannot be understood as it is.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Malformed, "malformed_request", detail)
    }

    /// Logs what happened, once, and keeps for the client the error's code and `detail`.
    pub fn of(fault: &(impl Fault + ?Sized), detail: &'static str) -> Self {
        if fault.kind() == Kind::Unavailable {
            tracing::warn!(error = %Chain(fault), "a request could not be answered");
        } else {
            tracing::debug!(error = %Chain(fault), "a request was refused");
        }
        Self::new(fault.kind(), fault.code(), detail)
    }

    /// An account's refusal, in its own words.
    pub fn account(error: &AccountError) -> Self {
        Self { detail: error.detail().into(), ..Self::of(error, "") }
    }

    /// The kind, and what the client is told in a sentence: for faces that word it their own way.
    pub fn into_parts(self) -> (Kind, Cow<'static, str>) {
        (self.kind, self.detail)
    }

    /// A limit's refusal; an account's has the same words.
    pub fn limited(limited: &Limited) -> Self {
        Self { detail: limited.detail().into(), ..Self::of(limited, "") }
    }

    pub fn unavailable() -> Self {
        Self::new(Kind::Unavailable, "unavailable", "This can't be answered now. Try again.")
    }

    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "not_found", "Nothing is served at this path.")
    }

    pub fn method_not_allowed() -> Self {
        Self::new(Kind::MethodNotAllowed, "method_not_allowed", "The Allow header names the methods of this path.")
    }

    /// The whole answer. A 401 says how to do better (RFC 6750 section 3): without `error` when no credential came.
    pub fn answer(&self, request_id: &str) -> Response {
        let status = self.kind.http();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            let nothing_came = matches!(self.code, "no_token" | "caller_key_required" | "invalid_credentials");
            let challenge = if nothing_came { "Bearer" } else { "Bearer error=\"invalid_token\"" };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(SOON));
        }
        response
    }
}

/// Carries the problem out to the layer that words it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.http().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// An error with all its sources, for the log.
struct Chain<'a, E: ?Sized>(&'a E);

impl<E: std::error::Error + ?Sized> std::fmt::Display for Chain<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
