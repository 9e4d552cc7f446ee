//! "Everyone out": the not-before mark, on every store. What was opened before it is over, however many there are.

use std::sync::Arc;
use std::time::Duration;

use doorward::accounts::retention::{Retaining, Settings};
use doorward::clock::{Clock, SystemClock, Timestamp};
use doorward::database::query;
use doorward::metrics::Metrics;
use doorward::state::{
    AtLimit, Cause, Device, Entry, Mark, Opened, Question, Rotation, Session, SessionRules, Sessions, Standing,
};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, SubjectTag, TokenId};
use doorward::users::UserId;
use doorward::users::history::{History, OpenedSession};
use doorward::users::sql::SqlUsers;
use tokio_util::sync::CancellationToken;

use crate::kit::{
    RULES, ask, database, directory, end, eventually, insist, lives, new_session, on_every_store, open, open_by, redis,
    salt, sql_in, standing, tag_of,
};
use crate::log::{read, start};
use crate::redis::{RedisServer, available};

async fn everyone_out(state: &dyn Sessions) -> Mark {
    state.end_everyone().await.unwrap().sure().unwrap()
}

async fn refresh(state: &dyn Sessions, session: &Session) -> Rotation {
    state.refresh(&session.sid, session.generation, &salt(), Manner::Rotating, &RULES).await.unwrap()
}

// SEC-S8
#[tokio::test]
async fn what_was_opened_before_the_mark_is_over_and_what_is_opened_after_lives() {
    on_every_store(async |store| {
        let (state, name) = (&*store.state, store.name);
        let position = start(state).await;
        assert_eq!(insist(|| state.mark()).await, Mark(0), "{name}");
        let before = [open(state, "alice").await, open(state, "alice").await, open(state, "bob").await];
        let mark = everyone_out(state).await;
        assert_eq!(insist(|| state.mark()).await, mark, "{name}");
        assert!(SystemClock.now_millis().0.abs_diff(mark.0) < 10_000, "{name}: {mark:?} is a moment");
        assert_eq!(read(state, &position).await.entries, [Entry::Everyone(mark)], "{name}");

        state.touch(&before.each_ref().map(|one| (one.sid, SystemClock.now_millis())), RULES.idle * 2).await.unwrap();
        for session in &before {
            assert!(!lives(state, session).await, "{name}");
            assert_eq!(state.session(&session.sid).await.unwrap(), None, "{name}");
        }
        assert_eq!(state.all_sessions(10).await.unwrap(), [], "{name}");
        assert_eq!(state.sessions_of(tag_of("alice")).await.unwrap(), [], "{name}");
        assert_eq!(refresh(state, &before[0]).await, Rotation::Unknown, "{name}");
        assert!(!end(state, &before[1]).await, "{name}: there is nothing left to end");
        let by_salt = state.end_with_salt(&before[2].sid, &salt(), Cause::Logout).await.unwrap();
        assert_eq!(by_salt.sure().unwrap(), None, "{name}");

        let after = open(state, "alice").await;
        assert_eq!(after.epoch.mark, mark.0, "{name}");
        assert!(lives(state, &after).await, "{name}");
        assert_eq!(state.all_sessions(10).await.unwrap().len(), 1, "{name}");
        let Rotation::Rotated(rotated) = refresh(state, &after).await else { panic!("{name}: it is not refreshed") };
        assert_eq!(rotated.epoch, after.epoch, "{name}");
        assert!(lives(state, &rotated).await, "{name}");
        // A token from before it does not count for a session of after it.
        let mut older = after.clone();
        older.epoch.mark = 0;
        assert_eq!(standing(state, &older).await, Standing::Dead, "{name}");

        let next = everyone_out(state).await;
        assert!(next > mark, "{name}");
        assert!(!lives(state, &rotated).await, "{name}");
    })
    .await;
}

// SEC-S8: by order, not by the clock, so no two moments are too close.
#[tokio::test]
async fn logins_of_the_same_moment_fall_on_their_side_of_the_mark() {
    on_every_store(async |store| {
        let state = &*store.state;
        let mut after = open(state, "alice").await;
        for _ in 0..20 {
            let before = after;
            everyone_out(state).await;
            after = open(state, "alice").await;
            assert!(!lives(state, &before).await && lives(state, &after).await, "{}", store.name);
        }
    })
    .await;
}

#[tokio::test]
async fn sessions_from_before_the_mark_take_no_place_and_are_told_no_second_time() {
    on_every_store(async |store| {
        let (state, name) = (&*store.state, store.name);
        let rules = SessionRules { max_per_subject: 1, at_limit: AtLimit::Refuse, ..RULES };
        let before = open_by(state, "alice", &rules).await;
        everyone_out(state).await;
        let position = start(state).await;
        let Opened::Session { session, evicted, expired, .. } =
            state.open(&new_session("alice"), &rules).await.unwrap()
        else {
            panic!("{name}: the limit counts what is over")
        };
        assert!(evicted.is_empty() && expired.is_empty(), "{name}");
        assert_eq!(refresh(state, &before).await, Rotation::Unknown, "{name}");
        let ended = state.end_subject(tag_of("alice"), Cause::LogoutAll, Duration::ZERO).await.unwrap();
        assert_eq!(ended.sure().unwrap(), 1, "{name}: only {}", session.sid);
        assert_eq!(read(state, &position).await.entries, [Entry::Subject(tag_of("alice"))], "{name}");
    })
    .await;
}

#[tokio::test]
async fn tokens_of_other_issuers_are_denied_as_issued_until_the_mark() {
    on_every_store(async |store| {
        let state = &*store.state;
        let lives = async |issued: Option<u64>| {
            let tag = SubjectTag::of("https://idp", "alice");
            let question = Question::Foreign { tag, jti: TokenId::new("t"), issued: issued.map(Timestamp) };
            ask(state, &question).await != Standing::Dead
        };
        let now = SystemClock.now().0;
        assert!(lives(Some(now)).await && lives(None).await, "{}", store.name);
        let set = everyone_out(state).await.0 / 1000;
        assert!(!lives(Some(now - 1000)).await && !lives(Some(set)).await, "{}", store.name);
        assert!(!lives(Some(set + 5)).await, "{}: an issuer's clock may be 5 s ahead", store.name);
        assert!(!lives(None).await, "{}: without iat", store.name);
        assert!(lives(Some(set + 6)).await, "{}", store.name);
    })
    .await;
}

// SEC-S8
#[tokio::test]
async fn the_mark_costs_redis_as_much_for_thousands_of_sessions_as_for_one() {
    if !available() {
        return;
    }
    for server in [RedisServer::start(), RedisServer::start_cluster()] {
        let clustered = server.cli(&["INFO", "cluster"]).contains("cluster_enabled:1");
        let state = redis(&if clustered { server.cluster_url() } else { server.url() }).await;
        open(&state, "user 0").await;
        let mut spent = Vec::new();
        for sessions in [1, 3000] {
            for n in 1..sessions {
                open(&state, &format!("user {n}")).await;
            }
            // The first call may have to teach the server its script.
            everyone_out(&state).await;
            server.cli(&["CONFIG", "RESETSTAT"]);
            everyone_out(&state).await;
            let stats = server.cli(&["INFO", "commandstats"]);
            let calls = |line: &str| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok();
            spent.push(stats.lines().filter_map(calls).sum::<u64>());
        }
        // What scripts did for it is counted too; asking what was spent and keeping the connection cost one or two.
        assert!(spent[1] <= spent[0] + 2 && spent[1] < 20, "{spent:?}");
    }
}

// SEC-S8
#[tokio::test]
async fn the_mark_touches_no_row_of_a_session() {
    let dir = directory();
    let database = database(&format!("sqlite:{}", dir.path().join("d.db").display())).await;
    let state = sql_in(database.clone(), Arc::new(Metrics::new())).await;
    for n in 0..3000 {
        open(&state, &format!("user {n}")).await;
    }
    let guards = [
        "CREATE TRIGGER no_update BEFORE UPDATE ON state_session BEGIN SELECT RAISE(ABORT, 'a session is written'); END",
        "CREATE TRIGGER no_delete BEFORE DELETE ON state_session BEGIN SELECT RAISE(ABORT, 'a session is removed'); END",
    ];
    for guard in guards {
        query(guard).run(&database).await.unwrap();
    }
    everyone_out(&state).await;
    assert_eq!(state.all_sessions(10).await.unwrap(), []);
}

#[tokio::test]
async fn the_retention_task_remembers_whom_the_mark_has_ended() {
    let database = database("sqlite::memory:").await;
    let state = Arc::new(sql_in(database.clone(), Arc::new(Metrics::new())).await);
    let users = Arc::new(SqlUsers::new(database));
    let alice = UserId::fresh();
    let [before, after] = [new_session("alice").sid, new_session("alice").sid];
    let remember = async |sid| {
        let created = SystemClock.now_millis();
        let ends = created.plus(Duration::from_secs(3600));
        let opened = OpenedSession { sid, user: &alice, created, ends, device: &Device::default() };
        users.opened(&opened).await.unwrap();
    };
    remember(before).await;
    crate::kit::pass(crate::kit::TICK).await;
    let mark = everyone_out(&*state).await;
    crate::kit::pass(crate::kit::TICK).await;
    remember(after).await;
    let retaining = Retaining::new(users.clone(), users.clone(), users.clone(), Settings::default());
    retaining.heeding(state).tidy().await.unwrap();
    let ended = users.of_user(&alice, 10).await.unwrap().into_iter().map(|past| (past.sid, past.ended));
    let ended: Vec<_> = ended.filter_map(|(sid, ended)| Some((sid, ended?))).collect();
    assert_eq!(ended, [(before, (doorward::clock::Millis(mark.0), "admin".to_owned()))]);
}

#[tokio::test]
async fn a_refresh_of_a_session_from_before_the_mark_frees_its_memory() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = redis(&server.url()).await;
    let session = open(&state, "alice").await;
    everyone_out(&state).await;
    let answer = state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
    assert_eq!(answer, Rotation::Unknown);
    assert_eq!(server.cli(&["KEYS", "dw:{*}:s:*"]), "");
}

// SEC-F7: the other servers of a cluster have kept the sessions that the mark has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_whose_log_server_lost_everything_lets_nobody_from_before_the_mark_in_again() {
    if !available() {
        return;
    }
    let server = RedisServer::start_cluster();
    let state = Arc::new(redis(&server.cluster_url()).await);
    let (stop, guard) = (CancellationToken::new(), Arc::clone(&state));
    let stopping = stop.clone();
    tokio::spawn(async move { guard.guard(stopping).await });
    let follows = async || server.cli(&["CLIENT", "LIST"]).contains("cmd=xread").then_some(());
    eventually("it follows", Duration::from_secs(10), follows).await;
    let before = open(&*state, "alice").await;
    let mark = everyone_out(&*state).await;

    let keys = server.cli(&["KEYS", "dw:{log}:*"]);
    server.cli(&[&["DEL"], &keys.lines().collect::<Vec<_>>()[..]].concat());
    let set_again = async || (state.mark().await.ok()? == mark).then_some(());
    eventually("the mark is set again", Duration::from_secs(10), set_again).await;
    assert!(!lives(&*state, &before).await);
    assert_eq!(refresh(&*state, &before).await, Rotation::Unknown);
    stop.cancel();
}
