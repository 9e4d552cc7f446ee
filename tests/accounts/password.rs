//! Changing one's password. What becomes of the other sessions is in `faces`.

use serde_json::json;

use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, refused};

const NEW: &str = "looking-glass-8";

on_every_store!(the_present_password_is_asked_for);

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
