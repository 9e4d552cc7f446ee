//! Refresh tokens that come twice: from a thief, or from an honest client that asks in several places at once.

use serde_json::json;

use crate::at_every_face;
use crate::face::{LAPTOP, refused};
use crate::scene::{At, Scene};
use crate::service::at_once;

at_every_face!(a_spent_refresh_token_ends_its_session_and_no_other, parallel_refreshes_leave_one_refresh_token);

// SEC-R8
fn a_spent_refresh_token_ends_its_session_and_no_other(at: At) {
    let Scene { face, service } = at.start_with(json!({"auth": {"refresh_grace": "0s"}}));
    service.register("carol@example.com");
    let (first, other) = (face.sign_in("carol@example.com"), face.sign_in("carol@example.com"));
    // Whoever spends it, thief or owner, leaves the other with a spent one.
    let second = face.rotate_from(LAPTOP, &first.refresh).unwrap();
    assert_eq!((second.sid(), service.check(&second.access)), (first.sid(), 200));
    refused(face.refresh(&first.refresh), "refresh_reused");
    refused(face.refresh(&second.refresh), "invalid_token");
    refused(face.account(Some(&second.access)), "invalid_token");
    assert_eq!((service.check(&second.access), service.check(&other.access)), (401, 200));
    face.refresh(&other.refresh).unwrap();
}

// SEC-R1
fn parallel_refreshes_leave_one_refresh_token(at: At) {
    let Scene { face, service } = at.start_with(json!({"auth": {"refresh_grace": "30s"}}));
    service.register("dan@example.com");
    let first = face.sign_in("dan@example.com");
    let answers = at_once(16, |_| face.refresh(&first.refresh).unwrap());
    assert!(answers.iter().all(|answer| answer.refresh == answers[0].refresh));
    assert!(answers.iter().all(|answer| service.check(&answer.access) == 200));
    assert_eq!(service.check(&first.access), 200, "an access token lives as long as it would");
    let last = face.refresh(&answers[0].refresh).unwrap();
    assert_eq!(last.sid(), first.sid());
}
