//! Registering and signing in, from the first to the last moment of a session; and what strangers learn by trying.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::at_every_face;
use crate::face::{Face, LAPTOP, refused};
use crate::scene::{Admin, At, Of, Scene};
use crate::service::{PASSWORD, Store, at_once};

at_every_face!(
    a_new_account_signs_in_is_let_pass_and_logs_out,
    of_parallel_registrations_one_makes_an_account,
    unknown_wrong_disabled_locked_and_passwordless_accounts_get_one_answer,
);

// SEC-L7, SEC-S4
fn a_new_account_signs_in_is_let_pass_and_logs_out(at: At) {
    let Scene { face, service } = at.start();
    face.register("Alice@Example.com", PASSWORD).unwrap();
    refused(face.register("ALICE@example.com", PASSWORD), "email_taken");
    let first = face.sign_in("alice@example.com");
    let claims = first.claims();
    let account = face.account(Some(&first.access)).unwrap();
    assert_eq!((account.email.as_str(), account.confirmed), ("alice@example.com", false));
    assert_eq!((&claims["sub"], &claims["amr"], claims.get("user_id")), (&json!(account.id), &json!(["pwd"]), None));
    // A token that comes with a login is no session to go on with.
    let other = face.login_from(LAPTOP, Some(&first.access), "ALICE@example.com", PASSWORD).unwrap();
    assert_ne!(other.sid(), first.sid());
    let renewed = face.refresh(&first.refresh).unwrap();
    assert_eq!((renewed.sid(), service.check(&first.access), service.check(&renewed.access)), (first.sid(), 200, 200));
    // The spent one serves too.
    for refresh in [&first.refresh, &renewed.refresh, &renewed.refresh] {
        face.logout(refresh).expect("again is fine");
    }
    assert_eq!((service.check(&first.access), service.check(&renewed.access)), (401, 401));
    refused(face.refresh(&renewed.refresh), "invalid_token");
    refused(face.account(Some(&renewed.access)), "invalid_token");
    refused(face.account(Some(&other.refresh)), "invalid_token");
    refused(face.refresh(&other.access), "invalid_token");
    refused(face.account(None), "no_token");
    assert_eq!(service.check(&other.access), 200);
}

// SEC-L6
fn of_parallel_registrations_one_makes_an_account(at: At) {
    let Scene { face, service } = at.start();
    let answers =
        at_once(8, |at| face.register(if at % 2 == 0 { "bob@example.com" } else { "BOB@example.com" }, PASSWORD));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for answer in answers.into_iter().filter(Result::is_err) {
        refused(answer, "email_taken");
    }
    assert_eq!(service.check(&face.sign_in("bob@example.com").access), 200);
}

// SEC-L4
fn unknown_wrong_disabled_locked_and_passwordless_accounts_get_one_answer(at: At) {
    let Scene { face, service } =
        at.start_limited(json!({"limits": {"auth": "600/min", "lockout": {"after": 1, "for": "15m"}}}));
    let admin = Admin::of(&service);
    service.register("ivan@example.com");
    admin.set_disabled(&service.register("judy@example.com"), true);
    admin.make("mallory@example.com");
    let tried = |email, password| refused(face.login(email, password), "invalid_credentials");
    let unknown = tried("nobody@example.com", PASSWORD);
    let wrong = tried("ivan@example.com", "another-hole-8");
    let locked = tried("ivan@example.com", PASSWORD);
    let disabled = tried("judy@example.com", PASSWORD);
    let passwordless = tried("mallory@example.com", PASSWORD);
    assert_eq!([&wrong, &locked, &disabled, &passwordless], [&unknown; 4]);
}

// On one store of each kind that attempts are counted in: so many hashes take their time, and all faces ask the one domain.
at_every_face!(once: a_wrong_password_takes_as_long_as_an_unknown_account);

/// The times are compared with one another in one run, turn by turn, so that a busy machine is busy for both alike. What it does by
/// chance differs from round to round; what the service tells would be there in each.
// SEC-L4
fn a_wrong_password_takes_as_long_as_an_unknown_account(of: Of) {
    for store in [Store::Postgres, Store::SqliteAndRedis] {
        let generous = json!({"limits": {"auth": "100000/min", "lockout": {"after": 100_000, "for": "15m"}}});
        let Scene { face, service } = At { face: of, store }.start_limited(generous);
        service.register("niaj@example.com");
        let mut ratios = Vec::new();
        while !ratios.last().is_some_and(|ratio| (0.9..=1.1).contains(ratio)) {
            assert!(
                ratios.len() < 10,
                "on {store:?} a known account takes {ratios:.3?} times as long as an unknown one"
            );
            ratios.push(known_to_unknown(&*face));
        }
    }
}

/// How much longer fifty wrong passwords of an account take than fifty of none.
fn known_to_unknown(face: &dyn Face) -> f64 {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..50 {
        for (email, times) in ["niaj@example.com", "nobody@example.com"].iter().zip(&mut times) {
            let began = Instant::now();
            refused(face.login(email, "another-hole-8"), "invalid_credentials");
            times.push(began.elapsed());
        }
    }
    // The middle half: what the machine did meanwhile falls into the tails.
    let [known, unknown] = times.map(|mut times| {
        times.sort_unstable();
        times[12..38].iter().map(Duration::as_secs_f64).sum::<f64>()
    });
    known / unknown
}
