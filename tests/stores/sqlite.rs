//! What is special to SQLite: a file that outlives the process, other processes beside us, locks, a full disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::clock::{Clock, FixedClock, SystemClock, Timestamp};
use doorward::database;
use doorward::metrics::Metrics;
use doorward::state::sql::SqlState;
use doorward::state::{Lookups, Rotation, Sessions, StateError};
use doorward::token::Generation;

use crate::kit::{RULES, directory, end, lives, ms, open, salt, sqlite};
use crate::log::{read, start};

fn file(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}", dir.path().join("d.db").display())
}

#[tokio::test]
async fn sessions_and_the_log_survive_a_restart() {
    let dir = directory();
    let (session, ended, position);
    {
        let state = sqlite(&file(&dir)).await;
        session = open(&state, "alice").await;
        ended = open(&state, "alice").await;
        position = start(&state).await;
        end(&state, &ended).await;
    }
    let state = sqlite(&file(&dir)).await;
    assert!(lives(&state, &session).await);
    assert!(!lives(&state, &ended).await);
    let rotation = state.rotate(&session.sid, Generation(0), &salt(), &RULES).await.unwrap();
    assert!(matches!(rotation, Rotation::Rotated(_)));
    let batch = read(&state, &position).await;
    assert!(!batch.gap);
    assert_eq!(batch.entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_by_another_process_is_heard() {
    let dir = directory();
    let (server, command_line) = (Arc::new(sqlite(&file(&dir)).await), sqlite(&file(&dir)).await);
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
    let state = sqlite(&file(&dir)).await;
    let session = open(&state, "alice").await;
    let other = database::open(&database::Settings { url: file(&dir), ..database::Settings::default() }).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let (asked, salt, seen) = (Instant::now(), salt(), [(session.sid, SystemClock.now_millis())]);
    let answers = tokio::join!(
        state.end(&session.sid, doorward::state::Cause::Logout),
        state.rotate(&session.sid, Generation(0), &salt, &RULES),
        state.touch(&seen, RULES.idle),
    );
    assert!(answers.0.is_err() && answers.1.is_err() && answers.2.is_err(), "{answers:?}");
    assert!(asked.elapsed() < ms(1300), "{:?}", asked.elapsed());
    assert!(lives(&state, &session).await, "reading goes on");
    lock.rollback().await.unwrap();
    assert!(end(&state, &session).await);
}

// SEC-F10
#[tokio::test]
async fn a_full_disk_is_an_error_and_nothing_half_written() {
    let dir = directory();
    let settings = database::Settings { url: file(&dir), pool: 1, ..database::Settings::default() };
    let pool = database::open(&settings).await.unwrap();
    let state = SqlState::new(pool.clone(), Arc::new(SystemClock), Arc::new(Metrics::new())).await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&pool).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query(limit).execute(&pool).await.unwrap();
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
    let settings = database::Settings { url: "sqlite::memory:".into(), ..database::Settings::default() };
    let pool = database::open(&settings).await.unwrap();
    let state =
        SqlState::new(pool.clone(), Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(Metrics::new())).await.unwrap();
    let position = start(&state).await;
    let session = open(&state, "alice").await;
    open(&state, "alice").await;
    end(&state, &session).await;
    let seen = read(&state, &position).await;
    assert_eq!(seen.entries.len(), 1);

    clock.advance(Duration::from_secs(25 * 3600));
    open(&state, "bob").await;
    assert!(read(&state, &position).await.gap);
    assert!(!read(&state, &seen.position).await.gap, "nothing after it was trimmed");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM state_session").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_restored_backup_is_a_gap() {
    let dir = directory();
    let path = dir.path().join("d.db");
    let backup = dir.path().join("backup.db");
    let settings = database::Settings { url: file(&dir), ..database::Settings::default() };
    let pool = database::open(&settings).await.unwrap();
    let state = SqlState::new(pool.clone(), Arc::new(SystemClock), Arc::new(Metrics::new())).await.unwrap();
    let session = open(&state, "alice").await;
    let into = sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", backup.display()));
    sqlx::query(into).execute(&pool).await.unwrap();
    end(&state, &session).await;
    let position = start(&state).await;
    pool.close().await;
    std::fs::copy(&backup, &path).unwrap();
    let state = sqlite(&file(&dir)).await;
    assert!(state.read_log(Some(&position), Duration::ZERO).await.unwrap().gap);
}
