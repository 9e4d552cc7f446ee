//! The grant for a refresh token: what people's sessions go on by.

use serde_json::json;

use crate::on_every_store;
use crate::server::{GATEWAY, SECRET, Server, access, basic, claims, post, refused};
use crate::service::{Store, at_once};

on_every_store!(
    a_refresh_token_is_good_for_its_successor_and_a_replayed_one_ends_the_session,
    parallel_refreshes_give_one_successor,
    a_refresh_carries_todays_roles_and_none_goes_to_a_disabled_account,
);

fn next(reply: &crate::harness::http::Reply) -> (String, String) {
    (access(reply), reply.json()["refresh_token"].as_str().unwrap().to_owned())
}

// SEC-R8
fn a_refresh_token_is_good_for_its_successor_and_a_replayed_one_ends_the_session(store: Store) {
    let server = Server::start_with(store, json!({"auth": {"refresh_grace": "0s"}}));
    server.service.register("alice@example.com");
    let first = server.service.login("alice@example.com");
    let other = server.service.login("alice@example.com");
    let reply = server.refresh(&first.refresh);
    let (token, refresh) = next(&reply);
    assert!(reply.json()["refresh_expires_in"].as_u64() > reply.json()["expires_in"].as_u64());
    assert_eq!((claims(&token)["sid"].as_str(), server.service.check(&token)), (Some(&*first.sid()), 200));
    let replayed = server.refresh(&first.refresh);
    refused(&replayed, 400, "invalid_grant");
    assert!(replayed.body.contains("used before"), "{replayed:?}");
    refused(&server.refresh(&refresh), 400, "invalid_grant");
    assert_eq!((server.service.check(&token), server.service.check(&other.access)), (401, 200));
    let ended = server.service.ask("POST", "/auth/logout-all", &other.access);
    assert_eq!(ended.status, 200);
    refused(&server.refresh(&other.refresh), 400, "invalid_grant");
}

// SEC-R1
fn parallel_refreshes_give_one_successor(store: Store) {
    let server = Server::start_with(store, json!({"auth": {"refresh_grace": "30s"}}));
    server.service.register("bob@example.com");
    let first = server.service.login("bob@example.com");
    let answers = at_once(12, |_| next(&server.refresh(&first.refresh)));
    assert!(answers.iter().all(|(_, refresh)| *refresh == answers[0].1));
    assert!(answers.iter().all(|(token, _)| server.service.check(token) == 200));
}

// SEC-R11, SEC-L8
fn a_refresh_carries_todays_roles_and_none_goes_to_a_disabled_account(store: Store) {
    let server = Server::start(store);
    let admin = server.service.administrator();
    let id = server.service.register("carol@example.com");
    let first = server.service.login("carol@example.com");
    let set = |what: &str, body| server.service.put(&format!("/admin/users/{id}/{what}"), &body, &admin.access).status;
    assert_eq!(set("roles", json!({"roles": ["editor"]})), 200);
    assert!(server.is_dead(&first.access));
    let (token, refresh) = next(&server.refresh(&first.refresh));
    assert_eq!(
        (&claims(&token)["roles"], &server.introspect(&token)["roles"]),
        (&json!(["editor"]), &json!(["editor"]))
    );
    assert_eq!(set("disabled", json!({"disabled": true})), 200);
    refused(&server.refresh(&refresh), 400, "invalid_grant");
    assert!(server.is_dead(&token) && server.is_dead(&refresh));
}

#[test]
fn a_client_that_says_who_it_is_must_prove_it() {
    let server = Server::start_with(Store::Sqlite, json!({"auth": {"refresh_grace": "60s"}}));
    let first = server.service.register("dan@example.com");
    assert!(!first.is_empty());
    let refresh = server.service.login("dan@example.com").refresh;
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    let send = |request| server.service.send(&request);
    for id in ["billing", "batch", "nobody"] {
        refused(&send(post("/oauth2/token", &format!("{form}&client_id={id}"))), 401, "invalid_client");
    }
    refused(&send(basic(post("/oauth2/token", &form), "billing", GATEWAY)), 401, "invalid_client");
    refused(&send(basic(post("/oauth2/token", &form), "gateway", GATEWAY)), 400, "unauthorized_client");
    // None of these has spent it.
    access(&send(post("/oauth2/token", &format!("{form}&client_id=web"))));
    access(&send(basic(post("/oauth2/token", &form), "billing", SECRET)));
    access(&send(post("/oauth2/token", &form)));
}

#[test]
fn another_device_gets_nothing_where_sessions_are_bound() {
    let over = json!({"auth": {"device_binding": {"user_agent": "deny"}}});
    let server = Server::start_with(Store::Sqlite, over);
    server.service.register("erin@example.com");
    let refresh = server.service.login("erin@example.com").refresh;
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    let thief = server.service.send(&post("/oauth2/token", &form).header("User-Agent", "thief/1"));
    refused(&thief, 400, "invalid_grant");
    access(&server.refresh(&refresh));
}

#[test]
fn what_is_no_refresh_token_is_refused_and_spends_none() {
    let server = Server::start(Store::Sqlite);
    server.service.register("frank@example.com");
    let pair = server.service.login("frank@example.com");
    let forged = format!("{}A", &pair.refresh[..pair.refresh.len() - 1]);
    for wrong in [forged.as_str(), "x", "dwr_", &pair.access, &server.client_token()] {
        refused(&server.refresh(wrong), 400, "invalid_grant");
    }
    // Sessions have no scopes that could be asked for.
    let scoped = format!("grant_type=refresh_token&refresh_token={}&scope=admin", pair.refresh);
    refused(&server.service.send(&post("/oauth2/token", &scoped)), 400, "invalid_scope");
    access(&server.refresh(&pair.refresh));
}
