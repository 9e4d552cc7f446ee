//! What is told of a token, and to whom (RFC 7662).

use serde_json::json;

use crate::harness::foreign::ForeignIssuer;
use crate::on_every_store;
use crate::server::{CALLER_KEY, GATEWAY, SECRET, Server, basic, claims, post, refused};
use crate::service::Store;

on_every_store!(a_living_token_is_told_with_its_claims_and_a_dead_one_is_not_told_apart);

// SEC-T15, SEC-T24
fn a_living_token_is_told_with_its_claims_and_a_dead_one_is_not_told_apart(store: Store) {
    let foreign = ForeignIssuer::new();
    let server = Server::start_with(store, json!({"issuers": [foreign.settings()]}));
    server.service.register("alice@example.com");
    let pair = server.service.login("alice@example.com");
    let mut wanted = claims(&pair.access);
    for (name, value) in
        [("active", json!(true)), ("token_type", json!("Bearer")), ("token_use", json!("access_token"))]
    {
        wanted[name] = value;
    }
    assert_eq!(server.introspect(&pair.access), wanted);
    let refresh = server.introspect(&pair.refresh);
    assert_eq!((&refresh["sub"], &refresh["token_use"]), (&wanted["sub"], &json!("refresh_token")));
    assert_eq!((refresh.get("token_type"), refresh.get("aud")), (None, None), "nobody takes it for an access token");
    assert_eq!(server.introspect(&server.client_token())["client_id"], "billing");
    assert_eq!(server.introspect(&foreign.token("bob", &[]))["sub"], "bob");
    let spent = pair.refresh.clone();
    let pair = crate::service::Tokens::of(&server.service.refresh(&pair.refresh));
    assert!(server.is_dead(&spent) && !server.is_dead(&pair.refresh));
    assert_eq!(server.service.ask("POST", "/auth/logout", &pair.access).status, 200);
    let other = ForeignIssuer::new().token("bob", &[]);
    let long = "a".repeat(9000);
    for dead in
        [&pair.access, &pair.refresh, "x", "a.b.c", "dwr_x", CALLER_KEY, &other, &long, &server.assertion(json!({}))]
    {
        assert!(server.is_dead(dead), "{dead}");
    }
}

// SEC-T23, SEC-T24
#[test]
fn only_who_has_proved_who_it_is_may_ask() {
    let server = Server::start(Store::Sqlite);
    let token = server.client_token();
    let ask = || post("/oauth2/introspect", &format!("token={token}&token_type_hint=access_token"));
    let send = |request| server.service.send(&request);
    for allowed in [basic(ask(), "billing", SECRET), basic(ask(), "gateway", GATEWAY), ask().bearer(CALLER_KEY)] {
        assert_eq!(send(allowed).json()["active"], true);
    }
    let none = send(ask());
    refused(&none, 401, "invalid_client");
    assert_eq!(none.header("www-authenticate"), Some("Basic realm=\"oauth2\""));
    let wrong_key = send(ask().bearer("a-caller-key-of-32-characters-no"));
    refused(&wrong_key, 401, "invalid_client");
    assert_eq!(wrong_key.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    let process = &server.service.doorward.process;
    process.eventually("it is audited", || process.output().contains("invalid_caller_key"));
    for stranger in [
        // The address that may log anybody in has proved nothing here.
        ask().bearer(&token),
        basic(ask(), "gateway", SECRET),
        basic(ask(), "web", ""),
        post("/oauth2/introspect", &format!("token={token}&client_id=web")),
        post("/oauth2/introspect", &format!("token={token}&client_id=billing")),
    ] {
        refused(&send(stranger), 401, "invalid_client");
    }
    refused(&send(basic(post("/oauth2/introspect", "x=y"), "gateway", GATEWAY)), 400, "invalid_request");
}
