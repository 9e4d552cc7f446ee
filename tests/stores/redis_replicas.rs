//! Redis with replicas: a logout is answered only when as many have seen it as configured. And the cluster's second step.

use std::time::{Duration, Instant};

use doorward::state::redis::RedisState;
use doorward::state::{
    Cause, Entry, Lookups, Opened, Position, Rotation, Session, SessionRules, Sessions, Settings, StateError, Written,
};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, SubjectTag};

use crate::kit::{RULES, confirmed, eventually, insist, lives, ms, new_session, open, redis, redis_with, salt};
use crate::log::{read, start};
use crate::redis::{RedisServer, Sentinel, available};

async fn waiting_for_one(server: &RedisServer) -> RedisState {
    redis_with(&Settings { url: server.url(), wait_replicas: 1, ..Settings::default() }).await
}

fn with_replica() -> (RedisServer, RedisServer) {
    let primary = RedisServer::start();
    let replica = RedisServer::start_replica_of(&primary);
    (primary, replica)
}

// SEC-F5
#[tokio::test]
async fn without_the_replicas_asked_for_nothing_that_ends_is_confirmed() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = waiting_for_one(&server).await;
    let session = open(&state, "alice").await;
    // Where Redis itself does not say so in time, nothing is confirmed either.
    let none = |answer: &Result<(), StateError>| {
        matches!(answer, Err(StateError::NotReplicated { seen: 0, wanted: 1 } | StateError::TimedOut(_)))
    };
    let asked = Instant::now();
    let answer = state.end(&session.sid, Cause::Logout).await.unwrap();
    assert!(answer.done && none(&answer.confirmed), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    // Ended on the primary all the same.
    assert!(!lives(&state, &session).await);
    // A repeated logout finds nothing to end and is not confirmed either.
    let again = state.end(&session.sid, Cause::Logout).await.unwrap();
    assert!(!again.done && none(&again.confirmed), "{again:?}");
    assert!(none(&state.end_subject(session.sid.tag(), Cause::Admin, Duration::ZERO).await.unwrap().confirmed));
    assert!(none(&state.end_everyone().await.unwrap().confirmed));
    assert!(none(&state.announce(&Entry::Everything).await.unwrap().confirmed));
    // Making room is no logout that someone waits for: the login goes on, and says so.
    let rules = SessionRules { max_per_subject: 1, ..RULES };
    let first = open(&state, "bob").await;
    let opened = state.open(&new_session("bob"), &rules).await.unwrap();
    let Opened::Session { evicted, unconfirmed, .. } = opened else { panic!("the oldest makes room") };
    assert!(evicted == [first.sid] && unconfirmed);
    let health = insist(|| state.health()).await;
    assert!(health.warnings[0].contains("wait_replicas"), "{:?}", health.warnings);
}

// SEC-F5, SEC-S4
#[tokio::test]
async fn a_replica_that_hangs_delays_the_confirmation_and_a_repeated_logout_gets_it() {
    if !available() {
        return;
    }
    let (server, replica) = with_replica();
    let state = waiting_for_one(&server).await;
    let first = open(&state, "alice").await;
    assert!(confirmed(async || state.end(&first.sid, Cause::Logout).await).await);
    let on_replica = replica.cli(&["EXISTS", &format!("dw:{{{}}}:s:{}", first.sid.tag(), first.sid)]);
    assert_eq!(on_replica, "0", "answered, so seen");

    let second = open(&state, "alice").await;
    replica.freeze();
    let answer = state.end(&second.sid, Cause::Logout).await.unwrap();
    assert!(answer.done, "{answer:?}");
    let unconfirmed =
        matches!(answer.confirmed, Err(StateError::NotReplicated { seen: 0, .. } | StateError::TimedOut(_)));
    assert!(unconfirmed, "{answer:?}");
    replica.thaw();
    // The session is gone already, so this confirms what was written before.
    assert!(!confirmed(async || state.end(&second.sid, Cause::Logout).await).await);
    let health = insist(|| state.health()).await;
    assert_eq!(health.warnings, Vec::<String>::new());
}

// SEC-R8: asked again, the store knows the session no more, so what is not told now is never told.
#[tokio::test]
async fn a_replay_is_told_though_the_replica_that_should_confirm_its_end_hangs() {
    if !available() {
        return;
    }
    let (server, replica) = with_replica();
    let state = waiting_for_one(&server).await;
    let session = open(&state, "alice").await;
    let rules = SessionRules { grace: ms(0), ..RULES };
    state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &rules).await.unwrap();
    replica.freeze();
    let replayed = state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &rules).await.unwrap();
    assert_eq!(replayed, Rotation::Reused { subject: "alice".into(), confirmed: false });
    assert!(!lives(&state, &session).await);
    let again = state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &rules).await.unwrap();
    assert_eq!(again, Rotation::Unknown);
    replica.thaw();
}

// SEC-F5
#[tokio::test]
async fn a_failover_by_sentinel_is_followed_and_is_a_gap() {
    if available() {
        fail_over(RedisServer::kill).await;
    }
}

// SEC-F2: its connections stay open, so only our own deadlines tell.
#[tokio::test]
async fn a_failover_from_a_frozen_primary_is_followed_too() {
    if available() {
        fail_over(|primary| primary.freeze()).await;
    }
}

async fn fail_over(strike: fn(&mut RedisServer)) {
    let (mut primary, replica) = with_replica();
    let sentinel = Sentinel::start(&primary);
    let state = redis_with(&Settings { url: sentinel.url(), wait_replicas: 1, ..Settings::default() }).await;
    let session = open(&state, "alice").await;
    let ended = open(&state, "alice").await;
    // 503 asks to try again; confirmed, the replica has seen it and all before it.
    let logout = async || state.end(&ended.sid, Cause::Logout).await.and_then(Written::sure).ok();
    eventually("a confirmed logout", Duration::from_secs(5), logout).await;
    let position = start(&state).await;
    strike(&mut primary);
    let rotate = async || state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.ok();
    let rotated = eventually("the failover", Duration::from_secs(20), rotate).await;
    assert!(matches!(rotated, Rotation::Rotated(_)), "{rotated:?}");
    replica.wait_until("it is primary", || replica.cli(&["ROLE"]).starts_with("master"));
    let read = async || state.read_log(Some(&position), Duration::ZERO).await.ok();
    let batch = eventually("the log", Duration::from_secs(5), read).await;
    assert!(batch.gap(), "another primary");
    crate::redis_faults::recovers(&state).await;
    assert!(!lives(&state, &ended).await);
}

struct Cluster {
    server: RedisServer,
    state: RedisState,
    session: Session,
    tag: SubjectTag,
    /// The key that says what the log has yet to be told of that subject.
    debt: String,
    position: Position,
}

impl Cluster {
    async fn with_a_session() -> Self {
        let server = RedisServer::start_cluster();
        let state = redis(&server.cluster_url()).await;
        let session = open(&state, "alice").await;
        let (tag, position) = (session.sid.tag(), start(&state).await);
        Self { server, state, session, tag, debt: format!("dw:{{{tag}}}:z"), position }
    }
}

// On a cluster the log is the second step: what could not write it pays later.
#[tokio::test]
async fn an_end_whose_log_entry_was_lost_on_a_cluster_is_told_by_the_next_step_on_its_subject() {
    if !available() {
        return;
    }
    let Cluster { server, state, session, tag, debt, position } = Cluster::with_a_session().await;
    // As a crash between the steps leaves it.
    server.cli(&["SET", &debt, "1", "PX", "60000"]);
    server.cli(&["DEL", &format!("dw:{{{tag}}}:s:{}", session.sid), &format!("dw:{{{tag}}}:i")]);
    let rotation = state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
    assert_eq!(rotation, Rotation::Unknown);
    assert_eq!(read(&state, &position).await.entries, [Entry::Subject(tag)]);
    assert_eq!(server.cli(&["EXISTS", &debt]), "0", "paid");
}

// Nobody may ever ask for that subject again, so the process that owes tells the log as soon as it can.
#[tokio::test]
async fn an_end_that_could_not_be_told_on_a_cluster_is_told_later_without_another_step() {
    if !available() {
        return;
    }
    let Cluster { server, state, session, tag, debt, position } = Cluster::with_a_session().await;
    server.cli(&["ACL", "SETUSER", "default", "-xadd"]);
    let answer = state.end(&session.sid, Cause::Logout).await.unwrap();
    assert!(answer.done && answer.confirmed.is_err(), "{answer:?}");
    server.cli(&["ACL", "SETUSER", "default", "+xadd"]);
    let batch = state.read_log(Some(&position), Duration::from_secs(10)).await.unwrap();
    assert_eq!(batch.entries, [Entry::Subject(tag)]);
    eventually("the payment", Duration::from_secs(5), async || (server.cli(&["EXISTS", &debt]) == "0").then_some(()))
        .await;
}
