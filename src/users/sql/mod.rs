//! Users in the SQL database, and what is remembered of their sessions. `app` makes it; `accounts` uses it through the traits.

mod audit_tail;
mod history;
mod lease;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::FromRow;

use super::{Created, Credentials, NewUser, Page, PasswordHash, User, UserError, UserId, Users};
use crate::clock::Millis;
use crate::database::{Database, query};

/// How long a call may take; so a request waits no longer for a database that is stuck (SEC-F10).
const BUDGET: Duration = Duration::from_secs(2);

/// Rows that a clean-up removes at once.
const FORGOTTEN_AT_ONCE: i64 = 500;

/// Rows in one statement: each of their values is a parameter of it, and SQLite has 999 of them.
const WRITTEN_AT_ONCE: usize = 64;

#[derive(Clone, Debug)]
pub struct SqlUsers {
    database: Database,
}

/// A row of `users`.
#[derive(FromRow)]
struct Row {
    id: String,
    email: String,
    password: Option<String>,
    confirmed: i64,
    disabled: i64,
    roles: String,
    created_at: i64,
    updated_at: i64,
}

/// The beginning of every query for users.
macro_rules! select_users {
    ($rest:literal) => {
        concat!("SELECT id, email, password, confirmed, disabled, roles, created_at, updated_at FROM users ", $rest)
    };
}

impl SqlUsers {
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    async fn row(&self, id: &UserId) -> Result<Option<Row>, UserError> {
        within(query(select_users!("WHERE id = ?")).bind(id.as_str()).maybe(&self.database)).await
    }
}

/// Bounds a call in time.
async fn within<T, E: Into<UserError>>(call: impl Future<Output = Result<T, E>>) -> Result<T, UserError> {
    tokio::time::timeout(BUDGET, call).await.map_err(|_| UserError::TimedOut)?.map_err(Into::into)
}

impl From<sqlx::Error> for UserError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::TimedOut,
            sqlx::Error::Database(error) => Self::Refused(error.message().to_owned()),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unreachable(error.to_string())
            }
            _ => Self::Corrupt(error.to_string()),
        }
    }
}

#[async_trait]
impl Users for SqlUsers {
    async fn create(&self, new: &NewUser) -> Result<Created, UserError> {
        let insert = query(
            "INSERT INTO users (id, email, password, confirmed, disabled, roles, created_at, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?, COALESCE(?, {now}), {now})",
        )
        .bind(new.id.as_str())
        .bind(new.email.as_str())
        .bind(new.password.as_ref().map(|hash| hash.as_str().to_owned()))
        .bind(i64::from(new.confirmed))
        .bind(i64::from(new.disabled))
        .bind(list(&new.roles))
        .bind(new.created);
        let inserted =
            tokio::time::timeout(BUDGET, insert.run(&self.database)).await.map_err(|_| UserError::TimedOut)?;
        match inserted {
            Ok(_) => {}
            // The unique index decides the race.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            Err(error) => return Err(error.into()),
        }
        let user = self.find(&new.id).await?.filter(|user| user.email == new.email);
        Ok(user.map_or(Created::Taken, Created::User))
    }

    async fn find(&self, id: &UserId) -> Result<Option<User>, UserError> {
        self.row(id).await?.map(User::try_from).transpose()
    }

    async fn credentials(&self, id: &UserId) -> Result<Option<Credentials>, UserError> {
        self.row(id).await?.map(Credentials::try_from).transpose()
    }

    async fn find_by_email(&self, email: &str) -> Result<Option<Credentials>, UserError> {
        let row: Option<Row> =
            within(query(select_users!("WHERE email = ?")).bind(email).maybe(&self.database)).await?;
        row.map(Credentials::try_from).transpose()
    }

    async fn set_password(&self, id: &UserId, hash: &PasswordHash) -> Result<bool, UserError> {
        let update = query("UPDATE users SET password = ?, updated_at = {now} WHERE id = ?");
        let changed = within(update.bind(hash.as_str()).bind(id.as_str()).run(&self.database)).await?;
        Ok(changed == 1)
    }

    async fn replace_password(&self, id: &UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, UserError> {
        // Nothing that its owner changed: `updated_at` stays.
        let update = query("UPDATE users SET password = ? WHERE id = ? AND password = ?");
        let update = update.bind(new.as_str()).bind(id.as_str()).bind(old.as_str());
        Ok(within(update.run(&self.database)).await? == 1)
    }

    async fn set_confirmed(&self, id: &UserId, confirmed: bool) -> Result<bool, UserError> {
        let update = query("UPDATE users SET confirmed = ?, updated_at = {now} WHERE id = ?");
        let changed = within(update.bind(i64::from(confirmed)).bind(id.as_str()).run(&self.database)).await?;
        Ok(changed == 1)
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, UserError> {
        let update = query("UPDATE users SET disabled = ?, updated_at = {now} WHERE id = ?");
        let changed = within(update.bind(i64::from(disabled)).bind(id.as_str()).run(&self.database)).await?;
        Ok(changed == 1)
    }

    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, UserError> {
        let update = query("UPDATE users SET roles = ?, updated_at = {now} WHERE id = ?");
        let changed = within(update.bind(list(roles)).bind(id.as_str()).run(&self.database)).await?;
        Ok(changed == 1)
    }

    async fn delete(&self, id: &UserId) -> Result<bool, UserError> {
        let delete = query("DELETE FROM users WHERE id = ?").bind(id.as_str());
        Ok(within(delete.run(&self.database)).await? == 1)
    }

    async fn list(&self, page: &Page) -> Result<Vec<User>, UserError> {
        let select = query(select_users!("WHERE email > ? AND email LIKE ? ESCAPE '!' ORDER BY email LIMIT ?"))
            .bind(page.after.as_deref().unwrap_or_default())
            .bind(containing(page.search.as_deref().unwrap_or_default()))
            .bind(i64::from(page.limit));
        let rows: Vec<Row> = within(select.all(&self.database)).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    async fn holders(&self, role: &str) -> Result<Vec<User>, UserError> {
        // In the JSON text first, and then in the list that it means: a role's name may look like two.
        let select = query(select_users!("WHERE roles LIKE ? ESCAPE '!'"));
        let quoted = serde_json::Value::from(role).to_string();
        let rows: Vec<Row> = within(select.bind(containing(&quoted)).all(&self.database)).await?;
        let likely: Vec<User> = rows.into_iter().map(User::try_from).collect::<Result<_, _>>()?;
        Ok(likely.into_iter().filter(|user| user.roles.iter().any(|held| held == role)).collect())
    }

    async fn health(&self) -> Result<(), UserError> {
        let _: (i64,) = within(query("SELECT count(*) FROM users WHERE id = ''").one(&self.database)).await?;
        Ok(())
    }
}

impl TryFrom<Row> for User {
    type Error = UserError;

    fn try_from(row: Row) -> Result<Self, UserError> {
        Ok(Self {
            id: user_id(&row.id)?,
            roles: words(&row.roles)?,
            email: row.email,
            confirmed: row.confirmed != 0,
            disabled: row.disabled != 0,
            created: moment(row.created_at)?,
            updated: moment(row.updated_at)?,
        })
    }
}

impl TryFrom<Row> for Credentials {
    type Error = UserError;

    fn try_from(mut row: Row) -> Result<Self, UserError> {
        let password = row.password.take().map(PasswordHash::new);
        Ok(Self { user: row.try_into()?, password })
    }
}

fn user_id(text: &str) -> Result<UserId, UserError> {
    UserId::new(text).ok_or_else(|| UserError::Corrupt("a user's id is not one".into()))
}

fn moment(millis: i64) -> Result<Millis, UserError> {
    millis.try_into().map(Millis).map_err(|_| UserError::Corrupt("a moment below zero".into()))
}

fn list(words: &[String]) -> String {
    serde_json::Value::from(words.to_vec()).to_string()
}

fn words(json: &str) -> Result<Vec<String>, UserError> {
    serde_json::from_str(json).map_err(|_| UserError::Corrupt("a list of roles is not one".into()))
}

/// A pattern for `LIKE … ESCAPE '!'`.
fn containing(part: &str) -> String {
    let escaped = part.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_taken_literally() {
        assert_eq!(containing("50%_of!"), "%50!%!_of!!%");
    }
}
