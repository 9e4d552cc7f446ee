//! Administrators: the first one, who is one, and how they see other people's accounts. What becomes of those whom they change is
//! in `faces`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::http::Request;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, refused};

on_every_store!(
    the_first_administrator_is_made_by_a_secret_that_works_once,
    the_role_is_asked_of_the_users_not_of_the_token,
    ended_sessions_are_remembered_with_their_cause,
);

// SEC-L12
fn the_first_administrator_is_made_by_a_secret_that_works_once(store: Store) {
    let mut service = Service::start(store);
    let secret = service.first_secret();
    let file = service.doorward.folder().join("keys/first-admin.secret");
    let body = |secret: &str| json!({"secret": secret, "email": "root@example.com", "password": PASSWORD});
    refused(&service.post("/admin/first", &body("wrong")), 403, "first_admin_refused");
    refused(&service.post("/admin/first", &body("")), 403, "first_admin_refused");
    let made = service.post("/admin/first", &body(&secret));
    assert_eq!((made.status, &made.json()["roles"]), (201, &json!(["admin"])));
    assert!(!file.exists());
    let again = json!({"secret": secret, "email": "other@example.com", "password": PASSWORD});
    refused(&service.post("/admin/first", &again), 403, "first_admin_refused");
    service.doorward.restart();
    assert!(!file.exists(), "there is an administrator");
    let admin = service.login("root@example.com");
    assert_eq!(admin.claims()["roles"], json!(["admin"]));
}

fn the_role_is_asked_of_the_users_not_of_the_token(store: Store) {
    let service = Service::start(store);
    let admin = service.administrator();
    let id = service.register("alice@example.com");
    assert_eq!(
        service.put(&format!("/admin/users/{id}/roles"), &json!({"roles": ["admin"]}), &admin.access).status,
        200
    );
    let alice = service.login("alice@example.com");
    assert_eq!(service.get("/admin/users", &alice.access).status, 200);
    let own = service.get("/profile", &admin.access).json()["id"].as_str().unwrap().to_owned();
    for (path, body) in [("roles", json!({"roles": []})), ("disabled", json!({"disabled": true}))] {
        refused(&service.put(&format!("/admin/users/{own}/{path}"), &body, &admin.access), 409, "own_account");
    }
    refused(&service.ask("DELETE", &format!("/admin/users/{own}"), &admin.access), 409, "own_account");
    assert_eq!(service.put(&format!("/admin/users/{id}/roles"), &json!({"roles": []}), &admin.access).status, 200);
    let alice = Tokens::of(&service.refresh(&alice.refresh));
    for path in
        ["/admin/users", "/admin/audit", &format!("/admin/users/{own}"), &format!("/admin/users/{own}/sessions")]
    {
        refused(&service.get(path, &alice.access), 403, "forbidden");
    }
    for path in [
        format!("/admin/users/{own}"),
        format!("/admin/users/{own}/sessions"),
        format!("/admin/sessions/{}", admin.sid()),
    ] {
        refused(&service.ask("DELETE", &path, &alice.access), 403, "forbidden");
    }
    assert_eq!(service.check(&admin.access), 200);
}

#[test]
fn users_are_listed_by_address_in_pages() {
    let service = Service::start(Store::Sqlite);
    let admin = service.administrator();
    for name in ["carol", "alice", "bob"] {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD, "roles": ["reader"]});
        assert_eq!(service.send(&Request::post("/admin/users", &body).bearer(&admin.access)).status, 201);
    }
    let listed = |query: &str| {
        let reply = service.get(&format!("/admin/users{query}"), &admin.access);
        assert_eq!(reply.status, 200, "{reply:?}");
        let users = reply.json()["users"].as_array().unwrap().clone();
        users.iter().map(|user| user["email"].as_str().unwrap().replace("@example.com", "")).collect::<Vec<_>>()
    };
    assert_eq!(listed(""), ["alice", "bob", "carol", "root"]);
    assert_eq!(listed("?limit=2"), ["alice", "bob"]);
    assert_eq!(listed("?limit=2&after=bob@example.com"), ["carol", "root"]);
    assert_eq!(listed("?search=AR"), ["carol"]);
    assert_eq!(listed("?search=%25"), Vec::<String>::new());
    for query in ["?limit=x", "?limit=0", "?limit=1001", "?limit=-1", "?what=1"] {
        refused(&service.get(&format!("/admin/users{query}"), &admin.access), 400, "malformed_request");
    }
    refused(&service.get("/admin/users/nobody", &admin.access), 404, "user_not_found");
}

#[test]
fn one_account_is_shown_given_roles_and_deleted_once() {
    let service = Service::start(Store::Sqlite);
    let admin = service.administrator();
    let path = format!("/admin/users/{}", service.register("alice@example.com"));
    assert_eq!(service.get(&path, &admin.access).json()["email"], "alice@example.com");
    for roles in [json!(["a,b"]), json!([""]), json!(["a b"]), json!(["\u{e9}"]), json!(["x".repeat(65)])] {
        let set = service.put(&format!("{path}/roles"), &json!({"roles": roles}), &admin.access);
        refused(&set, 400, "invalid_role");
    }
    assert_eq!(service.ask("DELETE", &path, &admin.access).status, 200);
    refused(&service.ask("DELETE", &path, &admin.access), 404, "user_not_found");
}

fn ended_sessions_are_remembered_with_their_cause(store: Store) {
    let service = Service::start(store);
    let admin = service.administrator();
    let id = service.register("alice@example.com");
    let (left, taken, kept) =
        (service.login("alice@example.com"), service.login("alice@example.com"), service.login("alice@example.com"));
    assert_eq!(service.ask("POST", "/auth/logout", &left.access).status, 200);
    assert_eq!(service.ask("DELETE", &format!("/admin/sessions/{}", taken.sid()), &admin.access).status, 200);
    let wanted = [(kept.sid(), Value::Null), (taken.sid(), json!("admin")), (left.sid(), json!("logout"))];
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let reply = service.get(&format!("/admin/users/{id}/history"), &admin.access);
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut past: Vec<_> = reply.json()["sessions"].as_array().unwrap().clone();
        // Of one second, their order is by chance.
        past.sort_by_key(|session| wanted.iter().position(|(sid, _)| session["id"] == sid.as_str()));
        let told: Vec<_> = past.iter().map(|session| (session["id"].clone(), session["cause"].clone())).collect();
        if told == wanted.clone().map(|(sid, cause)| (json!(sid), cause)) {
            assert!(past.iter().all(|session| session["ended_at"].is_null() == session["cause"].is_null()), "{past:?}");
            break;
        }
        assert!(Instant::now() < until, "{told:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let newest = service.get(&format!("/admin/users/{id}/history?limit=1"), &admin.access);
    assert_eq!(newest.json()["sessions"].as_array().unwrap().len(), 1);
    refused(&service.get(&format!("/admin/users/{id}/history?limit=0"), &admin.access), 400, "malformed_request");
    refused(&service.get(&format!("/admin/users/{id}/history"), &kept.access), 403, "forbidden");
}
