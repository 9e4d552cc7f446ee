//! An account's own sessions: the list, ending one or all, the limit.

use serde_json::json;

use crate::harness::http::Request;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, at_once, login, refused};

on_every_store!(
    the_list_shows_ones_own_sessions_and_no_token,
    a_session_is_ended_by_put_and_by_delete_and_only_by_its_owner,
    logout_all_ends_every_session_at_once,
    the_session_limit_holds_under_parallel_logins,
    a_plain_session_is_no_accounts,
);

// SEC-S7
fn the_list_shows_ones_own_sessions_and_no_token(store: Store) {
    let service = Service::start(store);
    service.register("alice@example.com");
    service.register("bob@example.com");
    let first = Tokens::of(&service.send(&login("alice@example.com", PASSWORD).header("User-Agent", "Firefox 140")));
    let second = service.login("alice@example.com");
    service.login("bob@example.com");
    let reply = service.get("/auth/sessions", &second.access);
    let list = reply.json()["sessions"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2, "{reply:?}");
    let mut members: Vec<_> = list[0].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["created_at", "current", "device", "expires_at", "id", "ip", "last_seen_at"]);
    assert_eq!(
        (&list[0]["id"], &list[0]["device"], &list[0]["current"]),
        (&json!(first.sid()), &json!("Firefox 140"), &json!(false))
    );
    assert_eq!(
        (&list[1]["id"], &list[1]["ip"], &list[1]["current"]),
        (&json!(second.sid()), &json!("127.0.0.1"), &json!(true))
    );
    assert!(!reply.body.contains(&second.access) && !reply.body.contains("dwr_"));
}

// SEC-S7
fn a_session_is_ended_by_put_and_by_delete_and_only_by_its_owner(store: Store) {
    let service = Service::start(store);
    service.register("alice@example.com");
    service.register("bob@example.com");
    let alice = service.login("alice@example.com");
    let bob = service.login("bob@example.com");
    for method in ["PUT", "DELETE"] {
        let other = service.login("alice@example.com");
        let path = format!("/auth/sessions/{}", other.sid());
        assert_eq!(service.check(&other.access), 200);
        assert_eq!(service.ask(method, &path, &alice.access).status, 200);
        assert_eq!(service.check(&other.access), 401);
        refused(&service.refresh(&other.refresh), 401, "invalid_token");
        let bodies =
            [path.as_str(), &format!("/auth/sessions/{}", bob.sid()), "/auth/sessions/x", "/auth/sessions/%00"].map(
                |path| {
                    let reply = service.ask(method, path, &alice.access);
                    refused(&reply, 404, "session_not_found");
                    let mut body = reply.json();
                    body["request_id"] = json!(null);
                    body
                },
            );
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    }
    assert_eq!((service.check(&alice.access), service.check(&bob.access)), (200, 200));
}

// SEC-S4
fn logout_all_ends_every_session_at_once(store: Store) {
    let service = Service::start(store);
    service.register("alice@example.com");
    service.register("bob@example.com");
    let sessions: Vec<_> = (0..3).map(|_| service.login("alice@example.com")).collect();
    let bob = service.login("bob@example.com");
    for session in &sessions {
        assert_eq!(service.check(&session.access), 200);
    }
    let reply = service.ask("POST", "/auth/logout-all", &sessions[0].access);
    assert_eq!((reply.status, reply.json()), (200, json!({"ended": 3})));
    for session in &sessions {
        assert_eq!(service.check(&session.access), 401);
        refused(&service.refresh(&session.refresh), 401, "invalid_token");
    }
    assert_eq!(service.check(&bob.access), 200);
    assert_eq!(service.check(&service.login("alice@example.com").access), 200, "a new login counts");
}

// SEC-S5
fn the_session_limit_holds_under_parallel_logins(store: Store) {
    let passwords = json!({"concurrency": 4});
    let service = Service::start_with(store, json!({"auth": {"max_sessions_per_user": 3, "passwords": passwords}}));
    service.register("alice@example.com");
    let opened = at_once(12, |_| service.login("alice@example.com"));
    let live: Vec<_> = opened.iter().filter(|tokens| service.check(&tokens.access) == 200).collect();
    assert_eq!(live.len(), 3);
    assert_eq!(service.sessions(&live[0].access).len(), 3);
}

/// Whatever its `user_id` is: a back end vouched for it, no password did.
fn a_plain_session_is_no_accounts(store: Store) {
    let service = Service::start(store);
    let id = service.register("alice@example.com");
    let plain = service.doorward.login(id);
    assert_eq!(service.check(&plain.access), 200);
    for path in ["/profile", "/auth/sessions", "/admin/users"] {
        refused(&service.get(path, &plain.access), 401, "invalid_token");
    }
    refused(&service.ask("POST", "/auth/logout-all", &plain.access), 401, "invalid_token");
    assert_eq!(service.check(&plain.access), 200);
    Tokens::of(&service.refresh(&plain.refresh));
}

// SEC-S5
#[test]
fn at_the_limit_a_login_may_be_refused_instead() {
    let service =
        Service::start_with(Store::Sqlite, json!({"auth": {"max_sessions_per_user": 1, "at_session_limit": "refuse"}}));
    service.register("alice@example.com");
    let first = service.login("alice@example.com");
    refused(&service.try_login("alice@example.com", PASSWORD), 409, "session_limit");
    assert_eq!(service.ask("POST", "/auth/logout", &first.access).status, 200);
    service.login("alice@example.com");
}

#[test]
fn the_service_says_what_it_is_and_how_it_is_doing() {
    let service = Service::start(Store::Sqlite);
    let welcome = service.send(&Request::get("/"));
    assert_eq!((welcome.status, welcome.json()["service"].as_str()), (200, Some("doorward")));
    let health = service.send(&Request::get("/health"));
    let well = json!({"status": "ok", "dependencies": {"database": "ok", "token_store": "ok"}});
    assert_eq!((health.status, health.json()), (200, well));
}

// SEC-F1
#[test]
fn without_redis_health_says_which_dependency_is_down() {
    let mut service = Service::start(Store::SqliteAndRedis);
    service.register("alice@example.com");
    let tokens = service.login("alice@example.com");
    service.redis.take();
    let health = service.send(&Request::get("/health"));
    let told = json!({"status": "unavailable", "dependencies": {"database": "ok", "token_store": "unreachable"}});
    assert_eq!((health.status, health.json()), (503, told));
    refused(&service.refresh(&tokens.refresh), 503, "unavailable");
    refused(&service.try_login("alice@example.com", PASSWORD), 503, "unavailable");
}
