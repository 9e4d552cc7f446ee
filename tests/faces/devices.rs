//! Sessions bound to the device that opened them.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::at_every_face;
use crate::face::{Device, LAPTOP, refused};
use crate::harness::http::Request;
use crate::scene::{At, Scene};

at_every_face!(a_refresh_from_another_device_is_refused_also_in_grace, a_changed_device_is_a_claim_that_rules_can_see);

const MOVED: Device = Device { ip: Ipv4Addr::new(192, 0, 2, 9), ..LAPTOP };
const OTHER: Device = Device { agent: "curl", ..LAPTOP };
const OTHER_MOVED: Device = Device { ip: MOVED.ip, ..OTHER };

fn bound(user_agent: &str, ip: &str) -> Value {
    json!({"device_binding": {"user_agent": user_agent, "ip": ip}, "refresh_grace": "30s"})
}

// SEC-R12
fn a_refresh_from_another_device_is_refused_also_in_grace(at: At) {
    let Scene { face, service } = at.start_with(json!({"auth": bound("deny", "off")}));
    service.register("alice@example.com");
    let first = face.sign_in("alice@example.com");
    refused(face.refresh_from(OTHER, &first.refresh), "device_changed");
    let second = face.rotate_from(MOVED, &first.refresh).unwrap();
    refused(face.refresh_from(OTHER, &first.refresh), "device_changed");
    assert_eq!(face.rotate_from(LAPTOP, &first.refresh).unwrap().refresh, second.refresh);
    face.refresh(&first.refresh).unwrap();
    let plain = Request::post("/refresh", &json!({"refresh": second.refresh})).header("User-Agent", OTHER.agent);
    crate::service::refused(&service.send(&plain), 401, "device_changed");
    assert_eq!(service.check(&second.access), 200, "the session lives on for its own device");
}

// SEC-R12
fn a_changed_device_is_a_claim_that_rules_can_see(at: At) {
    let rules = json!([{"path": "/", "require": {"same_device": true}}]);
    let Scene { face, service } = at.start_with(json!({"auth": bound("warn", "warn"), "check": {"rules": rules}}));
    service.register("alice@example.com");
    let mut tokens = face.sign_in("alice@example.com");
    assert_eq!((tokens.claims().get("device_changed"), service.check(&tokens.access)), (None, 200));
    for (device, changed) in [(MOVED, json!(["ip"])), (OTHER_MOVED, json!(["user_agent", "ip"]))] {
        tokens = face.refresh_from(device, &tokens.refresh).unwrap();
        assert_eq!((&tokens.claims()["device_changed"], service.check(&tokens.access)), (&changed, 401));
    }
    let back = face.refresh(&tokens.refresh).unwrap();
    assert_eq!((back.claims().get("device_changed"), service.check(&back.access)), (None, 200));
}
