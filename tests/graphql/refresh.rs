//! `refresh`: a new access token for a refresh token that stays; and what keeps its family safe.

use serde_json::json;

use crate::asking::{REFRESH, ask, document, refreshed, refused, sign_in};
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, at_once, login, refused as refused_over_rest};

on_every_store!(a_refresh_token_stays_what_it_is, a_token_that_was_rotated_elsewhere_ends_the_session,);

fn a_refresh_token_stays_what_it_is(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"refresh_grace": "0s"}}));
    service.register("alice@example.com");
    let alice = sign_in(&service, "alice@example.com");
    let renewed = at_once(12, |_| refreshed(&service, &alice.refresh));
    assert!(renewed.iter().all(|tokens| service.check(&tokens.access) == 200));
    assert_ne!(renewed[0].access, renewed[1].access);
    assert_eq!(service.check(&alice.access), 200, "earlier access tokens live as long as they would");
    let metric = "doorward_refresh_total{result=\"kept\"}";
    assert!((service.doorward.metric(metric) - 12.0).abs() < 0.1);
}

// SEC-R8
fn a_token_that_was_rotated_elsewhere_ends_the_session(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"refresh_grace": "0s"}}));
    service.register("bob@example.com");
    let (bob, other) = (sign_in(&service, "bob@example.com"), sign_in(&service, "bob@example.com"));
    // Whoever rotates it, thief or owner, leaves the other with a spent one.
    let rotated = Tokens::of(&service.refresh(&bob.refresh));
    assert_eq!(refreshed(&service, &rotated.refresh).sid(), bob.sid(), "the family stays of its kind");
    refused(&ask(&service, REFRESH, &bob.refresh), "UNAUTHENTICATED", "refresh_reused");
    refused(&ask(&service, REFRESH, &rotated.refresh), "UNAUTHENTICATED", "invalid_token");
    refused_over_rest(&service.refresh(&rotated.refresh), 401, "invalid_token");
    assert_eq!((service.check(&rotated.access), service.check(&other.access)), (401, 200));
}

// SEC-R8
#[test]
fn a_token_of_a_rotating_session_is_of_no_use_here() {
    let service = Service::start_with(Store::Sqlite, json!({"auth": {"refresh_grace": "0s"}}));
    service.register("carol@example.com");
    let account = service.login("carol@example.com");
    let plain = service.doorward.login(7).refresh;
    for refresh in [&account.refresh, &plain] {
        refused(&ask(&service, REFRESH, refresh), "UNAUTHENTICATED", "must_rotate");
    }
    let next = Tokens::of(&service.refresh(&account.refresh));
    refused(&ask(&service, REFRESH, &next.refresh), "UNAUTHENTICATED", "must_rotate");
    assert_eq!(service.check(&next.access), 200, "nothing came of it");
}

// SEC-R12
#[test]
fn a_refresh_from_another_device_is_refused() {
    let service =
        Service::start_with(Store::Sqlite, json!({"auth": {"device_binding": {"user_agent": "deny", "ip": "off"}}}));
    service.register("dan@example.com");
    let variables = json!({"email": "dan@example.com", "password": PASSWORD});
    let opened = service.send(&document(crate::asking::LOGIN, &variables).header("User-Agent", "Firefox")).json();
    let dan = crate::asking::signed_in(&opened["data"]["login"], 200);
    let refresh =
        |agent: &str| service.send(&document(REFRESH, &json!({})).bearer(&dan.refresh).header("User-Agent", agent));
    refused(&refresh("curl"), "UNAUTHENTICATED", "device_changed");
    assert!(refresh("Firefox").json()["data"]["refresh"].is_string());
    assert_eq!(service.check(&dan.access), 200);
}

// SEC-R2
#[test]
fn a_token_that_was_rotated_a_moment_ago_still_gives_access_but_no_successor() {
    let service = Service::start_with(Store::Sqlite, json!({"auth": {"refresh_grace": "30s"}}));
    service.register("erin@example.com");
    let erin = sign_in(&service, "erin@example.com");
    let next = Tokens::of(&service.refresh(&erin.refresh));
    let reply = ask(&service, REFRESH, &erin.refresh);
    assert!(!reply.body.contains(&next.refresh) && reply.json()["data"]["refresh"].is_string(), "{reply:?}");
    assert_eq!(Tokens::of(&service.refresh(&next.refresh)).sid(), erin.sid());
}

// SEC-R11
#[test]
fn a_session_of_graphql_is_listed_and_ended_over_rest_like_any_other() {
    let service = Service::start(Store::Sqlite);
    service.register("frank@example.com");
    let here = sign_in(&service, "frank@example.com");
    let there = Tokens::of(&service.send(&login("frank@example.com", PASSWORD)));
    assert_eq!(service.sessions(&there.access), [here.sid(), there.sid()]);
    assert_eq!(service.ask("DELETE", &format!("/auth/sessions/{}", here.sid()), &there.access).status, 200);
    refused(&ask(&service, REFRESH, &here.refresh), "UNAUTHENTICATED", "invalid_token");
    assert_eq!(service.ask("POST", "/auth/logout", &here.refresh).status, 200, "REST knows its tokens");
}
