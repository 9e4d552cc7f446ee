//! Accounts brought from another service, with the ids and the password hashes that they had there.

use crate::accounts::AccountError;
use crate::accounts::admin::{Admin, fit};
use crate::audit::Event;
use crate::authn::identifier::Email;
use crate::authn::password::is_known_hash;
use crate::users::{Created, NewUser, PasswordHash, UserId};

/// An account as the other service knew it, found fit to be one here.
#[derive(Clone, Debug)]
pub struct Newcomer {
    id: Option<UserId>,
    email: Email,
    password: Option<PasswordHash>,
    roles: Vec<String>,
    confirmed: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    Made,
    /// An earlier import made it, or its owner did. Nothing was changed.
    There,
}

impl Newcomer {
    /// Without an id it gets one; without a hash it can't sign in until it is given a password.
    ///
    /// # Errors
    /// What can't be an address, a role or a hash.
    pub fn new(
        id: Option<UserId>,
        email: &str,
        hash: Option<String>,
        roles: Vec<String>,
        confirmed: bool,
    ) -> Result<Self, AccountError> {
        fit(&roles)?;
        if hash.as_ref().is_some_and(|hash| !is_known_hash(hash)) {
            return Err(AccountError::HashUnknown);
        }
        Ok(Self { id, email: email.parse()?, password: hash.map(PasswordHash::new), roles, confirmed })
    }
}

impl Admin<'_> {
    /// May be repeated: an account that is there stays as it is.
    ///
    /// # Errors
    /// [`AccountError::Taken`] where the address has an account of another id, or the id one of another address.
    pub async fn import(&self, newcomer: &Newcomer) -> Result<Imported, AccountError> {
        let Newcomer { id, email, password, roles, confirmed } = newcomer.clone();
        let users = &self.accounts.parts.users;
        if let Some(there) = users.find_by_email(email.as_str()).await? {
            let same = id.is_none_or(|id| id == there.user.id);
            return if same { Ok(Imported::There) } else { Err(AccountError::Taken) };
        }
        let id = id.unwrap_or_else(UserId::fresh);
        let new = NewUser { id, email: email.to_string(), password, roles, confirmed };
        match users.create(&new).await? {
            Created::User(user) => {
                self.record(Event::UserCreated, &user.id, "imported");
                Ok(Imported::Made)
            }
            Created::Taken => Err(AccountError::Taken),
        }
    }
}
