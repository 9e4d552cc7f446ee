//! How often one may try, and what a flood of guesses gets.

use serde_json::json;

use crate::harness::http::Request;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, at_once, login, refused};

on_every_store!(
    of_two_hundred_parallel_guesses_no_more_than_the_limit_are_looked_at,
    a_limit_says_when_to_come_again,
    strangers_lock_nobody_out_of_a_device_that_is_known,
    each_endpoint_has_its_own_limit,
);

// SEC-B1, SEC-B5
fn of_two_hundred_parallel_guesses_no_more_than_the_limit_are_looked_at(store: Store) {
    let service = Service::start_limited(store, json!({}));
    // From addresses of their own, so that it is the account's limit that holds.
    let from = |at: usize| format!("198.51.100.{}", at % 200 + 1);
    let register = Request::post("/auth/register", &json!({"email": "alice@example.com", "password": PASSWORD}));
    assert_eq!(service.send(&register.header("X-Forwarded-For", "203.0.113.1")).status, 201);
    let statuses = at_once(200, |at| {
        let guess = login("alice@example.com", &format!("wrong-hole-{at}")).header("X-Forwarded-For", &from(at));
        service.send(&guess).status
    });
    // What an overloaded database had no answer for, 503, was not looked at.
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert!((1..=5).contains(&looked_at), "{looked_at} were looked at");
    assert!(statuses.iter().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
}

// SEC-B5
fn a_limit_says_when_to_come_again(store: Store) {
    let service = Service::start_limited(store, json!({"limits": {"auth": "2/min"}}));
    let tried = |email: &str| service.try_login(email, "wrong-hole-7");
    let first = tried("alice@example.com");
    assert_eq!(first.header("ratelimit-policy"), Some("\"auth\";q=2;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"auth\";r=1;t=30"));
    assert_eq!(tried("alice@example.com").status, 401);
    let refusal = tried("ALICE@example.com");
    refused(&refusal, 429, "rate_limited");
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    assert!((20..=30).contains(&wait), "{wait}");
    assert!(refusal.header("ratelimit").unwrap().starts_with("\"auth\";r=0;t="));
    assert_eq!(tried("bob@example.com").status, 401, "another account is not limited");
    // More than ten times as many, since some are refilled meanwhile.
    let statuses: Vec<_> = (0..40).map(|at| tried(&format!("user{at}@example.com")).status).collect();
    assert!(statuses[..10].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(statuses.contains(&429), "one address may try ten times as often: {statuses:?}");
}

// SEC-B3
fn strangers_lock_nobody_out_of_a_device_that_is_known(store: Store) {
    let limits = json!({"auth": "60/min", "lockout": {"after": 3, "for": "15m"}});
    let service = Service::start_limited(store, json!({"limits": limits}));
    service.register("alice@example.com");
    let alice = service.login("alice@example.com");
    assert_eq!(service.ask("POST", "/auth/logout", &alice.access).status, 200);
    for _ in 0..4 {
        refused(&service.try_login("alice@example.com", "wrong-hole-7"), 401, "invalid_credentials");
    }
    refused(&service.try_login("alice@example.com", PASSWORD), 401, "invalid_credentials");
    for known in [&alice.access, &alice.refresh] {
        Tokens::of(&service.send(&login("alice@example.com", PASSWORD).bearer(known)));
    }
    service.register("mallory@example.com");
    let mallory = service.login("mallory@example.com");
    for other in [mallory.access.as_str(), &mallory.refresh, "dwr_forged", "x.y.z"] {
        let reply = service.send(&login("alice@example.com", PASSWORD).bearer(other));
        refused(&reply, 401, "invalid_credentials");
    }
}

fn each_endpoint_has_its_own_limit(store: Store) {
    let limits =
        json!({"auth": "60/min", "refresh": "2/min", "sessions": "3/min", "profile": "4/min", "plain": "5/min"});
    let service = Service::start_limited(store, json!({"limits": limits, "auth": {"refresh_grace": "30s"}}));
    service.register("alice@example.com");
    let (alice, other) = (service.login("alice@example.com"), service.login("alice@example.com"));
    let ok = |times: usize, ask: &dyn Fn() -> crate::harness::http::Reply| {
        for _ in 0..times {
            assert_eq!(ask().status, 200);
        }
        refused(&ask(), 429, "rate_limited");
    };
    ok(2, &|| service.refresh(&alice.refresh));
    assert_eq!(service.refresh(&other.refresh).status, 200, "it is counted by session");
    ok(3, &|| service.get("/auth/sessions", &alice.access));
    refused(&service.get("/auth/sessions", &other.access), 429, "rate_limited");
    ok(4, &|| service.get("/profile", &alice.access));
    ok(5, &|| service.post("/login", &json!({"user_id": 1})));
    assert_eq!(service.check(&alice.access), 200, "checks are not limited");
}
