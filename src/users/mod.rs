//! Users: the words, and what a store of them promises. `accounts` is the only caller; `users::sql` keeps them.
//!
//! Addresses come here in the one canonical form that `authn` makes, and passwords as hashes: a store judges neither.

pub mod audit_tail;
pub mod history;
pub mod lease;
pub mod sql;

use std::fmt;

use async_trait::async_trait;

use crate::clock::Millis;
use crate::fault::{Fault, Kind};
use crate::secret::random_bytes;
use crate::token::CLIENT_PREFIX;

/// Names one user, for ever: the `sub` claim of its tokens. Opaque; up to 64 letters, digits and `-_.:`, so that users who
/// move here from another service keep the ids they have.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Box<str>);

impl UserId {
    /// A random one (UUID version 4, RFC 9562).
    pub fn fresh() -> Self {
        let id = uuid::Builder::from_random_bytes(random_bytes()).into_uuid();
        Self(id.hyphenated().to_string().into())
    }

    /// `None` for what is no id, or could be an OAuth client's subject.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with(CLIENT_PREFIX);
        fits.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// In canonical form, and unique.
    pub email: String,
    /// Whether its owner was seen to receive mail there.
    pub confirmed: bool,
    /// Neither signs in nor refreshes.
    pub disabled: bool,
    pub roles: Vec<String>,
    /// Both by the database's clock.
    pub created: Millis,
    pub updated: Millis,
}

/// A user about to be created. The caller makes the id, so that a call whose answer was lost can be repeated.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub id: UserId,
    pub email: String,
    pub password: Option<PasswordHash>,
    pub roles: Vec<String>,
    pub confirmed: bool,
    pub disabled: bool,
    /// `None`: now, by the database's clock.
    pub created: Option<Millis>,
}

/// A hash of a password in PHC or modular crypt form, whose `Debug` shows nothing. Empty where someone has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A user with what a password is verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub user: User,
    /// `None` for a user who signs in by other means only.
    pub password: Option<PasswordHash>,
}

/// What became of a user about to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    User(User),
    /// Another user has this address, or this id.
    Taken,
}

/// Which users a list shows: those whose address contains `search`, after the address `after`, by address.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The last address of the page before.
    pub after: Option<String>,
    /// At most this many.
    pub limit: u32,
    /// Part of an address, literally; in lower case, as addresses are kept.
    pub search: Option<String>,
}

/// A store of users. Each call is one atomic step, and bounded in time. Changes of a user who is not there answer `false`.
#[async_trait]
pub trait Users: Send + Sync {
    /// Of any number of calls with one address at one time exactly one creates a user (SEC-L6). A repeated call with the same
    /// id and address gives the user that is there.
    async fn create(&self, new: &NewUser) -> Result<Created, UserError>;

    async fn find(&self, id: &UserId) -> Result<Option<User>, UserError>;

    async fn credentials(&self, id: &UserId) -> Result<Option<Credentials>, UserError>;

    /// By canonical address.
    async fn find_by_email(&self, email: &str) -> Result<Option<Credentials>, UserError>;

    async fn set_password(&self, id: &UserId, hash: &PasswordHash) -> Result<bool, UserError>;

    /// Puts `new` in place of `old`, only where `old` is still the hash: for a stronger hash made at login, which must not undo
    /// a password that was changed meanwhile.
    async fn replace_password(&self, id: &UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, UserError>;

    async fn set_confirmed(&self, id: &UserId, confirmed: bool) -> Result<bool, UserError>;

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, UserError>;

    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, UserError>;

    async fn delete(&self, id: &UserId) -> Result<bool, UserError>;

    async fn list(&self, page: &Page) -> Result<Vec<User>, UserError>;

    /// Who has this role, disabled or not. Meant for one that few have, as administrators.
    async fn holders(&self, role: &str) -> Result<Vec<User>, UserError>;

    /// Whether the database answers: for `/health`.
    async fn health(&self) -> Result<(), UserError>;
}

/// The database of users gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Also where every connection of the pool stayed in use.
    #[error("the users' database did not answer in time")]
    TimedOut,
    #[error("the users' database can't be reached: {0}")]
    Unreachable(String),
    #[error("the users' database refused: {0}")]
    Refused(String),
    #[error("the users' database holds something unexpected: {0}")]
    Corrupt(String),
}

impl Fault for UserError {
    fn kind(&self) -> Kind {
        Kind::Unavailable
    }
    fn code(&self) -> &'static str {
        "unavailable"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_other_services_are_ids_and_what_could_break_a_header_or_a_path_is_not() {
        for text in ["1", "507f1f77bcf86cd799439011", "a-b_c.d:e", UserId::fresh().as_str()] {
            assert_eq!(UserId::new(text).map(|id| id.to_string()).as_deref(), Some(text));
        }
        for text in ["", "client:a", "a b", "a/b", "a,b", "é", "a\n", &"a".repeat(65)] {
            assert_eq!(UserId::new(text), None, "{text:?}");
        }
    }

    // SEC-K6
    #[test]
    fn a_hash_is_not_shown() {
        assert!(!format!("{:?}", PasswordHash::new("canary".into())).contains("canary"));
    }
}
