//! Sessions bound to the device that opened them.

use serde_json::{Value, json};

use crate::harness::http::{Reply, Request};
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, login, refused};

on_every_store!(a_refresh_from_another_device_is_refused_also_in_grace, a_changed_device_is_a_claim_that_rules_can_see);

fn bound(store: Store, user_agent: &str, ip: &str, over: Value) -> Service {
    let mut config = json!({"auth": {"device_binding": {"user_agent": user_agent, "ip": ip}}});
    crate::harness::doorward::merge(&mut config, over);
    let service = Service::start_with(store, config);
    service.register("alice@example.com");
    service
}

fn sign_in(service: &Service) -> Tokens {
    let request =
        login("alice@example.com", PASSWORD).header("User-Agent", "Firefox").header("X-Forwarded-For", "192.0.2.1");
    Tokens::of(&service.send(&request))
}

fn refresh(service: &Service, tokens: &Tokens, user_agent: &str, ip: &str) -> Reply {
    let request = Request::post("/auth/refresh", &json!({"refresh_token": tokens.refresh}));
    service.send(&request.header("User-Agent", user_agent).header("X-Forwarded-For", ip))
}

// SEC-R12
fn a_refresh_from_another_device_is_refused_also_in_grace(store: Store) {
    let service = bound(store, "deny", "off", json!({"auth": {"refresh_grace": "30s"}}));
    let first = sign_in(&service);
    refused(&refresh(&service, &first, "curl", "192.0.2.1"), 401, "device_changed");
    let second = Tokens::of(&refresh(&service, &first, "Firefox", "192.0.2.9"));
    refused(&refresh(&service, &first, "curl", "192.0.2.1"), 401, "device_changed");
    assert_eq!(Tokens::of(&refresh(&service, &first, "Firefox", "192.0.2.1")).refresh, second.refresh);
    let plain = Request::post("/refresh", &json!({"refresh": second.refresh})).header("User-Agent", "curl");
    refused(&service.send(&plain), 401, "device_changed");
    assert_eq!(service.check(&second.access), 200, "the session lives on for its own device");
}

fn a_changed_device_is_a_claim_that_rules_can_see(store: Store) {
    let rules = json!({"check": {"rules": [{"path": "/", "require": {"same_device": true}}]}});
    let service = bound(store, "warn", "warn", rules);
    let first = sign_in(&service);
    assert_eq!((first.claims().get("device_changed"), service.check(&first.access)), (None, 200));
    let second = Tokens::of(&refresh(&service, &first, "Firefox", "192.0.2.2"));
    assert_eq!((&second.claims()["device_changed"], service.check(&second.access)), (&json!(["ip"]), 401));
    let third = Tokens::of(&refresh(&service, &second, "curl", "192.0.2.2"));
    assert_eq!(third.claims()["device_changed"], json!(["user_agent", "ip"]));
    let back = Tokens::of(&refresh(&service, &third, "Firefox", "192.0.2.1"));
    assert_eq!((back.claims().get("device_changed"), service.check(&back.access)), (None, 200));
}
