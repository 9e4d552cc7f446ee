//! The way of a check, and its rare interleavings: ends during lookups, shared lookups; `outages` has those of a failing store.

mod outages;

use std::sync::atomic::Ordering;

use tokio::task::JoinHandle;

use super::*;
use crate::check::cache::Settings;
use crate::check::identity::HeaderSettings;
use crate::check::requirement::Require;
use crate::check::rules::{Allow, RuleSettings};
use crate::check::testing::{self, Bench, START, claims, foreign, get};
use crate::clock::Timestamp;
use crate::token::{Claims, SessionId};
use crate::units::Span;

const SECOND: Duration = Duration::from_secs(1);

/// How a check of `/` with this token ends: `ok`, or the reason.
async fn check(bench: &Bench, token: &str) -> &'static str {
    word(&bench.checker.check(&get("/", token)).await)
}

fn word(decision: &Decision) -> &'static str {
    use crate::fault::Fault;
    match decision {
        Decision::Allow(_) => "ok",
        Decision::Deny(denial) => denial.code(),
    }
}

fn spawn_check(bench: &Bench, token: &'static str) -> JoinHandle<&'static str> {
    let checker = bench.checker.clone();
    tokio::spawn(async move { word(&checker.check(&get("/", token)).await) })
}

fn login(bench: &Bench, token: &str) -> (Claims, SessionId) {
    let claims = claims(token);
    bench.verifier.learn(token, &claims);
    let sid = claims.sid.expect("own");
    (claims, sid)
}

#[tokio::test]
async fn a_warm_check_asks_nobody() {
    let bench = Bench::new(&[]);
    login(&bench, "alice");
    assert!(bench.checker.check_cached(&get("/", "alice")).is_none());
    assert_eq!(check(&bench, "alice").await, "ok");
    for _ in 0..10 {
        let Some(Decision::Allow(Some(identity))) = bench.checker.check_cached(&get("/", "alice")) else {
            panic!("not answered from memory")
        };
        assert_eq!(identity.subject(), "alice");
    }
    assert_eq!((bench.store.asked(), bench.cache_requests("hit"), bench.cache_requests("miss")), (1, 10, 1));
}

#[tokio::test]
async fn what_needs_no_store_is_decided_without_it() {
    let anyone = RuleSettings { path: "/open/**".into(), allow: Some(Allow::Anyone), ..RuleSettings::default() };
    let bench = Bench::new(&[anyone, RuleSettings { path: "/app/**".into(), ..RuleSettings::default() }]);
    bench.store.fail(true);
    let decided = |target, credential| {
        let decision = bench.checker.check_cached(&CheckRequest { credential, ..get(target, "") });
        decision.as_ref().map(word)
    };
    assert_eq!(decided("/open/x", Credential::Unusable), Some("ok"));
    assert_eq!(decided("/app/x", Credential::None), Some("no_token"));
    assert_eq!(decided("/app/x", Credential::Unusable), Some("invalid_token"));
    assert_eq!(decided("/other", Credential::None), Some("forbidden"));
    assert_eq!(decided("/app/../x", Credential::None), Some("bad_path"));
    let huge = "x".repeat(8193);
    assert_eq!(decided("/app/x", Credential::Bearer(&huge)), Some("invalid_token"));
}

// SEC-T18
#[tokio::test]
async fn the_rule_is_asked_on_every_hit() {
    let require = Some(Require { roles: vec!["admin".into()], ..Require::default() });
    let admin = RuleSettings { path: "/admin/**".into(), require, ..RuleSettings::default() };
    let bench = Bench::new(&[admin, RuleSettings::default()]);
    login(&bench, "alice");
    assert_eq!(check(&bench, "alice").await, "ok");
    let cached = |target| bench.checker.check_cached(&get(target, "alice")).as_ref().map(word);
    assert_eq!(cached("/admin/x"), Some("forbidden"));
    assert_eq!(cached("/x"), Some("ok"));
    assert_eq!(cached("/%61dmin/x"), Some("forbidden"));
}

// SEC-T17
#[tokio::test]
async fn a_remembered_token_is_denied_once_it_expires() {
    let bench = Bench::new(&[]);
    let mut short = claims("alice");
    short.expires = START.plus(2 * SECOND);
    bench.verifier.learn("short", &short);
    assert_eq!(check(&bench, "short").await, "ok");
    bench.clock.advance(SECOND);
    assert_eq!(check(&bench, "short").await, "ok");
    bench.clock.advance(SECOND);
    let decision = bench.checker.check_cached(&get("/", "short"));
    assert_eq!(decision.as_ref().map(word), Some("invalid_token"));
}

// SEC-S1
#[tokio::test]
async fn an_end_heard_in_this_process_counts_at_once() {
    let bench = Bench::new(&[]);
    let (_, sid) = login(&bench, "alice");
    login(&bench, "bob");
    assert_eq!((check(&bench, "alice").await, check(&bench, "bob").await), ("ok", "ok"));
    bench.store.end(sid);
    bench.checker.hear(&Entry::Session(sid));
    assert_eq!((check(&bench, "alice").await, check(&bench, "bob").await), ("invalid_token", "ok"));
}

// SEC-S1, SEC-F1
#[tokio::test]
async fn the_token_of_a_session_that_ended_is_denied_from_memory_and_of_a_doubted_subject_the_store_is_asked() {
    let bench = Bench::new(&[]);
    let (alice, sid) = login(&bench, "alice");
    assert_eq!(check(&bench, "alice").await, "ok");
    let asked = bench.store.asked();
    bench.checker.hear(&Entry::Subject(alice.tag()));
    assert_eq!(check(&bench, "alice").await, "ok", "this one the store still knows");
    assert_eq!(bench.store.asked(), asked + 1);
    bench.store.end(sid);
    bench.checker.hear(&Entry::Session(sid));
    bench.store.fail(true);
    assert_eq!(check(&bench, "alice").await, "invalid_token", "though the store can't be asked");
    assert_eq!(bench.store.asked(), asked + 1);
}

// SEC-S2
#[tokio::test]
async fn an_end_that_arrives_during_a_lookup_wins() {
    let bench = Bench::new(&[]);
    let (claims, sid) = login(&bench, "alice");
    for entry in [Entry::Session(sid), Entry::Subject(claims.tag()), Entry::Everything] {
        bench.checker.hear(&Entry::Everything);
        bench.store.shut().await;
        let under_way = spawn_check(&bench, "alice");
        bench.store.until_asked().await;
        // The store has said `Live` already, when the end comes by the log, before its answer does.
        bench.checker.hear(&entry);
        let asked = bench.store.asked();
        bench.store.open();
        assert_eq!(under_way.await.expect("no panic"), "ok", "the session does live; the store was asked again");
        bench.store.until_asked().await;
        assert_eq!(bench.store.asked(), asked + 1);
    }
    bench.checker.hear(&Entry::Everything);
    bench.store.shut().await;
    let under_way = spawn_check(&bench, "alice");
    bench.store.until_asked().await;
    bench.store.end(sid);
    bench.checker.hear(&Entry::Session(sid));
    bench.store.open();
    assert_eq!(under_way.await.expect("no panic"), "invalid_token");
    assert_eq!(check(&bench, "alice").await, "invalid_token");
}

// SEC-K3, SEC-S2
#[tokio::test]
async fn a_removed_key_ends_its_tokens_also_those_being_looked_up() {
    let bench = Bench::new(&[]);
    login(&bench, "alice");
    login(&bench, "bob");
    assert_eq!(check(&bench, "bob").await, "ok");
    bench.store.until_asked().await;
    bench.store.shut().await;
    let under_way = spawn_check(&bench, "alice");
    bench.store.until_asked().await;
    bench.checker.hear(&Entry::Key("k1".into()));
    bench.store.open();
    assert_eq!(under_way.await.expect("no panic"), "invalid_token");
    assert_eq!(check(&bench, "bob").await, "invalid_token");
}

// SEC-F4
#[tokio::test]
async fn past_the_bound_a_hit_asks_the_store_again() {
    let bench = Bench::new(&[]);
    let (_, sid) = login(&bench, "alice");
    assert_eq!(check(&bench, "alice").await, "ok");
    bench.clock.advance(5 * SECOND);
    assert!(bench.checker.check_cached(&get("/", "alice")).is_some(), "still within the bound");
    bench.clock.advance(SECOND);
    assert!(bench.checker.check_cached(&get("/", "alice")).is_none());
    assert_eq!(check(&bench, "alice").await, "ok");
    assert_eq!((bench.store.asked(), bench.cache_requests("stale")), (2, 1));
    assert!(bench.checker.check_cached(&get("/", "alice")).is_some(), "what the store said now is fresh for a while");
    bench.store.end(sid);
    bench.clock.advance(6 * SECOND);
    assert_eq!(check(&bench, "alice").await, "invalid_token", "no log told it, but the bound held");
}

#[tokio::test]
async fn concurrent_misses_of_one_token_ask_the_store_once() {
    let bench = Bench::new(&[]);
    login(&bench, "alice");
    bench.store.shut().await;
    let waiters: Vec<_> = (0..50).map(|_| spawn_check(&bench, "alice")).collect();
    bench.store.until_asked().await;
    tokio::task::yield_now().await;
    bench.store.open();
    for waiter in waiters {
        assert_eq!(waiter.await.expect("no panic"), "ok");
    }
    assert_eq!(bench.store.asked(), 1);
}

// SEC-D6: what waits has cost no signature yet, and is not given up for having waited.
#[tokio::test]
async fn a_flood_of_unknown_tokens_is_looked_up_a_part_at_a_time() {
    let bench = Bench::new(&[]);
    let names: &[String] = (0..200).map(|n| format!("user{n}")).collect::<Vec<_>>().leak();
    names.iter().for_each(|name| drop(login(&bench, name)));
    bench.store.shut().await;
    let flood: Vec<_> = names.iter().map(|name| spawn_check(&bench, name)).collect();
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    let at_work = bench.store.asked();
    bench.store.open();
    for check in flood {
        assert_eq!(check.await.expect("no panic"), "ok");
    }
    assert_eq!((at_work, bench.store.asked()), (128, 200));
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_take_the_others_answer_along() {
    let bench = Bench::new(&[]);
    login(&bench, "alice");
    bench.store.shut().await;
    let leader = spawn_check(&bench, "alice");
    bench.store.until_asked().await;
    let waiter = spawn_check(&bench, "alice");
    tokio::task::yield_now().await;
    leader.abort();
    bench.store.until_asked().await;
    bench.store.open();
    assert_eq!(waiter.await.expect("no panic"), "ok");
}

// SEC-S6
#[tokio::test]
async fn past_its_idle_end_a_session_is_asked_for_and_not_passed_in_an_outage() {
    let bench = Bench::new(&[]);
    login(&bench, "alice");
    bench.store.idle_left.store(3, Ordering::SeqCst);
    assert_eq!(check(&bench, "alice").await, "ok");
    bench.clock.advance(3 * SECOND);
    bench.sync();
    assert!(bench.checker.check_cached(&get("/", "alice")).is_none());
    bench.store.fail(true);
    assert_eq!(check(&bench, "alice").await, "unavailable");
}

// SEC-T20
#[tokio::test]
async fn another_issuers_token_from_before_the_store_began_is_denied() {
    let bench = Bench::new(&[]);
    bench.verifier.learn("old", &foreign("alice", START.minus(SECOND)));
    bench.verifier.learn("new", &foreign("alice", START));
    assert_eq!((check(&bench, "old").await, check(&bench, "new").await), ("invalid_token", "ok"));
    let mut flushed = testing::batch(Vec::new(), true);
    flushed.proof.as_mut().expect("proven").store_began = START.plus(SECOND);
    bench.checker.hear_batch(&flushed, bench.clock.monotonic());
    assert_eq!(check(&bench, "new").await, "invalid_token");
}

// SEC-T5
#[tokio::test]
async fn an_unknown_key_is_fetched_for_once() {
    let bench = Bench::new(&[]);
    bench.verifier.learn_when_fetched("alice", &claims("alice"));
    assert_eq!(check(&bench, "alice").await, "ok");
    assert_eq!(check(&bench, "nobody").await, "invalid_token");
    assert_eq!(bench.verifier.fetches.load(Ordering::SeqCst), 2);
    assert_eq!(bench.store.asked(), 1, "junk does not reach the store");
}

// SEC-N4
#[tokio::test]
async fn before_our_keys_are_known_nothing_is_said_about_a_token() {
    let bench = Bench::new(&[]);
    bench.verifier.unready.store(true, Ordering::SeqCst);
    assert_eq!(check(&bench, "alice").await, "unavailable");
    assert_eq!(bench.checker.ready(), Readiness { keys: false, state: true });
}

// SEC-P14
#[tokio::test]
async fn a_reload_changes_rules_at_once_and_new_headers_empty_the_cache() {
    let bench = Bench::new(&[]);
    login(&bench, "alice");
    assert_eq!(check(&bench, "alice").await, "ok");
    let require = Some(Require { roles: vec!["admin".into()], ..Require::default() });
    let rules = [RuleSettings { require, ..RuleSettings::default() }];
    let plan = |settings: &HeaderSettings| HeaderPlan::new(settings).expect("a plan");
    let compiled = |rules: &[RuleSettings]| Policy::compile(rules, false).expect("rules");
    bench.checker.reload(compiled(&rules), plan(&HeaderSettings::default()));
    assert_eq!(check(&bench, "alice").await, "forbidden");
    assert_eq!(bench.store.asked(), 1, "the same headers: nothing is looked up anew");
    let user = HeaderSettings::Map([("X-User".to_owned(), "sub".to_owned())].into());
    bench.checker.reload(compiled(&[]), plan(&user));
    let Decision::Allow(Some(identity)) = bench.checker.check(&get("/", "alice")).await else { panic!("denied") };
    assert_eq!(identity.headers().count(), 1);
    assert_eq!(bench.checker.header_names()[0], "x-user");
}

// SEC-P9
#[tokio::test]
async fn a_token_whose_claims_can_not_be_told_to_the_upstream_is_denied() {
    let bench = Bench::new(&[]);
    bench.verifier.learn("odd", &claims("a,b"));
    assert_eq!(check(&bench, "odd").await, "invalid_token");
}

// SEC-F11
#[tokio::test]
async fn no_jump_of_the_clock_panics() {
    let bench = Bench::new(&[]);
    let mut late = claims("alice");
    late.expires = Timestamp(u64::MAX);
    bench.verifier.learn("late", &late);
    assert_eq!(check(&bench, "late").await, "ok");
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(check(&bench, "late").await, "ok");
}
