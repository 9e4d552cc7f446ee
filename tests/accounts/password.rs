//! Changing one's password.

use serde_json::json;

use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, refused};

const NEW: &str = "looking-glass-8";

on_every_store!(a_new_password_ends_the_other_sessions, the_present_password_is_asked_for);

// SEC-L9
fn a_new_password_ends_the_other_sessions(store: Store) {
    let service = Service::start(store);
    service.register("alice@example.com");
    let (this, other) = (service.login("alice@example.com"), service.login("alice@example.com"));
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    assert_eq!(service.put("/auth/password", &body, &this.access).status, 200);
    assert_eq!((service.check(&this.access), service.check(&other.access)), (200, 401));
    refused(&service.refresh(&other.refresh), 401, "invalid_token");
    Tokens::of(&service.refresh(&this.refresh));
    refused(&service.try_login("alice@example.com", PASSWORD), 401, "invalid_credentials");
    let third = Tokens::of(&service.try_login("alice@example.com", NEW));
    let keep = json!({"current_password": NEW, "new_password": PASSWORD, "keep_other_sessions": true});
    assert_eq!(service.put("/auth/password", &keep, &this.access).status, 200);
    assert_eq!(service.check(&third.access), 200);
}

// SEC-L9
fn the_present_password_is_asked_for(store: Store) {
    let service = Service::start(store);
    service.register("alice@example.com");
    let (this, other) = (service.login("alice@example.com"), service.login("alice@example.com"));
    let body = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    refused(&service.put("/auth/password", &body("wrong-hole-7", NEW), &this.access), 401, "invalid_credentials");
    refused(&service.put("/auth/password", &body(PASSWORD, "password1"), &this.access), 400, "weak_password");
    refused(&service.put("/auth/password", &json!({"new_password": NEW}), &this.access), 400, "malformed_request");
    assert_eq!(service.check(&other.access), 200);
    service.login("alice@example.com");
}
