//! Redis down, restarted, frozen, flushed, full: every call is bounded, nothing is believed too long, all recovers by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::clock::SystemClock;
use doorward::metrics::Metrics;
use doorward::state::redis::RedisState;
use doorward::state::{Cause, Entry, Lookups, Question, Rotation, SessionRules, Sessions, Settings, StateError};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, TokenId};

use crate::kit::{RULES, end, eventually, in_one_of_three, insist, lives, ms, new_session, open, redis, salt, tag_of};
use crate::log::{read, start};
use crate::redis::{RedisServer, available};

/// Room for a busy machine, on top of a budget.
pub(crate) const SLACK: Duration = Duration::from_secs(2);

fn question() -> Question {
    Question::Foreign { tag: tag_of("x"), jti: Some(TokenId::fresh()), issued: None }
}

/// Waits until the store answers again; 5 s are promised (SEC-F1).
pub(crate) async fn recovers(state: &RedisState) {
    let answers = async || {
        state.standing(&question()).await.ok()?;
        state.open(&new_session("back"), &RULES).await.ok()
    };
    eventually("the store", Duration::from_secs(5), answers).await;
}

// SEC-F1
#[tokio::test]
async fn without_redis_we_start_fail_fast_and_find_it_when_it_comes() {
    if !available() {
        return;
    }
    let mut server = RedisServer::start();
    server.kill();
    let metrics = Arc::new(Metrics::new());
    let settings = Settings { url: server.url(), ..Settings::default() };
    let begun = Instant::now();
    let state = RedisState::connect(&settings, Arc::new(SystemClock), Arc::clone(&metrics)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(200) + SLACK, "{:?}", begun.elapsed());
    for _ in 0..20 {
        let asked = Instant::now();
        let answer = state.standing(&question()).await;
        assert!(matches!(answer, Err(StateError::Unreachable(_))), "{answer:?}");
        assert!(asked.elapsed() < ms(100) + SLACK, "{:?}", asked.elapsed());
    }
    assert_eq!(metrics.state_up.get(), 0);
    let asked = Instant::now();
    assert!(state.end(&new_session("a").sid, Cause::Logout).await.is_err());
    assert!(state.read_log(None, ms(100)).await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", asked.elapsed());
    server.restart();
    recovers(&state).await;
    assert_eq!(metrics.state_up.get(), 1);
}

// SEC-F1, SEC-S3
#[tokio::test]
async fn a_killed_redis_is_noticed_at_once_and_its_restart_is_a_gap() {
    if !available() {
        return;
    }
    let mut server = RedisServer::start();
    let state = redis(&server.url()).await;
    let session = open(&state, "alice").await;
    let position = start(&state).await;
    server.kill();
    let answer = state.end(&session.sid, Cause::Logout).await;
    assert!(answer.is_err(), "never Ok unwritten");
    assert!(state.read_log(Some(&position), ms(50)).await.is_err());
    server.restart();
    recovers(&state).await;
    assert!(lives(&state, &session).await, "it was kept on disk");
    let ask = async || state.read_log(Some(&position), Duration::ZERO).await.ok();
    let batch = eventually("the log", Duration::from_secs(5), ask).await;
    assert!(batch.gap());
    assert!(!read(&state, &batch.position).await.gap());
}

// SEC-F2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_holds_nobody_up_longer_than_the_budget() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    let session = open(&*state, "alice").await;
    let position = start(&*state).await;
    server.freeze();
    for _ in 0..5 {
        let asked = Instant::now();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let state = Arc::clone(&state);
            all.spawn(async move { state.standing(&question()).await });
        }
        assert!(all.join_all().await.iter().all(Result::is_err));
        assert!(asked.elapsed() < ms(100) + SLACK, "{:?}", asked.elapsed());
    }
    for _ in 0..3 {
        let (asked, bob) = (Instant::now(), new_session("bob"));
        let answers = tokio::join!(state.open(&bob, &RULES), state.end(&session.sid, Cause::Logout), state.health(),);
        assert!(answers.0.is_err() && answers.1.is_err() && answers.2.is_err(), "{answers:?}");
        assert!(asked.elapsed() < Duration::from_secs(1) + SLACK, "{:?}", asked.elapsed());
        let asked = Instant::now();
        assert!(state.read_log(Some(&position), ms(200)).await.is_err(), "silence is no answer");
        assert!(asked.elapsed() < ms(700) + SLACK, "{:?}", asked.elapsed());
    }
    server.thaw();
    recovers(&state).await;
    // No reply of before is taken for a reply of now.
    assert!(state.session(&new_session("nobody").sid).await.unwrap().is_none());
    let fresh = open(&*state, "carol").await;
    assert_eq!(state.session(&fresh.sid).await.unwrap().unwrap().sid, fresh.sid);
}

// SEC-R4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_repeated_step_is_never_a_replay_even_without_grace() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    in_one_of_three(async |_| {
        let session = open(&*state, "alice").await;
        server.freeze();
        let rotating = {
            let state = Arc::clone(&state);
            let rules = SessionRules { grace: ms(0), ..RULES };
            tokio::spawn(
                async move { state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &rules).await },
            )
        };
        // The first try has timed out and the second is on its way: both are answered when the server goes on.
        tokio::time::sleep(ms(420)).await;
        server.thaw();
        let rotation = in_time(rotating.await.unwrap())?.unwrap();
        assert!(matches!(rotation, Rotation::Rotated(ref s) if s.generation == Generation(1)), "{rotation:?}");
        assert_eq!(server.cli(&["SCRIPT", "FLUSH"]), "OK");
        let next = state.refresh(&session.sid, Generation(1), &salt(), Manner::Rotating, &RULES).await.unwrap();
        assert!(matches!(next, Rotation::Rotated(_)), "after SCRIPT FLUSH: {next:?}");
        Ok(())
    })
    .await;
}

/// The answer, where the step had the time to get one.
fn in_time<T>(answer: Result<T, StateError>) -> Result<Result<T, StateError>, String> {
    if let Err(late @ StateError::TimedOut(_)) = answer { Err(late.to_string()) } else { Ok(answer) }
}

// SEC-R4: its session has to live on, and the answer is what the lost one said.
#[tokio::test]
async fn a_refresh_that_we_send_again_is_no_replay_though_another_client_refreshed_meanwhile() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = redis(&server.url()).await;
    // As `RedisState` sends it, since nothing outside can lose one of its answers at a chosen moment.
    let lua = [include_str!("../../src/state/redis/common.lua"), include_str!("../../src/state/redis/rotate.lua")];
    let script = format!("local LOG_LENGTH = 1000\n{}", lua.concat());
    for (manner, status) in [("", "rotated"), ("in_place", "kept")] {
        let session = open(&state, "alice").await;
        let (sid, tag) = (session.sid.to_string(), session.sid.tag());
        let send = || {
            let (index, salt) = (format!("dw:{{{tag}}}:i"), salt().to_string());
            let args = [&sid, &salt, "0", "3000", "3600000", "one-and-only", "its-ending", manner, "9999999999999"];
            server.cli(&[&["EVAL", &script, "3", &index, "dw:{log}:r", "dw:{log}:m"][..], &args[..]].concat())
        };
        let lost = send();
        assert!(lost.lines().any(|line| line == status), "{lost}");
        for (shown, given) in [(0, 1), (1, 2)] {
            match state.refresh(&session.sid, Generation(shown), &salt(), Manner::Rotating, &RULES).await.unwrap() {
                Rotation::Repeated(session) | Rotation::Rotated(session) => {
                    assert_eq!(session.generation, Generation(given))
                }
                other => panic!("{other:?}"),
            }
        }
        let again = send();
        // Owed, now, status, and the session: its time apart they are the same.
        let told = |answer: &str| {
            let lines: Vec<String> = answer.lines().map(str::to_owned).collect();
            [lines[2..4].to_vec(), lines[7..13].to_vec()].concat()
        };
        assert_eq!(told(&again), told(&lost));
        let next = state.refresh(&session.sid, Generation(2), &salt(), Manner::Rotating, &RULES).await.unwrap();
        assert!(matches!(next, Rotation::Rotated(_)), "{next:?}");
    }
}

// SEC-R4, SEC-F2: else it would be taken for a replay, open a session for nobody, or end one that was opened since.
#[tokio::test]
async fn a_step_that_reaches_redis_after_its_caller_gave_up_has_no_effect() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = redis(&server.url()).await;
    // Redis knows a script once it has run it.
    let other = open(&state, "bob").await;
    state.refresh(&other.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
    state.end_subject(other.sid.tag(), Cause::LogoutAll, Duration::ZERO).await.unwrap().sure().unwrap();
    let session = open(&state, "alice").await;
    server.freeze();
    let (sid, salt, another) = (session.sid, salt(), new_session("alice"));
    let one_only = SessionRules { max_per_subject: 1, ..RULES };
    let given_up = tokio::join!(
        state.refresh(&sid, Generation(0), &salt, Manner::Rotating, &RULES),
        state.open(&another, &one_only),
        state.end_subject(sid.tag(), Cause::LogoutAll, Duration::ZERO),
    );
    assert!(given_up.0.is_err() && given_up.1.is_err() && given_up.2.is_err(), "{given_up:?}");
    server.thaw();
    // What lay in its buffers is executed before a new question is.
    recovers(&state).await;
    assert_eq!(state.sessions_of(sid.tag()).await.unwrap(), [session]);
}

// SEC-R4, SEC-R8, SEC-G3: the first answers are lost, and the node's own repeats find the session gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_and_a_logout_are_told_once_though_their_answers_were_lost() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    // A short stall is bridged by the call's own repeats; a long one fails the call, and its client asks again.
    let round = async |stall: u64, number: u32| {
        let bob = format!("bob {number}");
        let [replayed, left, ended] =
            [open(&*state, "alice").await, open(&*state, "alice").await, open(&*state, &bob).await];
        let rules = SessionRules { grace: ms(0), ..RULES };
        state.refresh(&replayed.sid, Generation(0), &salt(), Manner::Rotating, &rules).await.unwrap();
        let replay = async || state.refresh(&replayed.sid, Generation(0), &salt(), Manner::Rotating, &rules).await;
        let logout = async || state.end_with_salt(&left.sid, &salt(), Cause::Logout).await;
        let all = async || state.end_subject(ended.sid.tag(), Cause::LogoutAll, ms(0)).await;
        server.freeze();
        let thawing = async {
            tokio::time::sleep(ms(stall)).await;
            server.thaw();
        };
        let (replays, logouts, alls, ()) = tokio::join!(replay(), logout(), all(), thawing);
        let (replays, logouts) = if stall < 1000 {
            let (replays, logouts, alls) = (in_time(replays)?, in_time(logouts)?, in_time(alls)?);
            assert_eq!(alls.unwrap().sure().unwrap(), 1, "the sessions ended by the first try");
            (replays, logouts)
        } else {
            assert!(replays.is_err() && logouts.is_err() && alls.is_err(), "{replays:?} {logouts:?} {alls:?}");
            recovers(&state).await;
            (replay().await, logout().await)
        };
        assert_eq!(replays.unwrap(), Rotation::Reused { subject: "alice".into(), confirmed: true }, "{stall}");
        assert_eq!(logouts.unwrap().sure().unwrap().as_deref(), Some("alice"), "{stall}");
        // Told, and so never again.
        assert_eq!(replay().await.unwrap(), Rotation::Unknown, "{stall}");
        assert_eq!(logout().await.unwrap().sure().unwrap(), None, "{stall}");
        Ok(())
    };
    for stall in [420, 1500] {
        in_one_of_three(async |number| round(stall, number).await).await;
    }
}

// SEC-F7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_is_a_gap_of_a_younger_store_for_a_waiting_reader_too() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    let session = open(&*state, "alice").await;
    let first = state.read_log(None, Duration::ZERO).await.unwrap();
    tokio::time::sleep(ms(1100)).await;
    let reader = {
        let (state, position) = (Arc::clone(&state), first.position.clone());
        tokio::spawn(async move { state.read_log(Some(&position), ms(500)).await.unwrap() })
    };
    server.flush_all();
    let batch = reader.await.unwrap();
    assert!(
        batch.gap() && batch.proof.expect("proven").store_began > first.proof.expect("proven").store_began,
        "{batch:?}"
    );
    assert!(!lives(&*state, &session).await);
    let rotation = state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
    assert_eq!(rotation, Rotation::Unknown);
    assert!(!end(&*state, &session).await);
    assert!(!read(&*state, &batch.position).await.gap());
}

// SEC-S3
#[tokio::test]
async fn what_went_missing_behind_entries_told_at_once_is_a_gap_at_the_next_quiet_moment() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = redis(&server.url()).await;
    for flushed in [false, true] {
        let begun = start(&state).await;
        let session = open(&state, "alice").await;
        end(&state, &session).await;
        let told = state.read_log(Some(&begun), ms(500)).await.unwrap();
        assert_eq!(told.entries, [Entry::Session(session.sid)]);
        assert!(!told.gap(), "{told:?}");
        if flushed {
            server.flush_all();
        }
        let quiet = state.read_log(Some(&told.position), ms(50)).await.unwrap();
        assert_eq!((quiet.entries.as_slice(), quiet.gap()), (&[][..], flushed));
    }
    // Trimmed away between what was proven and what was told.
    let mut begun = start(&state).await;
    for proven in [true, false, false] {
        let session = open(&state, "alice").await;
        end(&state, &session).await;
        if proven {
            begun = start(&state).await;
        }
    }
    server.cli(&["XTRIM", "dw:{log}:r", "MAXLEN", "1"]);
    let told = state.read_log(Some(&begun), ms(500)).await.unwrap();
    // At once only where this machine was quick enough.
    assert!(told.gap() || told.entries.len() == 1, "{told:?}");
    assert!(told.gap() || state.read_log(Some(&told.position), ms(50)).await.unwrap().gap());
}

// SEC-S3
#[tokio::test]
async fn a_trimmed_log_is_a_gap_for_who_had_not_read_it() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = redis(&server.url()).await;
    let mut positions = Vec::new();
    for _ in 0..3 {
        let session = open(&state, "alice").await;
        end(&state, &session).await;
        positions.push(start(&state).await);
    }
    server.cli(&["XTRIM", "dw:{log}:r", "MAXLEN", "1"]);
    assert!(read(&state, &positions[0]).await.gap());
    assert!(!read(&state, &positions[2]).await.gap());
}

// SEC-F8
#[tokio::test]
async fn a_policy_that_evicts_is_warned_of() {
    if !available() {
        return;
    }
    let server = RedisServer::start_with(&["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"]);
    let state = redis(&server.url()).await;
    let health = insist(|| state.health()).await;
    assert_eq!(health.warnings.len(), 1);
    assert!(health.warnings[0].contains("maxmemory-policy noeviction"), "{:?}", health.warnings);
}

// SEC-F6
#[tokio::test]
async fn a_full_or_read_only_redis_refuses_writes_and_still_answers_questions() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = redis(&server.url()).await;
    let session = open(&state, "alice").await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = state.open(&new_session("bob"), &RULES).await;
    assert!(matches!(full, Err(StateError::Refused(_))), "{full:?}");
    assert!(lives(&state, &session).await);
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    recovers(&state).await;

    let nowhere = crate::ports::free().port().to_string();
    server.cli(&["REPLICAOF", "127.0.0.1", &nowhere]);
    assert!(state.end(&session.sid, Cause::Logout).await.is_err());
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    recovers(&state).await;
    assert!(end(&state, &session).await);
}
