//! What administrators can read of what was done at a face.

use serde_json::Value;

use crate::at_every_face;
use crate::face::{LAPTOP, refused};
use crate::harness::wait::wait_for;
use crate::scene::{Admin, At, Scene};
use crate::service::PASSWORD;

at_every_face!(what_happened_is_in_the_audit_tail);

// SEC-G3
fn what_happened_is_in_the_audit_tail(at: At) {
    let Scene { face, service } = at.start();
    let admin = Admin::of(&service);
    let id = service.register("alice@example.com");
    let alice = face.sign_in("alice@example.com");
    refused(face.login("alice@example.com", "wrong-hole-7"), "invalid_credentials");
    let renewed = face.refresh(&alice.refresh).unwrap();
    face.logout(&renewed.refresh).unwrap();
    let of =
        |events: &[Value], member: &str| -> Vec<Value> { events.iter().map(|event| event[member].clone()).collect() };
    let wanted = [
        "user_created",
        "authn_login_success",
        "session_created",
        "authn_login_fail",
        "session_renewed",
        "authn_token_revoked",
    ];
    let mut events = Vec::new();
    wait_for("all events", || {
        events = admin.audit_tail(&id);
        events.len() >= wanted.len()
    });
    assert_eq!(of(&events, "event"), wanted);
    assert!(of(&events, "user").iter().all(|user| *user == id.as_str()), "{events:?}");
    assert!(of(&events[1..], "ip").iter().all(|ip| *ip == LAPTOP.ip.to_string()), "{events:?}");
    let sid = alice.sid();
    assert_eq!(of(&events, "session"), ["", &sid, &sid, "", &sid, &sid]);
    let told = Value::Array(events).to_string();
    assert!(!told.contains(PASSWORD) && !told.contains("dwr_"), "{told}");
}
