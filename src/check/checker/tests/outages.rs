//! What a checker answers while its store fails or says nothing.

use super::*;

// SEC-F1, SEC-F13
#[tokio::test]
async fn while_the_store_is_out_remembered_tokens_pass_until_the_error_bound() {
    let bench = Bench::new(&[]);
    login(&bench, "alice");
    login(&bench, "late");
    assert_eq!(check(&bench, "alice").await, "ok");
    bench.store.fail(true);
    assert_eq!(check(&bench, "late").await, "unavailable", "never seen before the outage");
    bench.clock.advance(30 * SECOND);
    assert_eq!(check(&bench, "alice").await, "ok");
    assert_eq!(bench.cache_requests("outage"), 1);
    bench.clock.advance(SECOND);
    assert_eq!(check(&bench, "alice").await, "unavailable");
    assert!(!bench.checker.ready().is_ready());
    bench.store.fail(false);
    bench.clock.advance(SECOND);
    assert_eq!(check(&bench, "alice").await, "ok");
}

// SEC-F13
#[tokio::test]
async fn an_outage_lets_nothing_pass_that_was_ended_or_has_expired() {
    let bench = Bench::new(&[]);
    let (_, sid) = login(&bench, "alice");
    let mut short = claims("bob");
    short.expires = START.plus(8 * SECOND);
    bench.verifier.learn("short", &short);
    assert_eq!((check(&bench, "alice").await, check(&bench, "short").await), ("ok", "ok"));
    bench.store.fail(true);
    bench.checker.hear(&Entry::Session(sid));
    bench.clock.advance(9 * SECOND);
    assert_eq!((check(&bench, "alice").await, check(&bench, "short").await), ("invalid_token", "invalid_token"));
}

// SEC-S2, SEC-F13
#[tokio::test]
async fn what_ends_while_a_failing_store_is_asked_is_not_answered_from_memory() {
    let bench = Bench::new(&[]);
    let (_, sid) = login(&bench, "alice");
    login(&bench, "bob");
    assert_eq!(check(&bench, "alice").await, "ok");
    bench.store.idle_left.store(10, Ordering::SeqCst);
    assert_eq!(check(&bench, "bob").await, "ok");
    bench.store.entered.forget_permits(2);
    bench.clock.advance(6 * SECOND);
    bench.store.shut().await;
    bench.store.fail(true);
    let under_way = [spawn_check(&bench, "alice"), spawn_check(&bench, "bob")];
    bench.store.until_asked().await;
    bench.store.until_asked().await;
    bench.checker.hear(&Entry::Session(sid));
    bench.clock.advance(5 * SECOND); // beyond bob's idle end
    bench.store.open();
    for check in under_way {
        assert_eq!(check.await.expect("no panic"), "unavailable");
    }
}

#[tokio::test]
async fn an_error_bound_of_zero_lets_nothing_pass_beyond_the_bound() {
    let settings = Settings { max_staleness_on_error: Span::secs(0), ..Settings::default() };
    let bench = Bench::with(&[], settings);
    login(&bench, "alice");
    assert_eq!(check(&bench, "alice").await, "ok");
    bench.store.fail(true);
    bench.clock.advance(6 * SECOND);
    assert_eq!(check(&bench, "alice").await, "unavailable");
}

// SEC-F2
#[tokio::test]
async fn a_frozen_store_costs_only_the_first_few_their_budget() {
    let bench = Bench::new(&[]);
    let tokens = ["a", "b", "c", "d", "e", "f"];
    for token in tokens {
        login(&bench, token);
    }
    bench.store.hang(true);
    for token in &tokens[..3] {
        assert_eq!(check(&bench, token).await, "unavailable");
    }
    assert_eq!(bench.store.asked(), 3);
    for token in tokens {
        assert_eq!(check(&bench, token).await, "unavailable");
    }
    assert_eq!(bench.store.asked(), 3, "the open breaker asks nobody");
    bench.store.hang(false);
    assert_eq!(check(&bench, "a").await, "unavailable");
    bench.clock.advance(SECOND);
    assert_eq!(check(&bench, "a").await, "ok", "a probe went through, and closed it");
    assert_eq!(check(&bench, "b").await, "ok");
}
