//! Following the log: what each kind of answer does to memory and to freshness.

use std::sync::atomic::Ordering;

use super::*;
use crate::check::Decision;
use crate::check::testing::{Bench, batch, claims, get};
use crate::state::Entry;
use crate::token::{SessionId, SubjectTag};

const SECOND: Duration = Duration::from_secs(1);

fn follower(bench: &Bench) -> Follower {
    Follower::new(bench.checker.clone(), bench.metrics.clone(), 5 * SECOND)
}

async fn is_allowed(bench: &Bench, token: &str) -> bool {
    matches!(bench.checker.check(&get("/", token)).await, Decision::Allow(Some(_)))
}

fn is_remembered(bench: &Bench, token: &str) -> bool {
    matches!(bench.checker.check_cached(&get("/", token)), Some(Decision::Allow(_)))
}

// SEC-S1, SEC-S3
#[tokio::test]
async fn entries_end_what_they_name_and_a_gap_ends_all() {
    let bench = Bench::new(&[]);
    let (alice, bob) = (claims("alice"), claims("bob"));
    bench.verifier.learn("alice", &alice);
    bench.verifier.learn("bob", &bob);
    let mut follower = follower(&bench);
    follower.step().await;
    assert!(is_allowed(&bench, "alice").await && is_allowed(&bench, "bob").await);
    bench.store.batches.lock().unwrap().push(batch(vec![Entry::Session(alice.sid.expect("own"))], false));
    follower.step().await;
    assert!(!is_remembered(&bench, "alice") && is_remembered(&bench, "bob"));
    bench.store.batches.lock().unwrap().push(batch(Vec::new(), true));
    follower.step().await;
    assert!(!is_remembered(&bench, "bob"));
}

#[tokio::test]
async fn an_empty_answer_is_as_fresh_as_a_full_one_but_a_part_of_the_log_is_not() {
    let bench = Bench::new(&[]);
    let mut follower = follower(&bench);
    follower.step().await;
    bench.clock.advance(7 * SECOND);
    let some = |count| {
        (0..count).map(|n| Entry::Session(SessionId::fresh(SubjectTag::of("i", &n.to_string())))).collect::<Vec<_>>()
    };
    bench.store.batches.lock().unwrap().push(batch(some(LogBatch::FULL), false));
    follower.step().await;
    assert_eq!(bench.checker.staleness(), Some(7 * SECOND), "more may be left in the log");
    bench.store.batches.lock().unwrap().push(batch(some(3), false));
    follower.step().await;
    assert_eq!(bench.checker.staleness(), Some(Duration::ZERO));
    bench.clock.advance(7 * SECOND);
    follower.step().await;
    assert_eq!(bench.checker.staleness(), Some(Duration::ZERO));
}

// SEC-S1, SEC-S3
#[tokio::test]
async fn an_unproven_answer_ends_what_it_names_and_proves_nothing() {
    let bench = Bench::new(&[]);
    let alice = claims("alice");
    bench.verifier.learn("alice", &alice);
    let mut follower = follower(&bench);
    follower.step().await;
    assert!(is_allowed(&bench, "alice").await);
    bench.clock.advance(SECOND);
    let unproven = LogBatch { proof: None, ..batch(vec![Entry::Session(alice.sid.expect("own"))], false) };
    bench.store.batches.lock().unwrap().push(unproven);
    assert_eq!(follower.step().await, None, "it reads on at once");
    assert!(!is_remembered(&bench, "alice"));
    assert_eq!(bench.checker.staleness(), Some(SECOND));
}

// SEC-F1
#[tokio::test]
async fn a_failing_log_makes_us_stale_and_says_so() {
    let bench = Bench::new(&[]);
    let mut follower = follower(&bench);
    assert_eq!(follower.step().await, None);
    assert_eq!(bench.metrics.state_up.get(), 1);
    bench.store.fail(true);
    bench.clock.advance(7 * SECOND);
    let pauses: Vec<Duration> =
        [follower.step().await, follower.step().await, follower.step().await].map(Option::unwrap).into();
    assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE && !pause.is_zero()), "{pauses:?}");
    assert_eq!(bench.metrics.state_up.get(), 0);
    assert_eq!(bench.metrics.revocation_staleness.get(), 7.0);
    bench.store.fail(false);
    follower.step().await;
    assert_eq!((bench.metrics.state_up.get(), bench.metrics.revocation_staleness.get()), (1, 0.0));
}

// SEC-F2
#[tokio::test]
async fn a_store_that_says_nothing_is_not_waited_for_for_ever() {
    let bench = Bench::new(&[]);
    let mut follower = follower(&bench);
    bench.store.hang(true);
    assert!(follower.step().await.is_some());
    assert_eq!(bench.metrics.state_up.get(), 0);
}

#[tokio::test]
async fn it_stops_when_told() {
    let bench = Bench::new(&[]);
    bench.store.hanging.store(true, Ordering::SeqCst);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(follower(&bench).run(shutdown.clone()));
    shutdown.cancel();
    task.await.expect("no panic");
}
