//! Requests of wrong types and sizes. The shapes themselves are the faces'.

use serde_json::json;

use crate::at_every_face;
use crate::face::{SOMEBODY, refused};
use crate::scene::{At, Scene};
use crate::service::PASSWORD;

at_every_face!(
    requests_of_other_shapes_are_refused_and_do_nothing,
    requests_that_are_too_large_are_refused_and_do_nothing
);

// SEC-L11, SEC-D1
fn requests_of_other_shapes_are_refused_and_do_nothing(at: At) {
    let Scene { face, service: _running } = at.start_limited(json!({"limits": {"auth": "1/min"}}));
    for (what, answer) in face.misshapen() {
        eprintln!("{what}");
        refused(answer, "malformed_request");
    }
    // Nobody was registered meanwhile, and the one attempt is there yet.
    face.register(SOMEBODY, PASSWORD).unwrap();
    refused(face.login(SOMEBODY, PASSWORD), "rate_limited");
}

// SEC-D1
fn requests_that_are_too_large_are_refused_and_do_nothing(at: At) {
    let Scene { face, service: _running } = at.start_limited(json!({"limits": {"auth": "1/min"}}));
    for (what, answer) in face.oversized() {
        eprintln!("{what}");
        refused(answer, "too_large");
    }
    face.register(SOMEBODY, PASSWORD).unwrap();
}
