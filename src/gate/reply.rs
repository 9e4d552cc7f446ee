//! How decisions are worded over HTTP: `WWW-Authenticate` (RFC 6750, RFC 9470), the reason, and for proxies that relay
//! it a small problem document (RFC 9457). Coarse on purpose: clients may see all of it (SEC-T16).

use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::check::Denial;
use crate::check::known::Holder;
use crate::fault::Fault;
use crate::gate::body::Body;
use crate::listen::peer::Peer;

pub(super) static X_DOORWARD_REASON: HeaderName = HeaderName::from_static("x-doorward-reason");
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Seconds until an unavailable check may be tried again.
pub(super) const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The one challenge of an answer (SEC-T23). Without a credential it names no error (RFC 6750 section 3.1).
pub(super) fn challenge(denial: Denial) -> Option<HeaderValue> {
    Some(HeaderValue::from_static(match denial {
        Denial::NoToken => "Bearer",
        Denial::InvalidToken => "Bearer error=\"invalid_token\"",
        Denial::InsufficientAuthentication => {
            "Bearer error=\"insufficient_user_authentication\", \
             error_description=\"A fresher or stronger sign-in is required\""
        }
        Denial::Forbidden => "Bearer error=\"insufficient_scope\"",
        Denial::BadPath | Denial::Unavailable => return None,
    }))
}

/// The problem document of a denial.
pub(super) fn problem(denial: Denial) -> String {
    let status = denial.kind().http();
    serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": denial.to_string(),
        "code": denial.code(),
    })
    .to_string()
}

/// Exactly 200 and empty, the one form every proxy takes for a yes (contract rules 1 and 2), with the identity's headers.
pub(super) fn allow(identity: Option<&Holder>) -> Response<Body> {
    let mut response = bare(StatusCode::OK);
    for (name, value) in identity.into_iter().flat_map(Holder::headers) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// A denial without a body.
pub(super) fn bare_denial(denial: Denial) -> Response<Body> {
    let mut response = bare(denial.kind().http());
    let headers = response.headers_mut();
    headers.insert(&X_DOORWARD_REASON, HeaderValue::from_static(denial.code()));
    if let Some(challenge) = challenge(denial) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if denial == Denial::Unavailable {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// A denial for proxies that hand it to the client as it is: a redirect to the sign-in page, or a problem document.
pub(super) fn relayed_denial(denial: Denial, sign_in: Option<HeaderValue>, method: &Method) -> Response<Body> {
    let mut response = bare_denial(denial);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(location) = sign_in {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(LOCATION, location);
    } else if *method != Method::HEAD {
        let problem = problem(denial);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response.headers_mut().insert(CONTENT_LENGTH, problem.len().into());
        *response.body_mut() = problem.into();
    }
    response
}

/// For every path that is no endpoint: 403, since a proxy pointed at it must deny, and NGINX knows no 404 (SEC-P12).
pub(super) fn unknown_endpoint() -> Response<Body> {
    bare_denial(Denial::BadPath)
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// Says once that a proxy is missing from the configuration: every check it sends is denied.
pub(super) fn warn_of_untrusted_peer(peer: &Peer) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(peer = ?peer.ip(), "a check came from a peer outside listen.trusted_proxies: such checks are denied");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-P12
    #[test]
    fn every_denial_is_a_401_403_or_503_and_its_document_is_small() {
        for denial in crate::gate::tally::DENIALS {
            assert!([401, 403, 503].contains(&denial.kind().http().as_u16()), "{denial}");
            assert!(problem(denial).len() <= 1024);
        }
    }

    // SEC-T23
    #[test]
    fn the_challenge_names_an_error_only_where_a_credential_failed() {
        let of = |denial| challenge(denial).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(of(Denial::NoToken).as_deref(), Some("Bearer"));
        assert_eq!(of(Denial::InvalidToken).as_deref(), Some("Bearer error=\"invalid_token\""));
        assert_eq!(of(Denial::Forbidden).as_deref(), Some("Bearer error=\"insufficient_scope\""));
        assert!(of(Denial::InsufficientAuthentication).unwrap().contains("insufficient_user_authentication"));
        assert_eq!(of(Denial::Unavailable), None);
    }
}
