//! How often one may try: each call is one attempt, however many run over one connection.

use std::time::Duration;

use doorward::grpc::v1;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

use crate::client::{Client, With, ask, login, refused};
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, at_once};

on_every_store!(of_many_guesses_over_one_connection_no_more_than_the_limit_are_looked_at);

// SEC-B1, SEC-B5, SEC-B6
fn of_many_guesses_over_one_connection_no_more_than_the_limit_are_looked_at(store: Store) {
    let service = Service::start_limited(store, json!({}));
    let client = Client::of(&service);
    let register = v1::RegisterRequest { email: "alice@example.com".into(), password: PASSWORD.into() };
    client.register(ask(register).with("x-forwarded-for", "203.0.113.1")).unwrap();
    let codes = at_once(60, |at| {
        let guess = ask(login("alice@example.com", &format!("wrong-hole-{at}")));
        // From addresses of their own, so that it is the account's limit that holds.
        client.login(guess.with("x-forwarded-for", &format!("198.51.100.{at}"))).unwrap_err().code()
    });
    // What an overloaded database had no answer for was not looked at.
    let looked_at = codes.iter().filter(|code| **code == Code::Unauthenticated).count();
    assert!((1..=5).contains(&looked_at), "{looked_at} were looked at");
    let expected = [Code::Unauthenticated, Code::ResourceExhausted, Code::Unavailable];
    assert!(codes.iter().all(|code| expected.contains(code)), "{codes:?}");
}

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
