//! How often one may ask for what, and how that is told. What a flood of guesses gets is in `faces`.

use serde_json::json;

use crate::on_every_store;
use crate::service::{Service, Store, refused};

on_every_store!(a_limit_says_when_to_come_again, each_endpoint_has_its_own_limit,);

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
