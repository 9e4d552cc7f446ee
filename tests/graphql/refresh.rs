//! `refresh` gives a new access token for a refresh token that stays. What keeps its family safe is in `faces`, but for what only this
//! kind has.

use serde_json::json;

use crate::asking::{REFRESH, ask, refreshed, refused, sign_in};
use crate::on_every_store;
use crate::service::{Service, Store, Tokens, at_once};

on_every_store!(a_refresh_token_is_never_spent_here);

fn a_refresh_token_is_never_spent_here(store: Store) {
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
