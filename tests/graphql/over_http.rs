//! Which HTTP requests are taken for operations, and what their answers look like.

use serde_json::{Value, json};

use crate::asking::{LOGIN, ME, ask, not_executed, sign_in};
use crate::harness::http::Request;
use crate::service::{PASSWORD, Service, Store};

fn raw(kind: Option<&str>, body: impl Into<Vec<u8>>) -> Request {
    let request = Request::new("POST", "/graphql").body(body);
    match kind {
        Some(kind) => request.header("Content-Type", kind),
        None => request,
    }
}

// SEC-C2
#[test]
fn only_one_operation_as_json_is_taken() {
    let service = Service::start(Store::Sqlite);
    let me = json!({"query": ME}).to_string();
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
    ] {
        not_executed(&service.send(&raw(kind, me.as_str())), 400, "BAD_USER_INPUT");
    }
    for body in [
        "",
        "{}x",
        "\"rabbit\"",
        &format!("[{me}]"),
        &format!("[{me},{me}]"),
        r#"{"query": 1}"#,
        r#"{"query": "{me{id}}", "query": "{me{email}}"}"#,
        r#"{"query": "{me{id}}", "variables": ["rabbit"]}"#,
        r#"{"query": "{me{id}}", "operationName": {}}"#,
    ] {
        not_executed(&service.send(&raw(Some("application/json"), body)), 400, "BAD_USER_INPUT");
    }
    let charset = service.send(&raw(Some("application/json; charset=utf-8"), me));
    assert_eq!((charset.status, charset.header("content-type")), (200, Some("application/json")), "{charset:?}");
}

// SEC-D1
#[test]
fn a_large_body_is_refused_unread() {
    let service = Service::start(Store::Sqlite);
    let many =
        |count: usize| service.send(&raw(Some("application/json"), format!("{{\"query\":\"{}", "[".repeat(count))));
    assert_eq!((many(1).status, many(100_000).status), (400, 413));
}

#[test]
fn a_get_reads_and_never_changes_anything() {
    let service = Service::start(Store::Sqlite);
    service.register("alice@example.com");
    let alice = sign_in(&service, "alice@example.com");
    let get = |query: &str| service.send(&Request::get(&format!("/graphql?query={query}")).bearer(&alice.access));
    let me = get("query%20A%7Bme%7Bemail%7D%7D&operationName=A");
    assert_eq!((me.status, &me.json()["data"]["me"]["email"]), (200, &json!("alice@example.com")), "{me:?}");
    assert_eq!(me.header("cache-control"), Some("no-store"));
    let both = get("query%20A%7Bme%7Bemail%7D%7D%20mutation%20B%7Blogout%7D&operationName=A");
    not_executed(&both, 405, "METHOD_NOT_ALLOWED");
    let logout = get("mutation%7Blogout%7D");
    not_executed(&logout, 405, "METHOD_NOT_ALLOWED");
    assert_eq!((logout.header("allow"), service.check(&alice.access)), (Some("POST"), 200));
    not_executed(&service.send(&Request::get("/graphql")), 400, "GRAPHQL_PARSE_FAILED");
    assert_eq!(service.send(&Request::new("PUT", "/graphql").header("Content-Length", "0")).status, 405);
}

#[test]
fn of_several_operations_the_named_one_is_done() {
    let service = Service::start(Store::Sqlite);
    service.register("bob@example.com");
    let bob = sign_in(&service, "bob@example.com");
    let both = "query A { me { email } } mutation B { logout }";
    let named = |name: Value| {
        let body = json!({"query": both, "operationName": name}).to_string();
        service.send(&raw(Some("application/json"), body).bearer(&bob.access))
    };
    assert_eq!(named(json!("A")).json()["data"]["me"]["email"], "bob@example.com");
    for name in [Value::Null, json!("C")] {
        not_executed(&named(name), 400, "GRAPHQL_VALIDATION_FAILED");
    }
    assert_eq!(named(json!("B")).json()["data"]["logout"], true);
}

#[test]
fn it_can_be_switched_off() {
    let service = Service::start_with(Store::Sqlite, json!({"graphql": {"enabled": false}}));
    assert_eq!(ask(&service, ME, "x").status, 404);
}

// SEC-G1
#[test]
fn nothing_secret_that_comes_or_goes_is_logged() {
    let service = Service::start(Store::Sqlite);
    service.register("carol@example.com");
    let carol = sign_in(&service, "carol@example.com");
    let inline = format!("mutation {{ login(email: \"carol@example.com\", password: \"{PASSWORD}\") {{ status");
    for query in [inline.clone(), format!("{inline} }} }}"), LOGIN.to_owned(), "mutation { refresh logout }".to_owned()]
    {
        ask(&service, &query, &carol.refresh);
    }
    let log = service.doorward.process.output();
    for secret in [PASSWORD, &carol.access, &carol.refresh] {
        assert!(!log.contains(secret));
    }
}
