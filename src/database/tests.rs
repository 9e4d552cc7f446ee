//! Opening a SQLite file: schema, file mode, errors. `tests/stores` has the servers.

use super::*;
use crate::clock::SystemClock;

fn file(dir: &tempfile::TempDir) -> Settings {
    Settings { url: format!("sqlite:{}", dir.path().join("d.db").display()), ..Settings::default() }
}

async fn open(settings: &Settings) -> Result<Database, DatabaseError> {
    super::open(settings, Arc::new(SystemClock)).await
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_a_clear_word() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&file(&dir)).await.unwrap();
    query("UPDATE _sqlx_migrations SET version = version + 990").run(&database).await.unwrap();
    database.close().await;
    let error = open(&file(&dir)).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Newer { found: 990.., .. }), "{error}");
}

#[tokio::test]
async fn without_migrate_an_older_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(&Settings { migrate: false, ..file(&dir) }).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Older { found: 0, .. }));
    open(&file(&dir)).await.unwrap();
    assert!(open(&Settings { migrate: false, ..file(&dir) }).await.is_ok());
}

#[tokio::test]
async fn a_new_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    open(&file(&dir)).await.unwrap();
    let mode = fs::metadata(dir.path().join("d.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_database_that_nobody_serves_is_told_with_its_reason() {
    for engine in ["postgres", "mysql"] {
        let settings = Settings { url: format!("{engine}://alice:secret@127.0.0.1:1/app"), ..Settings::default() };
        let error = open(&settings).await.expect_err("nobody listens there").to_string();
        assert!(error.contains("refused"), "{error}");
    }
}

// SEC-K6
#[tokio::test]
async fn no_error_shows_the_password() {
    for url in [
        "mongodb://u:canary@h/d",
        "postgres://u:canary@127.0.0.1:x/d",
        "postgres://u:canary@127.0.0.1/d?sslmode=what",
        "postgres://u:canary@no-such-host.invalid/d",
        "mysql://u:canary@127.0.0.1:1/d?ssl-mode=what",
    ] {
        let error = open(&Settings { url: url.into(), ..Settings::default() }).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}
