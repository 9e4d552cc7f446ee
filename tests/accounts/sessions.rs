//! What REST alone has of sessions. What all faces promise of them is in `faces`.

use serde_json::json;

use crate::service::{PASSWORD, Service, Store, Tokens, login, refused};

// SEC-S7
#[test]
fn a_session_has_these_members_and_is_ended_by_put_as_by_delete() {
    let service = Service::start(Store::Sqlite);
    service.register("alice@example.com");
    let first = Tokens::of(&service.send(&login("alice@example.com", PASSWORD).header("User-Agent", "Firefox 140")));
    let second = service.login("alice@example.com");
    let list = service.get("/auth/sessions", &second.access).json()["sessions"].clone();
    let mut members: Vec<_> = list[0].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["created_at", "current", "device", "expires_at", "id", "ip", "last_seen_at"]);
    assert_eq!((&list[0]["device"], &list[1]["ip"]), (&json!("Firefox 140"), &json!("127.0.0.1")));
    let put = |id: &str| service.ask("PUT", &format!("/auth/sessions/{id}"), &second.access);
    assert_eq!(put(&first.sid()).status, 200);
    assert_eq!(service.check(&first.access), 401);
    for id in [&first.sid(), "x", "%00"] {
        refused(&put(id), 404, "session_not_found");
    }
}

/// Whatever its `user_id` is: a back end vouched for it, no password did.
#[test]
fn a_plain_session_goes_on_here_too_but_is_no_administrator() {
    let service = Service::start(Store::Sqlite);
    service.administrator();
    let root = service.login("root@example.com").claims()["sub"].clone();
    let plain = service.doorward.login(root);
    refused(&service.get("/admin/users", &plain.access), 401, "invalid_token");
    Tokens::of(&service.refresh(&plain.refresh));
}
