//! Opening, listing and using sessions, on every store.

use std::collections::HashSet;
use std::sync::Arc;

use doorward::clock::{Clock, Millis, SystemClock};
use doorward::state::{AtLimit, Opened, SessionRules, Standing};
use doorward::token::{Generation, SessionId};
use tokio::task::JoinSet;

use crate::kit::{
    RULES, TICK, end, insist, lives, ms, new_session, on_every_store, open, open_by, open_in_the_end, pass, standing,
    tag_of,
};

#[tokio::test]
async fn a_session_is_read_as_it_was_opened() {
    on_every_store(async |store| {
        let new = new_session("alice");
        let before = SystemClock.now_millis();
        let Opened::Session { session, evicted, .. } = store.state.open(&new, &RULES).await.unwrap() else {
            panic!("{}: refused", store.name);
        };
        assert_eq!(evicted, [], "{}", store.name);
        let after = SystemClock.now_millis();
        assert_eq!(session.sid, new.sid, "{}", store.name);
        assert_eq!((&session.holder, &session.device), (&new.holder, &new.device), "{}", store.name);
        assert_eq!(session.generation, Generation(0), "{}", store.name);
        // This machine's clock is read as of its last tick, a server's own may be finer.
        let tick = 10;
        assert!((before.0..=after.0 + tick).contains(&session.created.0), "{}", store.name);
        assert_eq!(session.ends, session.created.plus(RULES.lifetime), "{}", store.name);
        assert_eq!(store.state.session(&new.sid).await.unwrap().as_ref(), Some(&*session), "{}", store.name);
        let Standing::Live { idle_left: Some(left), ends } = standing(&*store.state, &session).await else {
            panic!("{}: not live", store.name);
        };
        assert!(left <= RULES.idle && left > RULES.idle / 2, "{}", store.name);
        assert!(ends.is_none_or(|ends| ends == session.ends), "{}", store.name);
    })
    .await;
}

// SEC-T20
#[tokio::test]
async fn a_session_never_opened_is_dead() {
    on_every_store(async |store| {
        let mut session = open(&*store.state, "alice").await;
        session.sid = SessionId::fresh(tag_of("alice"));
        assert_eq!(standing(&*store.state, &session).await, Standing::Dead, "{}", store.name);
        assert_eq!(store.state.session(&session.sid).await.unwrap(), None, "{}", store.name);
    })
    .await;
}

// SEC-R4
#[tokio::test]
async fn opening_the_same_session_again_gives_the_same_session() {
    on_every_store(async |store| {
        let new = new_session("alice");
        let first = store.state.open(&new, &RULES).await.unwrap();
        assert_eq!(store.state.open(&new, &RULES).await.unwrap(), first, "{}", store.name);
        assert_eq!(store.state.sessions_of(tag_of("alice")).await.unwrap().len(), 1, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn lists_are_of_one_subject_oldest_first() {
    on_every_store(async |store| {
        let mut opened = Vec::new();
        for _ in 0..3 {
            opened.push(open(&*store.state, "alice").await.sid);
            pass(TICK).await;
        }
        open(&*store.state, "bob").await;
        let listed: Vec<_> =
            store.state.sessions_of(tag_of("alice")).await.unwrap().into_iter().map(|session| session.sid).collect();
        assert_eq!(listed, opened, "{}", store.name);
        let all = store.state.all_sessions(100).await.unwrap();
        assert_eq!(all.len(), 4, "{}", store.name);
        assert!(all.iter().any(|session| session.holder.subject == "bob"), "{}", store.name);
        assert_eq!(store.state.all_sessions(2).await.unwrap().len(), 2, "{}", store.name);
    })
    .await;
}

async fn open_50_at_once(state: &Arc<dyn doorward::state::Sessions>, rules: SessionRules) -> Vec<Opened> {
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let state = Arc::clone(state);
        tasks.spawn(async move { open_in_the_end(&*state, "alice", &rules).await });
    }
    tasks.join_all().await
}

// SEC-S5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_evicts_the_oldest_exactly_under_50_parallel_logins() {
    on_every_store(async |store| {
        let first = open(&*store.state, "alice").await;
        pass(TICK).await;
        let opened = open_50_at_once(&store.state, RULES).await;
        let evicted: Vec<SessionId> = opened
            .iter()
            .flat_map(|opened| match opened {
                Opened::Session { evicted, .. } => evicted.clone(),
                Opened::LimitReached => panic!("{}: refused", store.name),
            })
            .collect();
        let distinct: HashSet<_> = evicted.iter().collect();
        assert_eq!((evicted.len(), distinct.len()), (41, 41), "{}", store.name);
        assert!(!lives(&*store.state, &first).await, "{}: the oldest lived on", store.name);
        let left = store.state.sessions_of(tag_of("alice")).await.unwrap();
        assert_eq!(left.len(), 10, "{}", store.name);
        assert!(left.iter().all(|session| !evicted.contains(&session.sid)), "{}", store.name);
    })
    .await;
}

// SEC-S5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_refuses_exactly_under_50_parallel_logins() {
    let rules = SessionRules { at_limit: AtLimit::Refuse, ..RULES };
    on_every_store(async |store| {
        let opened = open_50_at_once(&store.state, rules).await;
        let refused = opened.iter().filter(|opened| **opened == Opened::LimitReached).count();
        assert_eq!(refused, 40, "{}", store.name);
        assert_eq!(store.state.sessions_of(tag_of("alice")).await.unwrap().len(), 10, "{}", store.name);
        let one = store.state.sessions_of(tag_of("alice")).await.unwrap().remove(0);
        end(&*store.state, &one).await;
        open_by(&*store.state, "alice", &rules).await;
    })
    .await;
}

#[tokio::test]
async fn sessions_that_died_of_age_do_not_count_for_the_limit_and_0_is_no_limit() {
    let short = SessionRules { idle: ms(1000), max_per_subject: 2, at_limit: AtLimit::Refuse, ..RULES };
    on_every_store(async |store| {
        let unused =
            [open_by(&*store.state, "alice", &short).await.sid, open_by(&*store.state, "alice", &short).await.sid];
        pass(ms(1050)).await;
        let rules = SessionRules { idle: RULES.idle, ..short };
        // SEC-G3: the login tells of them, once.
        for told in [2, 0] {
            let Opened::Session { expired, .. } = store.state.open(&new_session("alice"), &rules).await.unwrap() else {
                panic!("{}: they count no more", store.name);
            };
            assert!(expired.len() == told && expired.iter().all(|sid| unused.contains(sid)), "{}", store.name);
        }
        let unlimited = SessionRules { max_per_subject: 0, ..RULES };
        for _ in 0..15 {
            open_by(&*store.state, "bob", &unlimited).await;
        }
        assert_eq!(store.state.sessions_of(tag_of("bob")).await.unwrap().len(), 15, "{}", store.name);
    })
    .await;
}

// SEC-S6
#[tokio::test]
async fn an_unused_session_ends_and_a_used_one_lives_on() {
    let rules = SessionRules { idle: ms(2000), ..RULES };
    on_every_store(async |store| {
        let used = open_by(&*store.state, "alice", &rules).await;
        let unused = open_by(&*store.state, "alice", &rules).await;
        pass(ms(1200)).await;
        let seen = SystemClock.now_millis();
        store.state.touch(&[(used.sid, seen)], rules.idle).await.unwrap();
        pass(ms(1200)).await;
        assert!(lives(&*store.state, &used).await, "{}", store.name);
        assert!(!lives(&*store.state, &unused).await, "{}", store.name);
        assert_eq!(store.state.session(&unused.sid).await.unwrap(), None, "{}", store.name);
        let last_seen = store.state.session(&used.sid).await.unwrap().unwrap().last_seen;
        assert!(last_seen.0.abs_diff(seen.0) < 400, "{}: seen {seen:?}, kept {last_seen:?}", store.name);
    })
    .await;
}

// SEC-R10
#[tokio::test]
async fn use_never_moves_the_absolute_end() {
    let rules = SessionRules { lifetime: ms(600), ..RULES };
    on_every_store(async |store| {
        let session = open_by(&*store.state, "alice", &rules).await;
        let tomorrow = SystemClock.now_millis().plus(RULES.lifetime);
        for at in [SystemClock.now_millis(), tomorrow] {
            store.state.touch(&[(session.sid, at)], RULES.idle).await.unwrap();
        }
        pass(ms(650)).await;
        assert!(!lives(&*store.state, &session).await, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn an_old_moment_of_use_never_shortens_a_life() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let long_ago = Millis(SystemClock.now_millis().0 - 3_000_000);
        store.state.touch(&[(session.sid, long_ago)], RULES.idle).await.unwrap();
        store.state.touch(&[(session.sid, SystemClock.now_millis())], ms(1)).await.unwrap();
        let Standing::Live { idle_left: Some(left), .. } = standing(&*store.state, &session).await else {
            panic!("{}: dead", store.name);
        };
        assert!(left > RULES.idle / 2, "{}: {left:?}", store.name);
    })
    .await;
}

// SEC-S6
#[tokio::test]
async fn use_never_brings_an_ended_session_back() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let other = open(&*store.state, "alice").await;
        end(&*store.state, &session).await;
        let now = SystemClock.now_millis();
        let unknown = SessionId::fresh(tag_of("nobody"));
        store.state.touch(&[(session.sid, now), (unknown, now), (other.sid, now)], RULES.idle).await.unwrap();
        assert!(!lives(&*store.state, &session).await, "{}", store.name);
        assert!(lives(&*store.state, &other).await, "{}", store.name);
        assert_eq!(store.state.all_sessions(10).await.unwrap().len(), 1, "{}", store.name);
        store.state.touch(&[], RULES.idle).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn many_sessions_are_touched_at_once() {
    let rules = SessionRules { max_per_subject: 0, ..RULES };
    on_every_store(async |store| {
        let mut seen = Vec::new();
        for n in 0..300 {
            let session = open_by(&*store.state, &format!("user {}", n % 50), &rules).await;
            seen.push((session.sid, SystemClock.now_millis()));
        }
        store.state.touch(&seen, RULES.idle * 2).await.unwrap();
        let last = store.state.session(&seen[299].0).await.unwrap().unwrap();
        let Standing::Live { idle_left: Some(left), .. } = standing(&*store.state, &last).await else {
            panic!("{}: dead", store.name);
        };
        assert!(left > RULES.idle, "{}: {left:?}", store.name);
    })
    .await;
}

#[tokio::test]
async fn a_healthy_store_says_so() {
    on_every_store(async |store| {
        let health = insist(|| store.state.health()).await;
        assert_eq!(health.warnings, Vec::<String>::new(), "{}", store.name);
        assert!(health.clock_skew.abs() < 2.0, "{}: {}", store.name, health.clock_skew);
    })
    .await;
}
