//! How a limit is told.

use std::time::Duration;

use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

use crate::client::{Client, refused};
use crate::service::{Service, Store};

// SEC-B5
#[test]
fn a_limit_says_when_to_come_again() {
    let service = Service::start_limited(Store::Sqlite, json!({"limits": {"auth": "2/min", "refresh": "1/min"}}));
    let client = Client::of(&service);
    let tried = || client.try_login("alice@example.com", "wrong-hole-7");
    let first = refused(tried(), Code::Unauthenticated, "INVALID_CREDENTIALS");
    let said = |name: &str| first.metadata().get(name).unwrap().to_str().unwrap();
    assert_eq!((said("ratelimit-policy"), said("ratelimit")), ("\"auth\";q=2;w=60", "\"auth\";r=1;t=30"));
    refused(tried(), Code::Unauthenticated, "INVALID_CREDENTIALS");
    let refusal = refused(tried(), Code::ResourceExhausted, "RATE_LIMITED");
    let wait = refusal.get_error_details().retry_info().unwrap().retry_delay.unwrap();
    assert!((20..=30).contains(&wait.as_secs()) && wait == Duration::from_secs(wait.as_secs()), "{wait:?}");
    assert!(!refusal.message().contains("Retry-After"), "that is REST's: {refusal:?}");
}
