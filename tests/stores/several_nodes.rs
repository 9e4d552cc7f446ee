//! Several nodes on one PostgreSQL or MariaDB: what one does the others see, and none undoes what another did.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::clock::{Clock, FixedClock, SystemClock, Timestamp};
use doorward::database::{self, Database, DatabaseError, query};
use doorward::metrics::Metrics;
use doorward::state::counters::{Counters, Quota};
use doorward::state::sql::SqlState;
use doorward::state::{AtLimit, Cause, Entry, Lookups, Opened, Rotation, SessionRules, Sessions, StateError};
use doorward::token::Generation;
use doorward::token::refresh::Manner;
use tokio::task::JoinSet;

use crate::databases::Server;
use crate::kit::{
    RULES, TICK, database, database_with, end, eventually, insist, lives, ms, open, open_in_the_end, salt, sql, sql_in,
    tag_of,
};
use crate::log::{read, start};

/// Two nodes and their database.
struct Nodes {
    server: Server,
    url: String,
    one: Arc<SqlState>,
    other: Arc<SqlState>,
}

impl Nodes {
    fn both(&self) -> [&Arc<SqlState>; 2] {
        [&self.one, &self.other]
    }
}

/// Runs a promise over two nodes of each server that is installed.
async fn on_every_server(promise: impl AsyncFn(Nodes)) {
    for server in Server::ALL {
        if let Some(url) = server.database().await {
            let (one, other) = (Arc::new(sql(&url).await), Arc::new(sql(&url).await));
            promise(Nodes { server, url, one, other }).await;
        }
    }
}

/// So many calls at once, in turn on each node.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    nodes: &Nodes,
    many: usize,
    call: impl Fn(Arc<SqlState>) -> F,
) -> Vec<T> {
    let mut calls = JoinSet::new();
    for n in 0..many {
        calls.spawn(call(Arc::clone(nodes.both()[n % 2])));
    }
    calls.join_all().await
}

// SEC-R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_refreshes_of_one_token_over_two_nodes_have_one_successor() {
    on_every_server(async |nodes| {
        // A busy machine may not get through a hundred steps in the time of one: then it is asked again, within the window.
        let patient = SessionRules { grace: ms(60_000), ..RULES };
        let sid = open(&*nodes.one, "alice").await.sid;
        let answers = at_once(&nodes, 100, |state| async move {
            let salt = salt();
            insist(|| state.refresh(&sid, Generation(0), &salt, Manner::Rotating, &patient)).await
        });
        let (mut rotated, mut repeated) = (0, 0);
        for answer in answers.await {
            match answer {
                Rotation::Rotated(session) if session.generation == Generation(1) => rotated += 1,
                Rotation::Repeated(session) if session.generation == Generation(1) => repeated += 1,
                other => panic!("{:?}: {other:?}", nodes.server),
            }
        }
        assert!(rotated <= 1 && rotated + repeated == 100, "{:?}: {rotated} rotated", nodes.server);

        let strict = SessionRules { grace: Duration::ZERO, ..RULES };
        let sid = open(&*nodes.one, "bob").await.sid;
        let answers = at_once(&nodes, 20, |state| async move {
            // Asked again, it would be a replay.
            state.refresh(&sid, Generation(0), &salt(), Manner::Rotating, &strict).await
        });
        let answers = answers.await;
        let told = |what: fn(&Result<Rotation, StateError>) -> bool| answers.iter().filter(|told| what(told)).count();
        let rotated = told(|answer| matches!(answer, Ok(Rotation::Rotated(_))));
        let reused = told(|answer| matches!(answer, Ok(Rotation::Reused { .. })));
        let ended = told(|answer| matches!(answer, Ok(Rotation::Unknown)));
        let late = told(|answer| matches!(answer, Err(StateError::TimedOut(_))));
        assert_eq!(rotated + reused + ended + late, 20, "{:?}: {answers:?}", nodes.server);
        let once = rotated <= 1 && reused <= 1;
        assert!(once && (rotated + reused == 2 || late > 0), "{:?}: {answers:?}", nodes.server);
    })
    .await;
}

// SEC-S5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_limit_holds_under_50_parallel_logins_over_two_nodes() {
    on_every_server(async |nodes| {
        let opened = at_once(&nodes, 50, |state| async move { open_in_the_end(&*state, "alice", &RULES).await }).await;
        assert!(opened.iter().all(|opened| matches!(opened, Opened::Session { .. })), "{:?}", nodes.server);
        assert_eq!(nodes.other.sessions_of(tag_of("alice")).await.unwrap().len(), 10, "{:?}", nodes.server);

        let refuse = SessionRules { at_limit: AtLimit::Refuse, ..RULES };
        let opened = at_once(&nodes, 50, |state| async move { open_in_the_end(&*state, "bob", &refuse).await }).await;
        let refused = opened.iter().filter(|opened| **opened == Opened::LimitReached).count();
        assert_eq!(refused, 40, "{:?}", nodes.server);
    })
    .await;
}

// SEC-S1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_on_one_node_is_heard_by_the_other() {
    on_every_server(async |nodes| {
        let session = open(&*nodes.one, "alice").await;
        let position = start(&*nodes.other).await;
        let other = Arc::clone(&nodes.other);
        let reader =
            tokio::spawn(async move { other.read_log(Some(&position), Duration::from_secs(20)).await.unwrap() });
        let asked = Instant::now();
        assert!(end(&*nodes.one, &session).await);
        assert_eq!(reader.await.unwrap().entries, [Entry::Session(session.sid)], "{:?}", nodes.server);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}: {:?}", nodes.server, asked.elapsed());
        assert!(!lives(&*nodes.other, &session).await, "{:?}", nodes.server);
    })
    .await;
}

/// PostgreSQL's `LISTEN` is a help, not what a revocation rests on.
// SEC-S1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_heard_also_where_the_listening_connection_was_cut() {
    let Some(url) = Server::Postgres.database().await else { return };
    let (one, other) = (sql(&url).await, sql(&url).await);
    let admin = database(&url).await;
    let cut = || {
        query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
    };
    eventually("both to listen", Duration::from_secs(10), async || {
        let (cut,): (i64,) = cut().one(&admin).await.unwrap();
        (cut > 0).then_some(())
    })
    .await;
    for _ in 0..5 {
        let session = open(&one, "alice").await;
        let position = start(&other).await;
        let _: (i64,) = cut().one(&admin).await.unwrap();
        end(&one, &session).await;
        let heard = other.read_log(Some(&position), Duration::from_secs(5)).await.unwrap();
        assert_eq!(heard.entries, [Entry::Session(session.sid)]);
    }
}

/// Serial numbers that a database hands out become visible in another order than they were given: these do not.
// SEC-S3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_while_many_write_at_once() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    on_every_server(async |nodes| {
        let mut position = start(&*nodes.one).await;
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let state = Arc::clone(nodes.both()[writer % 2]);
            writers.spawn(async move {
                for n in 0..EACH {
                    // Steps of different length, so that they overtake each other.
                    let subject = format!("{writer}");
                    if n % 3 == 0 {
                        state.end_subject(tag_of(&subject), Cause::Admin, ms(60_000)).await.unwrap().sure().unwrap();
                    } else {
                        state.announce(&Entry::Key(format!("{writer}-{n}"))).await.unwrap().sure().unwrap();
                    }
                }
            });
        }
        let mut heard = Vec::new();
        while heard.len() < WRITERS * EACH {
            let batch = nodes.one.read_log(Some(&position), Duration::from_secs(5)).await.unwrap();
            assert!(!batch.gap(), "{:?}", nodes.server);
            assert!(!batch.entries.is_empty(), "{:?}: only {} were heard", nodes.server, heard.len());
            heard.extend(batch.entries);
            position = batch.position;
        }
        writers.join_all().await;
        assert_eq!(heard.len(), WRITERS * EACH, "{:?}", nodes.server);
        let told: HashSet<_> = heard.iter().map(|entry| format!("{entry:?}")).collect();
        let keys = (0..WRITERS).flat_map(|w| (0..EACH).filter(|n| n % 3 != 0).map(move |n| format!("{w}-{n}")));
        assert!(keys.into_iter().all(|key| told.contains(&format!("{:?}", Entry::Key(key)))), "{:?}", nodes.server);
    })
    .await;
}

/// A database that came back from a backup, or a replica that was promoted before it had everything.
// SEC-S3
#[tokio::test]
async fn a_log_that_lost_its_end_is_a_gap_also_after_it_has_grown_again() {
    on_every_server(async |nodes| {
        let state = &*nodes.one;
        state.announce(&Entry::Key("kept".into())).await.unwrap().sure().unwrap();
        state.announce(&Entry::Key("lost".into())).await.unwrap().sure().unwrap();
        let position = start(state).await;
        let database = database(&nodes.url).await;
        query("DELETE FROM state_log WHERE number = 2").run(&database).await.unwrap();
        query("UPDATE state_store SET log_end = 1").run(&database).await.unwrap();
        assert!(read(state, &position).await.gap(), "{:?}", nodes.server);
        crate::kit::pass(TICK).await;
        for _ in 0..3 {
            state.announce(&Entry::Everything).await.unwrap().sure().unwrap();
        }
        assert!(read(state, &position).await.gap(), "{:?}", nodes.server);

        let position = start(state).await;
        for _ in 0..3 {
            state.announce(&Entry::Everything).await.unwrap().sure().unwrap();
        }
        query("DELETE FROM state_log WHERE number = 6").run(&database).await.unwrap();
        assert!(read(state, &position).await.gap(), "{:?}: one in the middle is missing", nodes.server);
    })
    .await;
}

// SEC-R2
#[tokio::test]
async fn time_is_the_databases_whatever_the_nodes_clock_says() {
    on_every_server(async |nodes| {
        let astray = database_with(&nodes.url, Arc::new(FixedClock::at(Timestamp(4_000_000_000)))).await;
        let astray = sql_in(astray, Arc::new(Metrics::new())).await;
        let before = SystemClock.now_millis();
        let session = open(&astray, "alice").await;
        assert!(session.created.0.abs_diff(before.0) < 5_000, "{:?}: {:?}", nodes.server, session.created);
        assert!(lives(&astray, &session).await && lives(&*nodes.one, &session).await, "{:?}", nodes.server);
        for state in [&astray, &*nodes.other] {
            let answer = state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
            assert!(matches!(answer, Rotation::Rotated(_) | Rotation::Repeated(_)), "{:?}", nodes.server);
        }
        let skew = insist(|| nodes.one.health()).await.clock_skew;
        assert!(skew.abs() < 1.0, "{:?}: {skew}", nodes.server);
    })
    .await;
}

// SEC-F10
#[tokio::test]
async fn a_subject_whose_step_hangs_holds_up_no_other_and_is_answered_in_time() {
    on_every_server(async |nodes| {
        let (alice, bob) = (open(&*nodes.one, "alice").await, open(&*nodes.one, "bob").await);
        let mut hanging = database(&nodes.url).await.begin().await.unwrap();
        let _: Option<(String,)> = query("SELECT tag FROM state_subject WHERE tag = ? {lock}")
            .bind(tag_of("alice").to_string())
            .maybe(&mut hanging)
            .await
            .unwrap();
        assert!(end(&*nodes.other, &bob).await, "{:?}", nodes.server);
        let asked = Instant::now();
        let answer = nodes.other.refresh(&alice.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await;
        assert!(matches!(answer, Err(StateError::TimedOut(_))), "{:?}: {answer:?}", nodes.server);
        assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", nodes.server);
        drop(hanging);
        // The answer was an error: it moved nothing.
        let answer = eventually("the lock to go", Duration::from_secs(10), async || {
            nodes.one.refresh(&alice.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.ok()
        });
        assert!(matches!(answer.await, Rotation::Rotated(_)), "{:?}", nodes.server);
    })
    .await;
}

// SEC-F10
#[tokio::test]
async fn a_pool_that_is_used_up_is_an_error_within_a_second_and_recovers() {
    on_every_server(async |nodes| {
        let settings = database::Settings { url: nodes.url.clone(), pool: 1, ..database::Settings::default() };
        let database = database::open(&settings, Arc::new(SystemClock)).await.unwrap();
        let state = sql_in(database.clone(), Arc::new(Metrics::new())).await;
        let session = open(&state, "alice").await;
        let busy = database.begin().await.unwrap();
        let asked = Instant::now();
        let answer = state.end(&session.sid, Cause::Logout).await;
        assert!(matches!(answer, Err(StateError::TimedOut(_))), "{:?}: {answer:?}", nodes.server);
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", nodes.server);
        drop(busy);
        assert!(end(&state, &session).await, "{:?}", nodes.server);
    })
    .await;
}

// SEC-B1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_attempts_at_once_over_two_nodes_are_allowed_as_often_as_the_quota_says() {
    const QUOTA: Quota = Quota { burst: 5, per: Duration::from_secs(3600) };
    on_every_server(async |nodes| {
        let allowed = at_once(&nodes, 200, |state| async move {
            // Calls beyond the pool's second are refused too: never allowed for want of an answer.
            state.spend("login alice", QUOTA).await.is_ok_and(|spent| spent.allowed)
        });
        let allowed = allowed.await.into_iter().filter(|allowed| *allowed).count();
        assert_eq!(allowed, 5, "{:?}", nodes.server);
        let next = nodes.other.peek("login alice", QUOTA).await.unwrap();
        assert!(!next.allowed && next.retry_after <= Duration::from_secs(720), "{:?}: {next:?}", nodes.server);
        assert!(nodes.other.spend("login bob", QUOTA).await.unwrap().allowed, "{:?}", nodes.server);
        nodes.one.refill("login alice").await.unwrap();
        assert_eq!(nodes.other.spend("login alice", QUOTA).await.unwrap().left, 4, "{:?}", nodes.server);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_a_new_database_agree_on_one_schema_and_one_store() {
    for server in Server::ALL {
        let Some(url) = server.database().await else { continue };
        let mut starting = JoinSet::new();
        for _ in 0..4 {
            let url = url.clone();
            starting.spawn(async move { sql(&url).await });
        }
        let nodes = starting.join_all().await;
        let mut stores = HashSet::new();
        for node in &nodes {
            stores.insert(start(node).await.0);
        }
        assert_eq!(stores.len(), 1, "{server:?}");
    }
}

#[tokio::test]
async fn a_schema_that_is_older_or_newer_is_told_and_not_touched() {
    for server in Server::ALL {
        let Some(url) = server.database().await else { continue };
        let settings = database::Settings { url: url.clone(), ..database::Settings::default() };
        let by_hand = database::Settings { migrate: false, ..settings.clone() };
        let error = open_error(&by_hand).await;
        assert!(matches!(error, DatabaseError::Older { found: 0, .. }), "{server:?}: {error}");
        let migrated: Database = database::open(&settings, Arc::new(SystemClock)).await.unwrap();
        let standing = database::standing(&migrated).await.unwrap();
        assert_eq!(standing.found, standing.known, "{server:?}");
        database::open(&by_hand, Arc::new(SystemClock)).await.unwrap();
        query("UPDATE _sqlx_migrations SET version = version + 990").run(&migrated).await.unwrap();
        let error = open_error(&settings).await;
        assert!(matches!(error, DatabaseError::Newer { found: 990.., .. }), "{server:?}: {error}");
    }
}

/// These servers have no TLS. Under another name than the loopback's that matters.
// SEC-K8
#[tokio::test]
async fn a_database_elsewhere_without_tls_is_refused_unless_the_url_says_so() {
    for (server, plain) in [(Server::Postgres, "sslmode=disable"), (Server::MariaDb, "ssl-mode=DISABLED")] {
        let Some(url) = server.database().await else { continue };
        // An address that only the system knows to be this machine.
        let elsewhere = url.replace("127.0.0.1", "0.0.0.0");
        let settings = database::Settings { url: elsewhere.clone(), ..database::Settings::default() };
        let error = open_error(&settings).await;
        assert!(matches!(error, DatabaseError::Tls(_)), "{server:?}: {error}");
        let settings = database::Settings { url: format!("{elsewhere}?{plain}"), ..settings };
        database::open(&settings, Arc::new(SystemClock)).await.expect("plain, as the URL says");
    }
}

async fn open_error(settings: &database::Settings) -> DatabaseError {
    database::open(settings, Arc::new(SystemClock)).await.map(drop).expect_err("it is refused")
}
