//! What documents may ask for: what there is, not too much, and what only developers may know.

use serde_json::json;

use crate::asking::{LOGIN, ME, ask, document, not_executed, sign_in};
use crate::harness::doorward::Doorward;
use crate::harness::http::Request;
use crate::service::{PASSWORD, Service, Store};

const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";

#[test]
fn documents_that_ask_wrongly_are_refused() {
    let service = Service::start(Store::Sqlite);
    let send = |query: &str| service.send(&document(query, &json!({})));
    for broken in ["", "{", "{ me { id }", "}{", "{ me { id } } { me { email } }", "{ me(x: {} }"] {
        not_executed(&send(broken), 400, "GRAPHQL_PARSE_FAILED");
    }
    for wrong in ["{ me }", "{ me { password } }", "{ users { id } }", "query($x: String!) { me { id } }"] {
        not_executed(&send(wrong), 400, INVALID);
    }
}

// SEC-B6, SEC-D5
#[test]
fn documents_that_ask_for_too_much_are_refused_before_anything_is_done() {
    let service = Service::start_limited(Store::Sqlite, json!({"limits": {"auth": "1/min"}}));
    let login = |at: usize| format!("a{at}: login(email: \"a@b.example\", password: \"rabbit-hole-7\") {{ status }}");
    let logins = |count: usize| format!("mutation {{ {} }}", (0..count).map(login).collect::<String>());
    let unnamed = "login(email: \"a@b.example\", password: \"rabbit-hole-7\") { status }".repeat(5);
    let doubling = |levels: usize| {
        let level = |at: usize| format!("fragment F{at} on User {{ ...F{} ...F{} }} ", at + 1, at + 1);
        let last = format!("fragment F{levels} on User {{ id }}");
        format!("{{ me {{ ...F0 }} }} {}{last}", (0..levels).map(level).collect::<String>())
    };
    let send = |query: &str| service.send(&document(query, &json!({})));
    for (query, code) in [
        (logins(5), INVALID),
        (logins(6), INVALID),
        (format!("mutation {{ {unnamed} }}"), INVALID),
        (doubling(5), INVALID),
        (doubling(200), INVALID),
        (format!("{{me(x:{}{}){{id}}}}", "{x:".repeat(200), "1".to_owned() + &"}".repeat(200)), INVALID),
        (format!("query($x: {}Int{}){{me{{id}}}}", "[".repeat(7000), "]".repeat(7000)), INVALID),
        ("{ me { ...F } } fragment F on User { ...F }".to_owned(), INVALID),
        ("{ me { id } } fragment F on User { ...G } fragment G on User { ...F }".to_owned(), INVALID),
        (format!("{{ me {{ {} }} }}", "id ".repeat(70)), INVALID),
        (format!("{{ me {{ id{} }} }}", " @include(if: true)".repeat(60)), INVALID),
        (format!("{{{}", "me{".repeat(4000)), INVALID),
        (format!("{{me(x:{}", "[".repeat(15000)), INVALID),
        (format!("{{me(x:{}{}){{id}}}}", "[".repeat(700), "]".repeat(700)), INVALID),
    ] {
        not_executed(&send(&query), 400, code);
    }
    let allowed = service.send(&document(LOGIN, &json!({"email": "a@b.example", "password": "rabbit-hole-7"}))).json();
    assert_eq!(allowed["data"]["login"]["status"], 401, "no attempt was counted: {allowed}");
}

// SEC-B6
#[test]
fn what_there_is_to_ask_for_is_told_to_developers_only() {
    let service = Service::start(Store::Sqlite);
    for query in ["{ __schema { types { name } } }", "{ __type(name: \"User\") { name } }"] {
        let reply = service.send(&document(query, &json!({})));
        not_executed(&reply, 400, INVALID);
        assert!(!reply.body.contains("MutationResponse"), "{reply:?}");
    }
    assert!(!service.send(&document("{ mee { id } }", &json!({}))).body.contains("Did you mean"));
    for path in ["/graphql", "/graphql/playground.js"] {
        assert_ne!(service.send(&Request::get(path).header("Accept", "text/html")).status, 200, "{path}");
    }
    service.register("alice@example.com");
    let alice = sign_in(&service, "alice@example.com");
    let named = ask(&service, "{ __typename me { __typename ...Parts } } fragment Parts on User { id }", &alice.access);
    assert_eq!(named.json()["data"]["me"]["__typename"], "User", "{named:?}");
}

#[test]
fn developers_get_introspection_and_a_page_that_asks_nobody_else() {
    let with_dev = ["sh", "-c", "exec \"$@\" --dev", "sh"].map(str::to_owned);
    let mut dev = Doorward::spawn_under(&with_dev, "all", json!({}));
    dev.wait_ready();
    let page = Request::get("/graphql").header("Accept", "text/html").send(dev.public);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{page:?}");
    assert!(page.body.contains("/graphql/playground.js") && !page.body.contains("//cdn"), "{page:?}");
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'self'"));
    assert_eq!(Request::get("/graphql/playground.js").send(dev.public).status, 200);
    let schema = document(
        "{ __schema { types { name fields { name type { name ofType { name ofType { name } } } } } } }",
        &json!({}),
    );
    let told = schema.send(dev.public);
    assert!(told.status == 200 && told.body.contains("MutationResponse"), "{told:?}");
    let me = document(ME, &json!({})).bearer(PASSWORD).send(dev.public);
    assert_eq!(me.json()["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
}
