//! Who can have an account, and how REST tells of a new one. What becomes of registering and signing in at any face is in `faces`.

use serde_json::json;

use crate::harness::http::Request;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, refused};

on_every_store!(an_address_is_one_account_in_all_its_spellings);

#[test]
fn registering_tells_the_account_as_the_profile_does_and_opens_no_session() {
    let service = Service::start(Store::Sqlite);
    let user = service.try_register("Alice@Example.com", PASSWORD).json();
    let mut members: Vec<_> = user.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["confirmed", "created_at", "disabled", "email", "id", "roles", "updated_at"]);
    assert_eq!(service.get("/profile", &service.login("alice@example.com").access).json(), user);
}

// SEC-L5
fn an_address_is_one_account_in_all_its_spellings(store: Store) {
    let service = Service::start(store);
    let id = service.register("ren\u{e9}@B\u{fc}cher.example");
    for spelling in ["REN\u{c9}@b\u{fc}cher.example", "rene\u{301}@xn--bcher-kva.example"] {
        refused(&service.try_register(spelling, PASSWORD), 409, "email_taken");
        assert_eq!(service.login(spelling).claims()["sub"], id.as_str());
    }
    for wrong in ["rene", "a@b@c", "a@", " a@b.example", "a\u{200b}@b.example", "\u{202e}a@b.example"] {
        refused(&service.try_register(wrong, PASSWORD), 400, "invalid_email");
        refused(&service.try_login(wrong, PASSWORD), 400, "invalid_email");
    }
}

// SEC-L3
#[test]
fn weak_passwords_are_refused_with_the_reason() {
    let service = Service::start(Store::Sqlite);
    for (password, reason) in [("seven77", "8 characters"), ("password1", "commonest"), ("gina.lovelace-9", "address")]
    {
        let reply = service.try_register("gina.lovelace@example.com", password);
        refused(&reply, 400, "weak_password");
        assert!(reply.json()["detail"].as_str().unwrap().contains(reason), "{reply:?}");
    }
}

#[test]
fn without_registration_accounts_are_made_by_administrators_only() {
    let service = Service::start_with(Store::Sqlite, json!({"auth": {"registration": false}}));
    refused(&service.try_register("heidi@example.com", PASSWORD), 403, "registration_off");
    let admin = service.administrator();
    let body = json!({"email": "heidi@example.com", "password": PASSWORD});
    let request = Request::post("/admin/users", &body).bearer(&admin.access);
    assert_eq!(service.send(&request).status, 201);
    service.login("heidi@example.com");
}
