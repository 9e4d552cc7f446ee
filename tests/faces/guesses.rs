//! What a flood of guesses gets, and whom it keeps out.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::at_every_face;
use crate::face::{Device, LAPTOP, refused};
use crate::scene::{At, Scene};
use crate::service::{PASSWORD, at_once};

at_every_face!(
    of_two_hundred_parallel_guesses_no_more_than_the_limit_are_looked_at,
    strangers_lock_nobody_out_of_a_device_that_is_known,
);

// SEC-B1, SEC-B5, SEC-B6
fn of_two_hundred_parallel_guesses_no_more_than_the_limit_are_looked_at(at: At) {
    let Scene { face, service } = at.start_limited(json!({}));
    service.register("alice@example.com");
    let refusals = at_once(200, |at| {
        // From addresses of their own, so that it is the account's limit that holds.
        let from = Device { ip: Ipv4Addr::new(198, 51, 100, u8::try_from(at).unwrap()), ..LAPTOP };
        face.login_from(from, None, "alice@example.com", &format!("wrong-hole-{at}")).unwrap_err()
    });
    let looked_at = refusals.iter().filter(|refusal| refusal.status == 401).count();
    assert!((1..=5).contains(&looked_at), "{looked_at} were looked at");
    // What an overloaded database had no answer for, 503, was not looked at.
    assert!(refusals.iter().all(|refusal| [401, 429, 503].contains(&refusal.status)), "{refusals:?}");
}

// SEC-B3
fn strangers_lock_nobody_out_of_a_device_that_is_known(at: At) {
    let limits = json!({"auth": "60/min", "lockout": {"after": 3, "for": "15m"}});
    let Scene { face, service } = at.start_limited(json!({"limits": limits}));
    for email in ["alice@example.com", "mallory@example.com"] {
        service.register(email);
    }
    let alice = face.sign_in("alice@example.com");
    face.logout(&alice.refresh).unwrap();
    for _ in 0..4 {
        refused(face.login("alice@example.com", "wrong-hole-7"), "invalid_credentials");
    }
    let from_home = |known| face.login_from(LAPTOP, known, "alice@example.com", PASSWORD);
    refused(from_home(None), "invalid_credentials");
    for known in [&alice.access, &alice.refresh] {
        assert_eq!(service.check(&from_home(Some(known)).unwrap().access), 200);
    }
    let mallory = face.sign_in("mallory@example.com");
    for known in [&mallory.access, "dwr_forged", "x.y.z"] {
        refused(from_home(Some(known)), "invalid_credentials");
    }
}
