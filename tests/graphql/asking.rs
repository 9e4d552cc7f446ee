//! A client of `/graphql`.

#![allow(dead_code, reason = "shared by test binaries, each of which uses its part")]

use serde_json::{Value, json};

use crate::harness::http::{Reply, Request};
use crate::service::{PASSWORD, Service, Tokens};

pub(crate) const REGISTER: &str = "mutation($email: String!, $password: String!) \
    { register(email: $email, password: $password) { status errors { path message } payload } }";
pub(crate) const LOGIN: &str = "mutation($email: String!, $password: String!) \
    { login(email: $email, password: $password) { status errors { path message } payload } }";
pub(crate) const ME: &str = "{ me { id email confirmed createdAt updatedAt } }";
pub(crate) const REFRESH: &str = "mutation { refresh }";
pub(crate) const LOGOUT: &str = "mutation { logout }";

pub(crate) fn document(query: &str, variables: &Value) -> Request {
    Request::post("/graphql", &json!({"query": query, "variables": variables}))
}

pub(crate) fn ask(service: &Service, query: &str, bearer: &str) -> Reply {
    service.send(&document(query, &json!({})).bearer(bearer))
}

/// What a mutation with credentials answers.
pub(crate) fn with_credentials(service: &Service, mutation: &str, email: &str, password: &str) -> Value {
    let reply = service.send(&document(mutation, &json!({"email": email, "password": password})));
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    let body = reply.json();
    assert_eq!(body.get("errors"), None, "{body}");
    let (_, response) = body["data"].as_object().unwrap().iter().next().unwrap();
    response.clone()
}

pub(crate) fn sign_in(service: &Service, email: &str) -> Tokens {
    signed_in(&with_credentials(service, LOGIN, email, PASSWORD), 200)
}

/// The tokens of a response that has them.
#[track_caller]
pub(crate) fn signed_in(response: &Value, status: u16) -> Tokens {
    assert_eq!((&response["status"], &response["errors"]), (&json!(status), &Value::Null), "{response}");
    let payload: Value = serde_json::from_str(response["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload.as_object().unwrap().len(), 2, "{payload}");
    let text = |name: &str| payload[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}

/// Asserts a mutation's refusal.
#[track_caller]
pub(crate) fn not_signed_in(response: &Value, status: u16, path: &str) {
    let path_given = &response["errors"][0]["path"];
    assert_eq!((&response["status"], path_given), (&json!(status), &json!(path)), "{response}");
    assert_eq!((&response["payload"], response["errors"].as_array().unwrap().len()), (&Value::Null, 1), "{response}");
}

/// A fresh access token for the refresh token.
#[track_caller]
pub(crate) fn refreshed(service: &Service, refresh: &str) -> Tokens {
    let reply = ask(service, REFRESH, refresh);
    let access = reply.json()["data"]["refresh"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned();
    Tokens { access, refresh: refresh.to_owned() }
}

/// Asserts that a field was refused: null data, and an error as Apollo's clients know it.
#[track_caller]
pub(crate) fn refused(reply: &Reply, code: &str, reason: &str) {
    let body = reply.json();
    assert_eq!((reply.status, &body["data"]), (200, &Value::Null), "{reply:?}");
    let extensions = &body["errors"][0]["extensions"];
    assert_eq!((&extensions["code"], &extensions["reason"]), (&json!(code), &json!(reason)), "{reply:?}");
    assert_eq!(extensions["originalError"]["message"], body["errors"][0]["message"], "{reply:?}");
}

/// Asserts that a document was not executed.
#[track_caller]
pub(crate) fn not_executed(reply: &Reply, status: u16, code: &str) {
    let body = reply.json();
    assert_eq!((reply.status, &body["errors"][0]["extensions"]["code"]), (status, &json!(code)), "{reply:?}");
    assert!(body["data"].is_null() && body["errors"][0]["message"].is_string(), "{reply:?}");
    assert!(!reply.body.contains("rabbit"), "what came is not quoted: {reply:?}");
}
