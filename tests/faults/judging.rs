//! The judge of histories itself: it finds what is planted, and excuses only what the docs announce.

use std::time::{Duration, Instant};

use crate::harness::history::{Deed, Event, History, Outcome, Terms};

const TERMS: Terms = Terms { bound: Duration::from_secs(3), grace: Duration::from_secs(3), forgets: false };

/// Events a second apart, each answered after 100 ms, on nodes 0 and 1 by turns.
fn history(events: &[(Deed, Outcome)]) -> History {
    let begun = Instant::now();
    let event = |(number, (deed, outcome)): (u32, &(Deed, Outcome))| {
        let asked = begun + Duration::from_secs(1) * number;
        let answered = asked + Duration::from_millis(100);
        Event { node: number as usize % 2, asked, answered, deed: deed.clone(), outcome: outcome.clone() }
    };
    History { events: (0..).zip(events).map(event).collect() }
}

fn refresh(shown: &str, given: &str) -> (Deed, Outcome) {
    (Deed::Refresh(shown.into()), Outcome::Given(given.into()))
}

fn lost(shown: &str) -> (Deed, Outcome) {
    (Deed::Refresh(shown.into()), Outcome::Unknown)
}

fn refused(deed: Deed) -> (Deed, Outcome) {
    (deed, Outcome::Refused("401".into()))
}

const PASSED: (Deed, Outcome) = (Deed::Check, Outcome::Passed);
const LOGOUT: (Deed, Outcome) = (Deed::Logout, Outcome::Passed);

#[track_caller]
fn broken(events: &[(Deed, Outcome)], terms: Terms, expected: &[&str]) {
    let judgement = history(events).judge(terms);
    let found = judgement.broken.iter().filter(|line| !line.starts_with("in "));
    let found: Vec<_> = found.map(String::as_str).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(found.iter().zip(expected).all(|(found, expected)| found.contains(expected)), "{found:#?}");
}

// SEC-U3
#[test]
fn what_is_promised_is_no_offence() {
    let life = [
        (Deed::Login, Outcome::Given("a".into())),
        PASSED,
        lost("a"),
        refresh("a", "b"),
        refresh("b", "c"),
        LOGOUT,
        PASSED,
        refused(Deed::Check),
        refused(Deed::Refresh("c".into())),
        refused(Deed::Check),
    ];
    broken(&life, TERMS, &[]);
    let theft = [refresh("a", "b"), refresh("b", "c"), refused(Deed::Replay("a".into())), refused(Deed::Check)];
    broken(&theft, TERMS, &[]);
}

// SEC-U3
#[test]
fn each_broken_promise_is_found() {
    broken(&[refresh("a", "b"), refresh("a", "c")], TERMS, &["a second successor"]);
    broken(&[PASSED, refused(Deed::Check)], TERMS, &["an honest client"]);
    broken(&[refresh("a", "b"), refused(Deed::Refresh("b".into()))], TERMS, &["an honest client"]);
    broken(&[LOGOUT, refresh("a", "b")], TERMS, &["answered this"]);
    broken(&[(Deed::Replay("a".into()), Outcome::Given("b".into()))], TERMS, &["a thief"]);
    broken(&[refused(Deed::Logout)], TERMS, &["what can't be wrong"]);
    // On another node within the bound, on the same node at once.
    broken(&[LOGOUT, PASSED], TERMS, &[]);
    broken(&[LOGOUT, PASSED, PASSED], TERMS, &["answered this"]);
    broken(&[LOGOUT, PASSED, refused(Deed::Check), PASSED, refused(Deed::Check), PASSED], TERMS, &["answered this"]);
    let caught = refused(Deed::Replay("a".into()));
    broken(&[caught, PASSED, PASSED], TERMS, &["answered this"]);
}

#[test]
fn only_what_the_docs_announce_is_excused() {
    let late = [lost("a"), lost("a"), lost("a"), refused(Deed::Refresh("a".into())), refused(Deed::Check)];
    broken(&late, TERMS, &[]);
    assert_eq!(history(&late).judge(TERMS).excused, 2);
    broken(&late[1..4], TERMS, &["an honest client"]);
    let forgetful = Terms { forgets: true, ..TERMS };
    broken(&[PASSED, refused(Deed::Check)], forgetful, &[]);
    broken(&[LOGOUT, refresh("a", "b")], forgetful, &["answered this"]);
    let caught = refused(Deed::Replay("a".into()));
    broken(&[caught.clone(), refresh("a", "b")], forgetful, &[]);
    broken(&[caught, refresh("a", "b")], TERMS, &["answered this"]);
    broken(&[refresh("a", "b"), refresh("a", "c")], forgetful, &["a second successor"]);
}
