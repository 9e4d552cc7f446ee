//! The rotation table, on every store.

use std::sync::Arc;

use doorward::secret::Digest;
use doorward::state::{Cause, Rotation, Session, SessionRules, Sessions, StateError};
use doorward::token::Generation;
use doorward::token::refresh::Manner;
use tokio::task::JoinSet;

use crate::kit::{RULES, insist, lives, ms, on_every_store, open, open_by, pass, salt};

async fn rotate(state: &dyn Sessions, session: &Session, shown: u32, rules: &SessionRules) -> Rotation {
    state.refresh(&session.sid, Generation(shown), &salt(), Manner::Rotating, rules).await.unwrap()
}

async fn renew(state: &dyn Sessions, session: &Session, shown: u32, rules: &SessionRules) -> Rotation {
    state.refresh(&session.sid, Generation(shown), &salt(), Manner::InPlace, rules).await.unwrap()
}

/// A replay tells whose session it has ended.
fn reused() -> Rotation {
    Rotation::Reused { subject: "alice".into(), confirmed: true }
}

#[tokio::test]
async fn the_current_generation_rotates_and_the_absolute_end_stays() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        for shown in 0..3 {
            let Rotation::Rotated(rotated) = rotate(&*store.state, &session, shown, &RULES).await else {
                panic!("{}: not rotated", store.name);
            };
            assert_eq!(rotated.generation, Generation(shown + 1), "{}", store.name);
            assert_eq!(rotated.ends, session.ends, "{}", store.name); // SEC-R10
            assert_eq!(rotated.holder, session.holder, "{}", store.name);
            assert_eq!(rotated.epoch, session.epoch, "{}", store.name);
        }
    })
    .await;
}

// SEC-R2
#[tokio::test]
async fn the_previous_generation_repeats_within_the_window_which_retries_do_not_extend() {
    let rules = SessionRules { grace: ms(3000), ..RULES };
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        rotate(&*store.state, &session, 0, &rules).await;
        for _ in 0..2 {
            pass(ms(250)).await;
            let Rotation::Repeated(repeated) = rotate(&*store.state, &session, 0, &rules).await else {
                panic!("{}: not repeated", store.name);
            };
            assert_eq!(repeated.generation, Generation(1), "{}", store.name);
        }
        pass(ms(2600)).await;
        assert_eq!(rotate(&*store.state, &session, 0, &rules).await, reused(), "{}", store.name);
        assert!(!lives(&*store.state, &session).await, "{}", store.name); // SEC-R8
        assert_eq!(rotate(&*store.state, &session, 1, &rules).await, Rotation::Unknown, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn without_grace_the_previous_generation_is_a_replay() {
    let rules = SessionRules { grace: ms(0), ..RULES };
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        rotate(&*store.state, &session, 0, &rules).await;
        assert_eq!(rotate(&*store.state, &session, 0, &rules).await, reused(), "{}", store.name);
    })
    .await;
}

// SEC-R7
#[tokio::test]
async fn an_older_generation_is_a_replay_inside_the_window_too() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let other = open(&*store.state, "alice").await;
        rotate(&*store.state, &session, 0, &RULES).await;
        rotate(&*store.state, &session, 1, &RULES).await;
        assert_eq!(rotate(&*store.state, &session, 0, &RULES).await, reused(), "{}", store.name);
        assert!(!lives(&*store.state, &session).await, "{}", store.name);
        assert!(lives(&*store.state, &other).await, "{}: another family died too", store.name); // SEC-R8
    })
    .await;
}

// SEC-R6
#[tokio::test]
async fn one_lost_write_is_caught_up_and_more_change_nothing() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        for shown in [2, 3, 1000] {
            assert_eq!(rotate(&*store.state, &session, shown, &RULES).await, Rotation::Lost, "{}", store.name);
        }
        let Rotation::CaughtUp(caught_up) = rotate(&*store.state, &session, 1, &RULES).await else {
            panic!("{}: not caught up", store.name);
        };
        assert_eq!(caught_up.generation, Generation(2), "{}", store.name);
        let repeated = rotate(&*store.state, &session, 1, &RULES).await;
        assert!(matches!(repeated, Rotation::Repeated(ref s) if s.generation == Generation(2)), "{}", store.name);
        assert!(matches!(rotate(&*store.state, &session, 2, &RULES).await, Rotation::Rotated(_)), "{}", store.name);
    })
    .await;
}

// SEC-R9
#[tokio::test]
async fn another_salt_is_unknown_and_harms_nobody() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        rotate(&*store.state, &session, 0, &RULES).await;
        let other = Digest::of(b"other");
        for shown in 0..3 {
            let answer =
                store.state.refresh(&session.sid, Generation(shown), &other, Manner::Rotating, &RULES).await.unwrap();
            assert_eq!(answer, Rotation::Unknown, "{}", store.name);
        }
        assert!(matches!(rotate(&*store.state, &session, 1, &RULES).await, Rotation::Rotated(_)), "{}", store.name);
    })
    .await;
}

/// A busy machine may not get through all of them in the time of one. Within the window it is asked again; without one that would
/// be a replay.
async fn rotate_100_times_at_once(
    state: &Arc<dyn Sessions>,
    session: &Session,
    rules: SessionRules,
) -> Vec<Result<Rotation, StateError>> {
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (state, sid) = (Arc::clone(state), session.sid);
        tasks.spawn(async move {
            let salt = salt();
            let rotate = || state.refresh(&sid, Generation(0), &salt, Manner::Rotating, &rules);
            if rules.grace.is_zero() { rotate().await } else { Ok(insist(rotate).await) }
        });
    }
    tasks.join_all().await
}

// SEC-R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_100_parallel_rotations_one_rotates_and_the_others_get_the_same() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let rules = SessionRules { grace: ms(60_000), ..RULES };
        let rotations = rotate_100_times_at_once(&store.state, &session, rules).await;
        let rotated = rotations.iter().filter(|r| matches!(r, Ok(Rotation::Rotated(_)))).count();
        let same = rotations
            .iter()
            .filter(|r| matches!(r, Ok(Rotation::Rotated(s) | Rotation::Repeated(s)) if s.generation == Generation(1)))
            .count();
        // None where the one's first answer came too late for it.
        assert!(rotated <= 1 && same == 100, "{}: {rotated} rotated, {same} got the same", store.name);
    })
    .await;
}

// SEC-R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_grace_exactly_one_of_100_succeeds() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let rules = SessionRules { grace: ms(0), ..RULES };
        let rotations = rotate_100_times_at_once(&store.state, &session, rules).await;
        let refused = rotations.iter().filter(|r| matches!(r, Ok(Rotation::Reused { .. } | Rotation::Unknown))).count();
        let rotated = rotations.iter().filter(|r| matches!(r, Ok(Rotation::Rotated(_)))).count();
        let late = rotations.iter().filter(|r| matches!(r, Err(StateError::TimedOut(_)))).count();
        assert_eq!(rotated + refused + late, 100, "{}: {rotations:?}", store.name);
        assert!(rotated == 1 || (rotated == 0 && late > 0), "{}: {rotated} rotated, {late} too late", store.name);
    })
    .await;
}

// SEC-R5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_end_was_answered_no_rotation_in_flight_leaves_a_usable_session() {
    on_every_store(async |store| {
        for _ in 0..20 {
            let session = open(&*store.state, "alice").await;
            let (state, sid) = (Arc::clone(&store.state), session.sid);
            let rotating = tokio::spawn(async move {
                state.refresh(&sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap()
            });
            assert!(store.state.end(&session.sid, Cause::Logout).await.unwrap().sure().unwrap(), "{}", store.name);
            let rotation = rotating.await.unwrap();
            assert!(matches!(rotation, Rotation::Rotated(_) | Rotation::Unknown), "{}", store.name);
            assert!(!lives(&*store.state, &session).await, "{}", store.name);
            for shown in 0..2 {
                let late = rotate(&*store.state, &session, shown, &RULES).await;
                assert_eq!(late, Rotation::Unknown, "{}", store.name);
            }
        }
    })
    .await;
}

// SEC-S6
#[tokio::test]
async fn a_rotation_counts_as_use_but_never_passes_the_absolute_end() {
    let rules = SessionRules { idle: ms(2500), lifetime: ms(5000), ..RULES };
    on_every_store(async |store| {
        let session = open_by(&*store.state, "alice", &rules).await;
        pass(ms(1500)).await;
        assert!(matches!(rotate(&*store.state, &session, 0, &rules).await, Rotation::Rotated(_)), "{}", store.name);
        pass(ms(1500)).await;
        assert!(matches!(rotate(&*store.state, &session, 1, &rules).await, Rotation::Rotated(_)), "{}", store.name);
        pass(ms(2200)).await;
        let late = rotate(&*store.state, &session, 2, &rules).await;
        assert!(matches!(late, Rotation::Expired { .. }), "{}: {late:?}", store.name);
        assert!(!lives(&*store.state, &session).await, "{}", store.name);
        // SEC-G3: told once, so it can be audited once.
        assert_eq!(rotate(&*store.state, &session, 2, &rules).await, Rotation::Unknown, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn renewed_in_place_the_current_generation_stays_and_what_was_spent_ends_the_family() {
    let rules = SessionRules { grace: ms(3000), ..RULES };
    on_every_store(async |store| {
        let (state, name) = (&*store.state, store.name);
        let session = open(state, "alice").await;
        for _ in 0..3 {
            let Rotation::Kept(kept) = renew(state, &session, 0, &rules).await else { panic!("{name}: not kept") };
            assert_eq!(
                (kept.generation, kept.ends, kept.epoch),
                (Generation(0), session.ends, session.epoch),
                "{name}"
            );
        }
        assert!(matches!(rotate(state, &session, 0, &rules).await, Rotation::Rotated(_)), "{name}");
        assert!(matches!(renew(state, &session, 1, &rules).await, Rotation::Kept(_)), "{name}");
        // Spent elsewhere a moment ago; that the current one was renewed does not extend the window.
        let repeated = renew(state, &session, 0, &rules).await;
        assert!(matches!(repeated, Rotation::Repeated(ref s) if s.generation == Generation(1)), "{name}: {repeated:?}");
        pass(ms(3050)).await;
        assert!(matches!(renew(state, &session, 1, &rules).await, Rotation::Kept(_)), "{name}");
        assert_eq!(renew(state, &session, 0, &rules).await, reused(), "{name}");
        assert!(!lives(state, &session).await, "{name}"); // SEC-R8
        assert_eq!(renew(state, &session, 1, &rules).await, Rotation::Unknown, "{name}");
    })
    .await;
}

#[tokio::test]
async fn renewing_catches_up_one_lost_write_and_counts_as_use() {
    let rules = SessionRules { idle: ms(2500), lifetime: ms(5000), ..RULES };
    on_every_store(async |store| {
        let (state, name) = (&*store.state, store.name);
        let session = open_by(state, "alice", &rules).await;
        assert_eq!(renew(state, &session, 2, &rules).await, Rotation::Lost, "{name}");
        let Rotation::CaughtUp(caught_up) = renew(state, &session, 1, &rules).await else { panic!("{name}") };
        assert_eq!(caught_up.generation, Generation(1), "{name}");
        for _ in 0..2 {
            pass(ms(1500)).await;
            assert!(matches!(renew(state, &session, 1, &rules).await, Rotation::Kept(_)), "{name}");
        }
        pass(ms(2200)).await;
        let late = renew(state, &session, 1, &rules).await;
        assert!(matches!(late, Rotation::Expired { .. }), "{name}: {late:?}");
    })
    .await;
}
