//! How signing in and its refusals are told, and what its limits count.

use serde_json::json;

use crate::asking::{
    LOGIN, REFRESH, REGISTER, ask, document, not_signed_in, refreshed, refused, sign_in, signed_in, with_credentials,
};
use crate::service::{PASSWORD, Service, Store};

#[test]
fn a_new_account_is_signed_in_at_once() {
    let service = Service::start(Store::Sqlite);
    let first = signed_in(&with_credentials(&service, REGISTER, "Alice@Example.com", PASSWORD), 201);
    assert_eq!(service.check(&first.access), 200);
    assert_eq!(refreshed(&service, &first.refresh).sid(), first.sid());
}

#[test]
fn a_refusal_names_the_argument_that_is_wrong() {
    let service = Service::start(Store::Sqlite);
    let tried = |mutation: &str, email: &str, password: &str| with_credentials(&service, mutation, email, password);
    for mutation in [REGISTER, LOGIN] {
        not_signed_in(&tried(mutation, "erin", PASSWORD), 400, "email");
        not_signed_in(&tried(mutation, "erin@example.com", &"x".repeat(1025)), 400, "password");
    }
    not_signed_in(&tried(REGISTER, "erin@example.com", "password1"), 400, "password");
    signed_in(&tried(REGISTER, "erin@example.com", PASSWORD), 201);
    not_signed_in(&tried(REGISTER, "ERIN@example.com", PASSWORD), 409, "email");
}

#[test]
fn what_is_no_arguments_fault_names_the_mutation() {
    let over = json!({"auth": {"registration": false, "max_sessions_per_user": 1, "at_session_limit": "refuse"}});
    let service = Service::start_with(Store::Sqlite, over);
    service.administrator();
    not_signed_in(&with_credentials(&service, REGISTER, "frank@example.com", PASSWORD), 403, "register");
    not_signed_in(&with_credentials(&service, LOGIN, "root@example.com", PASSWORD), 409, "login");
}

// SEC-B5, SEC-B6
#[test]
fn each_login_of_a_document_is_one_attempt() {
    let service = Service::start_limited(Store::Sqlite, json!({"limits": {"auth": "3/min"}}));
    let login =
        |name: &str| format!("{name}: login(email: \"gina@example.com\", password: \"wrong-hole-7\") {{ status }}");
    let document = document(&format!("mutation {{ {} {} }}", login("a"), login("b")), &json!({}));
    let statuses = |reply: &crate::harness::http::Reply| {
        let data = reply.json()["data"].clone();
        (data["a"]["status"].as_u64().unwrap(), data["b"]["status"].as_u64().unwrap())
    };
    let first = service.send(&document);
    assert_eq!((statuses(&first), first.header("retry-after")), ((401, 401), None));
    let second = service.send(&document);
    assert_eq!(statuses(&second), (401, 429));
    let third = service.send(&document);
    assert_eq!(statuses(&third), (429, 429));
    assert!(third.header("retry-after").unwrap().parse::<u64>().unwrap() > 0, "{third:?}");
    let response = with_credentials(&service, LOGIN, "gina@example.com", PASSWORD);
    not_signed_in(&response, 429, "login");
}

#[test]
fn each_field_has_the_limit_of_its_endpoint() {
    let limits = json!({"refresh": "2/min", "profile": "3/min"});
    let service = Service::start_limited(Store::Sqlite, json!({"limits": limits}));
    service.register("heidi@example.com");
    let heidi = sign_in(&service, "heidi@example.com");
    for _ in 0..2 {
        refreshed(&service, &heidi.refresh);
    }
    let limited = ask(&service, REFRESH, &heidi.refresh);
    refused(&limited, "TOO_MANY_REQUESTS", "rate_limited");
    assert!(limited.header("retry-after").is_some());
    let aliases = ask(&service, "{ a: me { id } b: me { id } c: me { id } d: me { id } }", &heidi.access);
    refused(&aliases, "TOO_MANY_REQUESTS", "rate_limited");
}
