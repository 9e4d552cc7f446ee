//! An administrator sends everyone out.

use crate::harness::http::Request;
use crate::harness::wait::{answered, wait_for};
use crate::on_every_store;
use crate::service::{Service, Store, Tokens, refused};

on_every_store!(an_administrator_ends_everyones_sessions_with_one_call);

// SEC-S8, SEC-S1
fn an_administrator_ends_everyones_sessions_with_one_call(store: Store) {
    let service = Service::start(store);
    let admin = service.administrator();
    service.register("alice@example.com");
    let [alice, other] = [service.login("alice@example.com"), service.login("alice@example.com")];
    let plain = service.doorward.login(1);
    assert_eq!(service.check(&alice.access), 200);
    refused(&service.ask("POST", "/admin/logout-everyone", &alice.access), 403, "forbidden");
    assert_eq!(service.check(&alice.access), 200);

    let done = service.ask("POST", "/admin/logout-everyone", &admin.access);
    assert_eq!(done.status, 200, "{done:?}");
    assert!(done.json()["not_before"].as_str().unwrap().ends_with('Z'), "{done:?}");
    for token in [&alice.access, &other.access, &admin.access, &plain.access] {
        assert_eq!(service.check(token), 401, "at once on this node");
    }
    refused(&answered(|| service.get("/profile", &admin.access)), 401, "invalid_token");
    refused(&service.refresh(&alice.refresh), 401, "invalid_token");
    assert_eq!(service.doorward.refresh(&plain.refresh).status, 401);
    let again = answered(|| service.ask("POST", "/admin/logout-everyone", &admin.access));
    refused(&again, 401, "invalid_token");

    let admin = service.login("root@example.com");
    let alice = service.login("alice@example.com");
    assert_eq!((service.check(&alice.access), service.check(&admin.access)), (200, 200));
    let renewed = Tokens::of(&service.refresh(&alice.refresh));
    assert_eq!(service.check(&renewed.access), 200);
    let sessions = service.get("/auth/sessions", &renewed.access).json();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
    let metrics = Request::get("/metrics").send(service.doorward.ops).body;
    assert!(metrics.contains("doorward_everyone_revoked_total 1"), "{metrics}");
    wait_for("the event in the audit tail", || {
        let tail = service.get("/admin/audit", &admin.access).json();
        let events = tail["events"].as_array().cloned().unwrap_or_default();
        events.iter().any(|event| {
            event["event"] == "authn_token_revoked"
                && event["outcome"].as_str().is_some_and(|o| o.starts_with("everyone by "))
        })
    });
}
