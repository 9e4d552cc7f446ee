//! Envoy `ext_authz` over gRPC: `envoy.service.auth.v3.Authorization/Check`.
//!
//! Envoy lets an empty response pass, and a code 0 with a denial in it too; an RPC error passes where an operator set
//! `failure_mode_allow` (contract rules 4 to 7). So every path here ends in [`allowed`] or [`denied`], as RPC status OK.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue as Pair, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value, value::Kind};
use envoy_types::pb::google::rpc;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use tonic::Code;

use crate::check::identity::Identity;
use crate::check::known::Holder;
use crate::check::{Decision, Denial};
use crate::fault::Fault;
use crate::gate::body::Body;
use crate::gate::check_request::Said;
use crate::gate::credential::other_cookies;
use crate::gate::decide::{Told, Visit};
use crate::gate::reply::{self, X_DOORWARD_REASON};
use crate::gate::tally::DENIALS;
use crate::gate::{Inner, Link, frame, is_over_limits};

pub(super) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The longest `CheckRequest` read (SEC-D1). Envoy's own stay below 64 KiB.
const LONGEST: usize = 256 << 10;
/// How long Envoy may take to send one; it sends it in one go.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);
impl Inner {
    pub(super) async fn answer_grpc(&self, visit: &Visit, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if !frame::is_grpc(&parts.headers) {
            return reply::unknown_endpoint();
        }
        let budget = frame::budget(&parts.headers);
        let message = frame::read(body, LONGEST, budget.unwrap_or(ARRIVES_WITHIN).min(ARRIVES_WITHIN)).await;
        let message = message.unwrap_or_else(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "a CheckRequest was not read");
            Bytes::new()
        });
        let said = Said::by(&message).unwrap_or_default();
        let Link { peer, trusted } = visit.link;
        if !trusted {
            reply::warn_of_untrusted_peer(&peer);
        }
        let counts = trusted && !is_over_limits(&parts.extensions);
        let told = Told {
            asked: said.asked().filter(|_| counts),
            headers: &said.headers,
            // What Envoy saw as its peer stands where our own peer stands on HTTP; Envoy itself must be trusted first.
            source: if trusted { said.source() } else { peer },
            trusted: &self.trusted,
        };
        let decision = match self.decide_now(visit, &told) {
            Some(decision) => decision,
            None => {
                let left = budget.map(|budget| budget.saturating_sub(visit.began.elapsed()));
                self.decide(visit, &told, left).await
            }
        };
        match &decision {
            Decision::Allow(identity) => self.allow_grpc(identity.as_ref(), told.headers),
            Decision::Deny(denial) => frame::answer(match self.sign_in(*denial, &told, false) {
                None => plain_denial(*denial),
                sign_in => frame::message(&denied(*denial, sign_in)),
            }),
        }
    }

    fn allow_grpc(&self, identity: Option<&Holder>, headers: &HeaderMap) -> Response<Body> {
        let cookies = other_cookies(headers, &self.cookie);
        let make = |cookies| {
            let remove = self.removal.names(|| self.checks.header_names(), identity.map(|holder| &**holder));
            frame::message(&allowed(identity, remove, cookies))
        };
        frame::answer(match identity {
            // Made once: to encode it takes longer than all else about a warm check.
            Some(identity) if cookies.is_none() => identity.message(|| make(None)),
            _ => make(cookies),
        })
    }
}

/// A denial's message, made once.
fn plain_denial(denial: Denial) -> Bytes {
    static MADE: [OnceLock<Bytes>; DENIALS.len()] = [const { OnceLock::new() }; DENIALS.len()];
    let make = || frame::message(&denied(denial, None));
    match DENIALS.iter().position(|known| *known == denial) {
        Some(index) => MADE[index].get_or_init(make).clone(),
        None => make(),
    }
}

/// The one way to say yes: code 0, the identity's headers, and what is to be removed (rules 4 and 11).
fn allowed(identity: Option<&Holder>, mut remove: Vec<String>, cookies: Option<HeaderValue>) -> CheckResponse {
    let identified = identity.into_iter().flat_map(Holder::headers);
    let mut headers: Vec<_> = identified.map(|(name, value)| set(name, &value)).collect();
    match cookies {
        Some(none) if none.is_empty() => remove.push(COOKIE.as_str().to_owned()),
        Some(others) => headers.push(set(&COOKIE, &others)),
        None => {}
    }
    let ok = OkHttpResponse { headers, headers_to_remove: remove, ..Default::default() };
    CheckResponse {
        status: Some(rpc::Status { code: Code::Ok as i32, ..Default::default() }),
        dynamic_metadata: identity.map(|identity| metadata(identity)),
        http_response: Some(HttpResponse::OkResponse(ok)),
    }
}

/// The one way to say no: a code other than 0 and the whole HTTP answer for the client (rules 6 and 7).
fn denied(denial: Denial, sign_in: Option<HeaderValue>) -> CheckResponse {
    let mut headers = vec![
        set(&X_DOORWARD_REASON, &HeaderValue::from_static(denial.code())),
        set(&CACHE_CONTROL, &HeaderValue::from_static("no-store")),
    ];
    headers.extend(reply::challenge(denial).map(|challenge| set(&WWW_AUTHENTICATE, &challenge)));
    if denial == Denial::Unavailable {
        headers.push(set(&RETRY_AFTER, &reply::RETRY_SECONDS));
    }
    let (status, body) = match sign_in {
        Some(location) => {
            headers.push(set(&LOCATION, &location));
            (StatusCode::FOUND, String::new())
        }
        None => {
            headers.push(set(&CONTENT_TYPE, &reply::PROBLEM_JSON));
            (denial.kind().http(), reply::problem(denial))
        }
    };
    CheckResponse {
        status: Some(rpc::Status { code: denial.kind().grpc() as i32, ..Default::default() }),
        dynamic_metadata: None,
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: status.as_u16().into() }),
            headers,
            body,
        })),
    }
}

/// By `value`: Envoy sends an empty header for `raw_value`. `append` stays unset: with it, the client's value stays too.
fn set(name: &HeaderName, value: &HeaderValue) -> HeaderValueOption {
    let value = value.to_str().unwrap_or_default().to_owned();
    let pair = Pair { key: name.as_str().to_owned(), value, raw_value: Vec::new() };
    HeaderValueOption { header: Some(pair), ..Default::default() }
}

/// For Envoy's access log and later filters.
fn metadata(identity: &Identity) -> Struct {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let roles = ListValue { values: identity.roles().map(text).collect() };
    let scope: Vec<_> = identity.scope().collect();
    let mut fields = HashMap::from([
        ("sub".to_owned(), text(identity.subject())),
        ("roles".to_owned(), Value { kind: Some(Kind::ListValue(roles)) }),
        ("scope".to_owned(), text(&scope.join(" "))),
    ]);
    if let Some(sid) = identity.sid() {
        fields.insert("sid".to_owned(), text(&sid.to_string()));
    }
    Struct { fields }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    // Contract rule 4: on the wire, not in the types, since a default is not written.
    #[test]
    fn a_denial_is_never_written_as_what_envoy_takes_for_a_yes() {
        for denial in DENIALS {
            let bytes = denied(denial, None).encode_to_vec();
            let read = CheckResponse::decode(bytes.as_slice()).unwrap();
            let code = read.status.expect("a status").code;
            assert!([7, 14, 16].contains(&code), "{denial}: {code}");
            // Field 1, status, and in it field 1, code, with a value: both stand in the bytes.
            assert_eq!(&bytes[..4], &[0x0a, 2, 0x08, code as u8]);
            match read.http_response {
                Some(HttpResponse::DeniedResponse(http)) => {
                    let status = http.status.expect("a status").code;
                    assert!([401, 403, 503].contains(&status), "{denial}: {status}");
                    assert!(http.body.len() <= 1024);
                }
                other => panic!("{denial}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_yes_is_written_with_its_status_and_response() {
        let bytes = allowed(None, vec!["x-auth-subject".into()], None).encode_to_vec();
        assert_eq!(&bytes[..2], &[0x0a, 0], "the status stands there though all of it is default");
        let read = CheckResponse::decode(bytes.as_slice()).unwrap();
        assert_eq!(read.status.unwrap().code, 0);
        assert!(matches!(read.http_response, Some(HttpResponse::OkResponse(ok)) if ok.headers_to_remove.len() == 1));
    }

    #[test]
    fn a_redirect_to_the_sign_in_page_is_still_a_denial() {
        let read = denied(Denial::NoToken, Some(HeaderValue::from_static("https://login.example/")));
        assert_eq!(read.status.unwrap().code, 16);
        let Some(HttpResponse::DeniedResponse(http)) = read.http_response else { panic!("not a denial") };
        assert_eq!(http.status.unwrap().code, 302);
    }
}
