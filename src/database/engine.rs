//! The SQL engines, and the few words in which their SQL differs. Statements are written once, with `?` for a value and these
//! words in braces:
//!
//! | word | means |
//! |---|---|
//! | `{now}` | the database's time at the statement's start, in Unix milliseconds; SQLite has none of its own, and gets this machine's |
//! | `{clock}` | the same, but when the row is there: after a lock was waited for |
//! | `{lock}` | ends a `SELECT` whose rows stay ours until the step ends; SQLite's steps are alone anyway |
//! | `{or_keep K}` | ends an `INSERT` that does nothing where the key `K` is there already |

use std::fmt::Write;

/// What `users.url` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl Engine {
    /// By the scheme of the URL.
    pub fn of(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            _ => None,
        }
    }

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL or MariaDB",
        }
    }

    /// By the start of the statement: in a transaction its own start would be older than the locks it waited for.
    const fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "?",
            Self::Postgres => "floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint",
            Self::MySql => "CAST(FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)",
        }
    }

    const fn clock(self) -> &'static str {
        match self {
            Self::Sqlite => "?",
            Self::Postgres => "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
            Self::MySql => "CAST(FLOOR(UNIX_TIMESTAMP(SYSDATE(3)) * 1000) AS SIGNED)",
        }
    }

    const fn lock(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres | Self::MySql => "FOR UPDATE",
        }
    }

    /// This engine's form of a statement. `now` is called for each time whose value is to be given, with how many values
    /// stand before it.
    pub(super) fn write(self, statement: &str, mut now: impl FnMut(usize)) -> String {
        let (mut sql, mut values) = (String::with_capacity(statement.len() + 64), 0);
        let mut rest = statement;
        while let Some(at) = rest.find(['?', '{']) {
            sql.push_str(&rest[..at]);
            let word = if rest.as_bytes()[at] == b'?' { "?" } else { until_brace(&rest[at..]) };
            rest = &rest[at + word.len()..];
            match word {
                "{now}" | "{clock}" if self == Self::Sqlite => {
                    now(values);
                    self.value(&mut sql, &mut values);
                }
                "?" => self.value(&mut sql, &mut values),
                "{now}" => sql.push_str(self.now()),
                "{clock}" => sql.push_str(self.clock()),
                "{lock}" => sql.push_str(self.lock()),
                _ => {
                    let key = word.trim_start_matches("{or_keep ").trim_end_matches('}');
                    match self {
                        Self::Sqlite | Self::Postgres => sql.push_str("ON CONFLICT DO NOTHING"),
                        Self::MySql => {
                            let _ = write!(sql, "ON DUPLICATE KEY UPDATE {key} = {key}");
                        }
                    }
                }
            }
        }
        sql.push_str(rest);
        sql
    }

    fn value(self, sql: &mut String, values: &mut usize) {
        *values += 1;
        match self {
            Self::Postgres => {
                let _ = write!(sql, "${values}");
            }
            Self::Sqlite | Self::MySql => sql.push('?'),
        }
    }
}

/// The word in braces at the beginning of this text.
fn until_brace(text: &str) -> &str {
    text.find('}').map_or(text, |end| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_is_written_for_each_engine() {
        let write = |engine: Engine, statement| {
            let mut given = Vec::new();
            (engine.write(statement, |before| given.push(before)), given)
        };
        let read = "SELECT a FROM t WHERE b = ? AND c > {now} AND d = ? {lock}";
        assert_eq!(write(Engine::Sqlite, read), ("SELECT a FROM t WHERE b = ? AND c > ? AND d = ? ".into(), vec![1]));
        let (postgres, given) = write(Engine::Postgres, read);
        assert!(postgres.starts_with("SELECT a FROM t WHERE b = $1 AND c > floor("), "{postgres}");
        assert!(postgres.ends_with("AND d = $2 FOR UPDATE") && given.is_empty(), "{postgres}");
        let insert = "INSERT INTO t (k) VALUES (?) {or_keep k}";
        assert_eq!(write(Engine::Postgres, insert).0, "INSERT INTO t (k) VALUES ($1) ON CONFLICT DO NOTHING");
        assert_eq!(write(Engine::MySql, insert).0, "INSERT INTO t (k) VALUES (?) ON DUPLICATE KEY UPDATE k = k");
    }

    #[test]
    fn schemes_name_engines() {
        assert_eq!(Engine::of("mariadb://h/d"), Some(Engine::MySql));
        assert_eq!(Engine::of("sqlite::memory:"), Some(Engine::Sqlite));
        assert_eq!(Engine::of("mongodb://h"), None);
        assert_eq!(Engine::of("sqlite"), None);
    }
}
