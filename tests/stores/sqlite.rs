//! What is special to SQLite: a file that outlives the process, other processes beside us, locks, a full disk.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::clock::{Clock, FixedClock, SystemClock, Timestamp};
use doorward::database::{self, query};
use doorward::metrics::Metrics;
use doorward::state::{Entry, Lookups, Position, Rotation, Sessions, StateError};
use doorward::token::Generation;
use doorward::token::refresh::Manner;

use crate::kit::{
    RULES, TICK, database, database_with, directory, end, eventually, in_one_of_three, lives, ms, open, pass, salt,
    sql, sql_in,
};
use crate::log::{read, start};

fn file(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}", dir.path().join("d.db").display())
}

#[tokio::test]
async fn sessions_and_the_log_survive_a_restart() {
    let dir = directory();
    let (session, ended, position);
    {
        let state = sql(&file(&dir)).await;
        session = open(&state, "alice").await;
        ended = open(&state, "alice").await;
        position = start(&state).await;
        end(&state, &ended).await;
    }
    let state = sql(&file(&dir)).await;
    assert!(lives(&state, &session).await);
    assert!(!lives(&state, &ended).await);
    let rotation = state.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
    assert!(matches!(rotation, Rotation::Rotated(_)));
    let batch = read(&state, &position).await;
    assert!(!batch.gap());
    assert_eq!(batch.entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_by_another_process_is_heard() {
    let dir = directory();
    let (server, command_line) = (Arc::new(sql(&file(&dir)).await), sql(&file(&dir)).await);
    let session = open(&*server, "alice").await;
    let position = start(&*server).await;
    let reader = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.read_log(Some(&position), Duration::from_secs(20)).await.unwrap() })
    };
    let asked = Instant::now();
    assert!(end(&command_line, &session).await);
    assert_eq!(reader.await.unwrap().entries.len(), 1);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(!lives(&*server, &session).await);
}

// SEC-F10
#[tokio::test]
async fn a_locked_database_is_answered_within_a_second_and_recovers() {
    let dir = directory();
    let state = sql(&file(&dir)).await;
    let session = open(&state, "alice").await;
    let other = database(&file(&dir)).await;
    in_one_of_three(async |_| {
        let lock = other.begin().await.unwrap();
        let (asked, salt, seen) = (Instant::now(), salt(), [(session.sid, SystemClock.now_millis())]);
        let answers = tokio::join!(
            state.end(&session.sid, doorward::state::Cause::Logout),
            state.refresh(&session.sid, Generation(0), &salt, Manner::Rotating, &RULES),
            state.touch(&seen, RULES.idle),
        );
        let took = asked.elapsed();
        assert!(answers.0.is_err() && answers.1.is_err() && answers.2.is_err(), "{answers:?}");
        assert!(lives(&state, &session).await, "reading goes on");
        drop(lock);
        if took < ms(1300) { Ok(()) } else { Err(format!("{took:?}")) }
    })
    .await;
    other.close().await;
    assert!(end(&state, &session).await);
}

// SEC-F10
#[tokio::test]
async fn a_full_disk_is_an_error_and_nothing_half_written() {
    let dir = directory();
    let settings = database::Settings { url: file(&dir), pool: 1, ..database::Settings::default() };
    let database = database::open(&settings, Arc::new(SystemClock)).await.unwrap();
    let state = sql_in(database.clone(), Arc::new(Metrics::new())).await;
    let (pages,): (i64,) = query("PRAGMA page_count").one(&database).await.unwrap();
    query(format!("PRAGMA max_page_count = {pages}").leak()).run(&database).await.unwrap();
    let mut opened = 0;
    let error = loop {
        match state.open(&crate::kit::new_session("alice"), &RULES).await {
            Ok(_) => opened += 1,
            Err(error) => break error,
        }
        assert!(opened < 1000, "the disk never filled");
    };
    assert!(matches!(error, StateError::Refused(_)), "{error}");
    let before = state.all_sessions(1000).await.unwrap().len();
    // The limit went with the connection that hit it; a new one is used now.
    open(&state, "bob").await;
    assert_eq!(state.all_sessions(1000).await.unwrap().len(), before + 1);
}

// SEC-S3
#[tokio::test]
async fn a_reader_behind_the_kept_log_has_a_gap_and_old_rows_go() {
    let clock = Arc::new(FixedClock::at(Timestamp(1_700_000_000)));
    let database = database_with("sqlite::memory:", clock.clone()).await;
    let state = sql_in(database.clone(), Arc::new(Metrics::new())).await;
    let position = start(&state).await;
    let session = open(&state, "alice").await;
    open(&state, "alice").await;
    end(&state, &session).await;
    let seen = read(&state, &position).await;
    assert_eq!(seen.entries.len(), 1);

    clock.advance(Duration::from_secs(25 * 3600));
    state.announce(&Entry::Everything).await.unwrap().sure().unwrap();
    clock.advance(Duration::from_secs(61));
    open(&state, "bob").await;
    eventually("old rows to go", Duration::from_secs(10), async || {
        let (rows,): (i64,) = query("SELECT count(*) FROM state_session").one(&database).await.unwrap();
        (rows == 1).then_some(())
    })
    .await;
    eventually("the log to be trimmed", Duration::from_secs(10), async || {
        read(&state, &position).await.gap().then_some(())
    })
    .await;
    let rest = read(&state, &seen.position).await;
    assert_eq!((rest.gap(), rest.entries), (false, vec![Entry::Everything]), "nothing after it was trimmed");
}

#[tokio::test]
async fn a_restored_backup_is_a_gap() {
    let dir = directory();
    let path = dir.path().join("d.db");
    let backup = dir.path().join("backup.db");
    let database = database(&file(&dir)).await;
    let state = sql_in(database.clone(), Arc::new(Metrics::new())).await;
    let session = open(&state, "alice").await;
    query("VACUUM INTO ?").bind(backup.display().to_string()).run(&database).await.unwrap();
    end(&state, &session).await;
    let position = start(&state).await;
    database.close().await;
    std::fs::copy(&backup, &path).unwrap();
    let state = sql(&file(&dir)).await;
    assert!(read(&state, &position).await.gap());
    // Also where as much was written since: other entries have the same numbers.
    pass(TICK).await;
    state.announce(&Entry::Everything).await.unwrap().sure().unwrap();
    assert!(read(&state, &position).await.gap());
}

/// As the version before users made it.
#[tokio::test]
async fn a_file_of_an_older_version_is_taken_on_with_what_is_in_it() {
    let dir = directory();
    let older = sqlx::migrate::Migrator::new(Path::new("src/database/migrations/sqlite")).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::from_str(&file(&dir)).unwrap().create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    older.run_to(1, &pool).await.unwrap();
    sqlx::query("INSERT INTO state_store VALUES (1, 'store-1', 1700000000, 0, 7)").execute(&pool).await.unwrap();
    pool.close().await;
    let state = sql(&file(&dir)).await;
    let batch = read(&state, &Position("other 0".into())).await;
    assert_eq!((&*batch.position.0, batch.proof.expect("proven").store_began.0), ("store-1 7 0", 1_700_000_000));
    let session = open(&state, "alice").await;
    assert!(lives(&state, &session).await);
}
