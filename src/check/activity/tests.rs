//! Activity: one write a session and interval, repeated after a failure, and what it does to the idle end.

use std::sync::atomic::Ordering;

use super::*;
use crate::check::Decision;
use crate::check::testing::{Bench, claims, get};

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(60);

fn activity(bench: &Bench) -> Activity {
    Activity::new(bench.checker.clone(), IDLE, 30 * SECOND)
}

async fn is_allowed(bench: &Bench, token: &str) -> bool {
    matches!(bench.checker.check(&get("/", token)).await, Decision::Allow(Some(_)))
}

fn is_remembered(bench: &Bench, token: &str) -> bool {
    bench.checker.check_cached(&get("/", token)).is_some()
}

fn written(bench: &Bench) -> Vec<u64> {
    bench.store.touched.lock().expect("no panic").drain(..).map(|(_, at)| at.0 % 100_000).collect()
}

// SEC-S6
#[tokio::test]
async fn many_checks_make_one_write() {
    let bench = Bench::new(&[]);
    bench.verifier.learn("alice", &claims("alice"));
    let activity = activity(&bench);
    for _ in 0..5 {
        assert!(is_allowed(&bench, "alice").await);
        bench.clock.advance(SECOND / 2);
    }
    activity.flush().await;
    assert_eq!(written(&bench), [2000], "the latest second");
    activity.flush().await;
    assert!(written(&bench).is_empty(), "nothing was used since");
}

#[tokio::test]
async fn a_write_that_fails_is_repeated() {
    let bench = Bench::new(&[]);
    for token in ["alice", "bob"] {
        bench.verifier.learn(token, &claims(token));
        assert!(is_allowed(&bench, token).await);
    }
    let activity = activity(&bench);
    bench.store.fail(true);
    activity.flush().await;
    bench.clock.advance(SECOND);
    assert!(is_allowed(&bench, "alice").await);
    bench.store.fail(false);
    activity.flush().await;
    let mut uses = written(&bench);
    uses.sort_unstable();
    assert_eq!(uses, [0, 1000]);
}

// SEC-R10, SEC-S6
#[tokio::test]
async fn a_session_in_use_lives_on_by_written_uses_alone() {
    let bench = Bench::new(&[]);
    bench.verifier.learn("alice", &claims("alice"));
    bench.store.idle_left.store(IDLE.as_secs(), Ordering::SeqCst);
    let activity = activity(&bench);
    for _ in 0..10 {
        assert!(is_allowed(&bench, "alice").await);
        activity.flush().await;
        bench.clock.advance(15 * SECOND);
        bench.sync();
    }
    assert_eq!(bench.store.asked(), 1, "written in time, it never seems idle here");
    for _ in 0..3 {
        assert!(is_allowed(&bench, "alice").await);
        bench.clock.advance(15 * SECOND);
        bench.sync();
    }
    assert!(!is_remembered(&bench, "alice"), "unwritten uses extend nothing");
}

#[tokio::test]
async fn a_session_near_its_idle_end_is_asked_for_instead_of_extended() {
    let bench = Bench::new(&[]);
    bench.verifier.learn("alice", &claims("alice"));
    bench.store.idle_left.store(IDLE.as_secs() / 4, Ordering::SeqCst);
    assert!(is_allowed(&bench, "alice").await);
    // The store may have ended it meanwhile by its own clock; its answer to the write does not tell.
    activity(&bench).flush().await;
    bench.clock.advance(15 * SECOND);
    bench.sync();
    assert!(!is_remembered(&bench, "alice"));
}

#[tokio::test]
async fn the_last_uses_are_written_at_the_end() {
    let bench = Bench::new(&[]);
    bench.verifier.learn("alice", &claims("alice"));
    assert!(is_allowed(&bench, "alice").await);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(activity(&bench).run(shutdown.clone()));
    shutdown.cancel();
    task.await.expect("no panic");
    assert_eq!(written(&bench).len(), 1);
}
