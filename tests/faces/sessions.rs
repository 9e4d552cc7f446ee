//! An account's own sessions: the list, ending one or all, how many there may be.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::at_every_face;
use crate::face::{Device, LAPTOP, refused};
use crate::scene::{At, Scene};
use crate::service::{PASSWORD, at_once};

at_every_face!(
    sessions_are_seen_and_ended_by_their_owner_only,
    logout_all_ends_every_session_at_once,
    the_session_limit_holds_under_parallel_logins,
    at_the_limit_parallel_logins_may_be_refused_instead,
);

const AFAR: Device = Device { agent: "curl", ip: Ipv4Addr::new(203, 0, 113, 9) };

// SEC-S7
fn sessions_are_seen_and_ended_by_their_owner_only(at: At) {
    let Scene { face, service } = at.start();
    for email in ["alice@example.com", "mallory@example.com"] {
        service.register(email);
    }
    let (first, mallory) = (face.sign_in("alice@example.com"), face.sign_in("mallory@example.com"));
    let second = face.login_from(AFAR, None, "alice@example.com", PASSWORD).unwrap();
    let seen = face.sessions(&second.access).unwrap();
    let told: Vec<_> = seen.iter().map(|session| (&session.id, session.ip, session.current)).collect();
    let ip = |device: Device| Some(device.ip.into());
    assert_eq!(told, [(&first.sid(), ip(LAPTOP), false), (&second.sid(), ip(AFAR), true)]);
    assert!(seen[0].agent.starts_with(LAPTOP.agent) && seen[1].agent.starts_with(AFAR.agent), "{seen:?}");
    assert!(seen.iter().all(|session| session.created < session.ends), "{seen:?}");

    let end = |id: &str| refused(face.end_session(&first.access, id), "session_not_found");
    let not_mine = [mallory.sid().as_str(), "Nt9MwMDsDuMPAJMTLEWyfDlifQOo1C0m", "x"].map(end);
    assert_eq!(service.check(&second.access), 200);
    face.end_session(&first.access, &second.sid()).unwrap();
    assert_eq!([not_mine[0].clone(), not_mine[1].clone(), end(&second.sid())], [&not_mine[2]; 3].map(Clone::clone));
    refused(face.refresh(&second.refresh), "invalid_token");
    refused(face.account(Some(&second.access)), "invalid_token");
    let checked = [&first, &second, &mallory].map(|tokens| service.check(&tokens.access));
    assert_eq!(checked, [200, 401, 200]);
}

// SEC-S4
fn logout_all_ends_every_session_at_once(at: At) {
    let Scene { face, service } = at.start();
    for email in ["alice@example.com", "bob@example.com"] {
        service.register(email);
    }
    let sessions: Vec<_> = (0..3).map(|_| face.sign_in("alice@example.com")).collect();
    let bob = face.sign_in("bob@example.com");
    for session in &sessions {
        assert_eq!(service.check(&session.access), 200);
    }
    assert_eq!(face.logout_all(&sessions[0].access), Ok(3));
    for session in &sessions {
        assert_eq!(service.check(&session.access), 401);
        refused(face.account(Some(&session.access)), "invalid_token");
        refused(face.refresh(&session.refresh), "invalid_token");
    }
    assert_eq!(service.check(&bob.access), 200);
    assert_eq!(service.check(&face.sign_in("alice@example.com").access), 200, "a new login counts");
}

// SEC-S5
fn the_session_limit_holds_under_parallel_logins(at: At) {
    let auth = json!({"max_sessions_per_user": 3, "passwords": {"concurrency": 4}});
    let Scene { face, service } = at.start_with(json!({"auth": auth}));
    service.register("alice@example.com");
    let opened = at_once(12, |_| face.sign_in("alice@example.com"));
    let live: Vec<_> = opened.iter().filter(|tokens| service.check(&tokens.access) == 200).collect();
    assert_eq!(live.len(), 3);
    assert_eq!(face.sessions(&live[0].access).unwrap().len(), 3);
    // The newest have the places: who has just come in is not put out by those who came before.
    let last = face.sign_in("alice@example.com");
    assert_eq!((service.check(&last.access), face.sessions(&last.access).unwrap().len()), (200, 3));
}

// SEC-S5
fn at_the_limit_parallel_logins_may_be_refused_instead(at: At) {
    let auth = json!({"max_sessions_per_user": 2, "at_session_limit": "refuse"});
    let Scene { face, service } = at.start_with(json!({"auth": auth}));
    service.register("alice@example.com");
    let (opened, refusals): (Vec<_>, Vec<_>) =
        at_once(6, |_| face.login("alice@example.com", PASSWORD)).into_iter().partition(Result::is_ok);
    assert_eq!(opened.len(), 2, "{refusals:?}");
    for refusal in refusals {
        refused(refusal, "session_limit");
    }
    let opened: Vec<_> = opened.into_iter().flatten().collect();
    assert!(opened.iter().all(|tokens| service.check(&tokens.access) == 200));
    face.logout(&opened[0].refresh).unwrap();
    face.sign_in("alice@example.com");
}
