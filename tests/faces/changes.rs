//! What happens to an account elsewhere, and how it reaches the tokens that the face gave.

use serde_json::json;

use crate::at_every_face;
use crate::face::refused;
use crate::scene::{Admin, At, Scene};
use crate::service::{PASSWORD, refused as refused_over_rest};

at_every_face!(
    changed_roles_refuse_older_access_tokens_and_a_refresh_brings_them,
    a_disabled_account_is_out_everywhere,
    a_deleted_account_is_out_everywhere_and_its_address_free,
    a_new_password_ends_the_other_sessions,
);

// SEC-P14, SEC-R11
fn changed_roles_refuse_older_access_tokens_and_a_refresh_brings_them(at: At) {
    let rules = json!([{"path": "/", "require": {"roles": ["editor"]}}]);
    let Scene { face, service } = at.start_with(json!({"check": {"rules": rules}}));
    let admin = Admin::of(&service);
    let id = service.register("alice@example.com");
    let mut alice = face.sign_in("alice@example.com");
    assert_eq!(service.check(&alice.access), 403);
    for (roles, passes) in [(&["editor"][..], 200), (&[], 403)] {
        admin.set_roles(&id, roles);
        assert_eq!(service.check(&alice.access), 401, "an older token is refused at once on this node");
        refused(face.account(Some(&alice.access)), "invalid_token");
        let renewed = face.refresh(&alice.refresh).unwrap();
        assert_eq!(renewed.sid(), alice.sid(), "the session lives on");
        assert_eq!((&renewed.claims()["roles"], service.check(&renewed.access)), (&json!(roles), passes));
        assert_eq!(face.account(Some(&renewed.access)).unwrap().id, id);
        alice = renewed;
    }
}

// SEC-L8
fn a_disabled_account_is_out_everywhere(at: At) {
    let Scene { face, service } = at.start();
    let admin = Admin::of(&service);
    let id = service.register("alice@example.com");
    let alice = face.sign_in("alice@example.com");
    assert_eq!(service.check(&alice.access), 200);
    admin.set_disabled(&id, true);
    assert_eq!(service.check(&alice.access), 401);
    refused(face.account(Some(&alice.access)), "invalid_token");
    refused(face.refresh(&alice.refresh), "invalid_token");
    refused_over_rest(&service.doorward.refresh(&alice.refresh), 401, "invalid_token");
    refused(face.login("alice@example.com", PASSWORD), "invalid_credentials");
    admin.set_disabled(&id, false);
    assert_eq!(service.check(&alice.access), 401, "what ended does not come back");
    refused(face.refresh(&alice.refresh), "invalid_token");
    assert_eq!(service.check(&face.sign_in("alice@example.com").access), 200);
}

// SEC-L8
fn a_deleted_account_is_out_everywhere_and_its_address_free(at: At) {
    let Scene { face, service } = at.start();
    let admin = Admin::of(&service);
    let id = service.register("alice@example.com");
    let alice = face.sign_in("alice@example.com");
    admin.delete(&id);
    assert_eq!(service.check(&alice.access), 401);
    refused(face.account(Some(&alice.access)), "invalid_token");
    refused(face.refresh(&alice.refresh), "invalid_token");
    refused(face.login("alice@example.com", PASSWORD), "invalid_credentials");
    face.register("alice@example.com", PASSWORD).unwrap();
    let again = face.sign_in("alice@example.com");
    assert_ne!(face.account(Some(&again.access)).unwrap().id, id);
    assert_eq!((service.check(&alice.access), service.check(&again.access)), (401, 200));
}

/// The change itself is REST's alone.
// SEC-L9
fn a_new_password_ends_the_other_sessions(at: At) {
    const NEW: &str = "looking-glass-8";
    let Scene { face, service } = at.start();
    service.register("alice@example.com");
    let (this, other) = (face.sign_in("alice@example.com"), face.sign_in("alice@example.com"));
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    assert_eq!(service.put("/auth/password", &body, &this.access).status, 200);
    assert_eq!((service.check(&this.access), service.check(&other.access)), (200, 401));
    refused(face.account(Some(&other.access)), "invalid_token");
    refused(face.refresh(&other.refresh), "invalid_token");
    face.refresh(&this.refresh).unwrap();
    refused(face.login("alice@example.com", PASSWORD), "invalid_credentials");
    let third = face.login("alice@example.com", NEW).unwrap();
    let keep = json!({"current_password": NEW, "new_password": PASSWORD, "keep_other_sessions": true});
    assert_eq!(service.put("/auth/password", &keep, &this.access).status, 200);
    assert_eq!(service.check(&third.access), 200);
}
