//! The faces are faces of one domain: they say the same of the same, and what begins at one goes on at another.

use serde_json::json;

use crate::face::{Answer, Face, Refusal, refused};
use crate::on_every_store;
use crate::scene::Of;
use crate::service::{PASSWORD, Service, Store, Tokens};

on_every_store!(the_faces_refuse_the_same_in_the_same_words, an_account_and_its_sessions_are_the_same_at_every_face);

/// What each face says to one question.
fn asked_of_all<T: std::fmt::Debug>(faces: &[Box<dyn Face>], code: &str, ask: impl Fn(&dyn Face) -> Answer<T>) {
    let told: Vec<Refusal> = faces.iter().map(|face| refused(ask(&**face), code)).collect();
    assert!(told.iter().all(|refusal| refusal.detail == told[0].detail && !refusal.detail.is_empty()), "{told:?}");
}

fn the_faces_refuse_the_same_in_the_same_words(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"refresh_grace": "0s"}}));
    let faces = Of::ALL.map(|of| of.face(&service));
    service.register("taken@example.com");
    let long = "a".repeat(1025);
    for (email, password, code) in [
        ("taken@example.com", PASSWORD, "email_taken"),
        ("nobody", PASSWORD, "invalid_email"),
        ("new@example.com", "short", "weak_password"),
        ("new@example.com", "password1", "weak_password"),
        ("lovelace@example.com", "lovelace-99", "weak_password"),
        ("new@example.com", &long, "password_too_long"),
    ] {
        asked_of_all(&faces, code, |face| face.register(email, password));
    }
    for (email, password, code) in [
        ("taken@example.com", "wrong-hole-7", "invalid_credentials"),
        ("x@example.com", PASSWORD, "invalid_credentials"),
        ("x", PASSWORD, "invalid_email"),
        ("x@example.com", &long, "password_too_long"),
    ] {
        asked_of_all(&faces, code, |face| face.login(email, password));
    }
    asked_of_all(&faces, "refresh_reused", |face| {
        let first = face.sign_in("taken@example.com").refresh;
        face.rotate_from(crate::face::LAPTOP, &first).unwrap();
        face.refresh(&first)
    });
    for wrong in ["dwr_forged", "x.y.z"] {
        asked_of_all(&faces, "invalid_token", |face| face.refresh(wrong));
        asked_of_all(&faces, "invalid_token", |face| face.logout(wrong));
    }
    asked_of_all(&faces, "no_token", |face| face.account(None));
    // Whatever its `user_id` is: a back end vouched for it, no password did.
    let plain =
        service.doorward.login(faces[0].account(Some(&faces[0].sign_in("taken@example.com").access)).unwrap().id);
    assert_eq!(service.check(&plain.access), 200);
    for wrong in ["x.y.z", &plain.access] {
        asked_of_all(&faces, "invalid_token", |face| face.account(Some(wrong)));
        asked_of_all(&faces, "invalid_token", |face| face.sessions(wrong));
        asked_of_all(&faces, "invalid_token", |face| face.logout_all(wrong));
    }
    assert_eq!(service.check(&plain.access), 200);
}

// SEC-R11, SEC-S7
fn an_account_and_its_sessions_are_the_same_at_every_face(store: Store) {
    let service = Service::start(store);
    let faces = Of::ALL.map(|of| of.face(&service));
    let id = service.register("alice@example.com");
    let mut begun = faces.each_ref().map(|face| face.sign_in("alice@example.com"));
    let account = faces[0].account(Some(&begun[0].access)).unwrap();
    let sessions = faces[0].sessions(&begun[0].access).unwrap();
    assert_eq!(account.id, id);
    assert_eq!(
        sessions.iter().map(|session| session.id.clone()).collect::<Vec<_>>(),
        begun.each_ref().map(Tokens::sid)
    );
    for face in &faces {
        for tokens in &begun {
            assert_eq!(face.account(Some(&tokens.access)), Ok(account.clone()));
        }
        assert_eq!(face.sessions(&begun[0].access), Ok(sessions.clone()));
    }
    // A refresh token that may stay can be rotated all the same, and stays what it is.
    for tokens in &mut begun {
        for face in &faces[..2] {
            let next = face.refresh(&tokens.refresh).unwrap();
            assert_eq!((next.sid(), next.refresh == tokens.refresh), (tokens.sid(), false));
            *tokens = next;
        }
    }
    let [.., of_graphql] = &begun;
    assert_eq!(faces[2].refresh(&of_graphql.refresh).unwrap().sid(), of_graphql.sid());
    for (face, tokens) in faces.iter().rev().zip(&begun) {
        assert_eq!(service.check(&tokens.access), 200);
        face.logout(&tokens.refresh).unwrap();
        assert_eq!(service.check(&tokens.access), 401);
    }
}
