//! Why a database can't be used, in words for whoever set it up, apart from the fix: `doctor` shows both.

use sqlx::Error;

use super::DatabaseError;

/// Of SQLSTATE, which PostgreSQL, MySQL and MariaDB share.
const FIXES: [(&str, &str); 6] = [
    ("28P01", "see that users.url has the user and the password that the database knows"),
    (
        "28000",
        "see that users.url has the user and the password that the database knows, and that it lets them in from here",
    ),
    ("3D000", "make this database, or name another one in users.url"),
    ("42000", "make the database that users.url names, and let its user do everything in it"),
    ("42501", "let the user of users.url make and use tables in this database"),
    ("53300", "lower users.pool, or let the database take more connections"),
];

const NOT_REACHED: &str = "see that the database runs, and that this machine may reach the host and port of users.url";

impl DatabaseError {
    /// What is wrong, and what to do.
    pub fn told(&self) -> (String, String) {
        match self {
            Self::Open(Error::Database(refusal)) => {
                let state = refusal.code().unwrap_or_default();
                let fix = FIXES
                    .iter()
                    .find(|(known, _)| *known == state)
                    .map_or("see the database's own log", |(_, fix)| fix);
                (format!("the database refuses: {}", refusal.message()), fix.into())
            }
            Self::Open(Error::Io(error)) => (format!("the database can't be reached: {error}"), NOT_REACHED.into()),
            Self::Open(Error::PoolTimedOut) => ("no database answers".into(), NOT_REACHED.into()),
            other => {
                // Its own words end with the fix.
                let text = other.to_string();
                let (what, fix) = text.split_once("; ").or_else(|| text.split_once(": ")).unwrap_or((&text, ""));
                (what.into(), fix.into())
            }
        }
    }
}
