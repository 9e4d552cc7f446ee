//! SQLite as the token store: busy, and restored from an older copy. F10, F12.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::Runtime;

use crate::harness::doorward::{Doorward, Pair, program};
use crate::harness::http::Request;
use crate::harness::wait::wait_for;

/// A second hand on the node's database.
struct Hand {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Hand {
    fn on(doorward: &Doorward) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let url = format!("sqlite:{}", doorward.folder().join("doorward.db").display());
        let connection = runtime.block_on(SqliteConnection::connect(&url)).expect("a database");
        Self { runtime, connection }
    }

    fn does(&mut self, sql: &str) {
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(statement.execute(&mut self.connection)).expect("it is done");
    }
}

// SEC-F10
#[test]
fn a_database_that_is_held_by_another_is_bounded_waiting_and_never_a_success_that_is_not_written() {
    let doorward = Doorward::start(json!({}));
    let (known, unseen) = (doorward.login(1), doorward.login(2));
    assert_eq!(doorward.check(&known.access).status, 200);
    let descriptors = doorward.process.descriptors();
    let mut hand = Hand::on(&doorward);
    // Each refused call that kept its connection would keep three files: five rounds of three such calls, 45.
    for _ in 0..5 {
        hand.does("BEGIN EXCLUSIVE");
        std::thread::scope(|scope| {
            let calls = [
                scope.spawn(|| Request::post("/login", &json!({"user_id": 3})).send(doorward.public)),
                scope.spawn(|| doorward.refresh(&known.refresh)),
                scope.spawn(|| doorward.logout(&known.access)),
            ];
            for reply in calls.map(|call| call.join().expect("an answer")) {
                assert_eq!(reply.status, 503, "{reply:?}");
                assert!(reply.header("retry-after").is_some(), "{reply:?}");
            }
        });
        let asked = Instant::now();
        assert_eq!(doorward.check(&known.access).status, 200, "unaffected");
        assert_eq!(doorward.check(&unseen.access).status, 200, "a reader waits for no writer");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        hand.does("ROLLBACK");
    }
    wait_for("the recovery", || Request::post("/login", &json!({"user_id": 3})).send(doorward.public).status == 200);
    let next = Pair::of(&doorward.refresh(&known.refresh));
    assert_eq!(doorward.logout(&next.access).status, 200);
    assert_eq!(doorward.check(&next.access).status, 401);
    // The pool may have grown to its ten connections and no further.
    doorward.process.eventually("no connection has leaked", || doorward.process.descriptors() <= descriptors + 30);
}

// SEC-F12
#[test]
fn what_an_older_copy_of_the_database_brings_back_ends_by_command() {
    let mut doorward = Doorward::start(json!({}));
    let [ended, stays] = ["ended", "stays"].map(|user| doorward.login(user));
    let copy = doorward.folder().join("copy.db");
    Hand::on(&doorward).does(&format!("VACUUM INTO '{}'", copy.display()));
    assert_eq!(doorward.logout(&ended.access).status, 200);
    let since = doorward.login("since");

    let file = doorward.folder().join("doorward.db");
    doorward.process.kill();
    for beside in ["doorward.db-wal", "doorward.db-shm"] {
        let _ = std::fs::remove_file(doorward.folder().join(beside));
    }
    std::fs::rename(&copy, &file).expect("a copy");
    doorward.start_again();
    assert_eq!(doorward.knows(&since.access), 401, "a session that the copy does not know");
    assert_eq!(doorward.knows(&stays.access), 200);
    // Nothing is left that knows of the logout, so the operator has to end all that could be it.
    let done = program()
        .args(["session", "revoke", "--all", "--yes", "-c"])
        .arg(doorward.folder().join("doorward.yaml"))
        .output()
        .expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for pair in [&ended, &stays] {
        wait_for("the end of all", || doorward.check(&pair.access).status == 401);
        assert_eq!(doorward.refresh(&pair.refresh).status, 401);
    }
}
