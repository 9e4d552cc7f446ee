//! Accounts brought from another service, with the ids and the password hashes that they had there.

use crate::accounts::AccountError;
use crate::accounts::admin::{Admin, fit};
use crate::audit::Event;
use crate::authn::identifier::Email;
use crate::authn::password::is_known_hash;
use crate::clock::Millis;
use crate::users::{Created, NewUser, PasswordHash, UserId};

/// An account as the other service knew it.
#[derive(Clone, Debug, Default)]
pub struct Newcomer {
    /// Without one it is given one.
    pub id: Option<UserId>,
    pub email: String,
    /// Without one it can't sign in until it is given a password.
    pub password_hash: Option<String>,
    pub roles: Vec<String>,
    pub confirmed: bool,
    pub disabled: bool,
    pub created: Option<Millis>,
}

/// A [`Newcomer`] that is fit to be an account here.
#[derive(Clone, Debug)]
pub struct Fit {
    newcomer: Newcomer,
    email: Email,
}

/// What an import would do, or has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    Made,
    /// An earlier import made it, or its owner did. Nothing is changed.
    There,
}

impl Newcomer {
    /// # Errors
    /// What can't be an address, a role or a hash.
    pub fn judge(self) -> Result<Fit, AccountError> {
        fit(&self.roles)?;
        if self.password_hash.as_ref().is_some_and(|hash| !is_known_hash(hash)) {
            return Err(AccountError::HashUnknown);
        }
        let email = self.email.parse()?;
        Ok(Fit { newcomer: self, email })
    }
}

impl Fit {
    /// In canonical form.
    pub fn email(&self) -> &str {
        self.email.as_str()
    }

    pub const fn id(&self) -> Option<&UserId> {
        self.newcomer.id.as_ref()
    }
}

impl Admin<'_> {
    /// What [`Admin::import`] would do now.
    ///
    /// # Errors
    /// [`AccountError::Taken`] where the address has an account of another id, or the id one of another address.
    pub async fn foresee(&self, new: &Fit) -> Result<Imported, AccountError> {
        let users = &self.accounts.parts.users;
        let id = new.id();
        if let Some(there) = users.find_by_email(new.email()).await? {
            let same = id.is_none_or(|id| *id == there.user.id);
            return if same { Ok(Imported::There) } else { Err(AccountError::Taken) };
        }
        match id {
            Some(id) if users.find(id).await?.is_some() => Err(AccountError::Taken),
            _ => Ok(Imported::Made),
        }
    }

    /// May be repeated: an account that is there stays as it is.
    ///
    /// # Errors
    /// As [`Admin::foresee`].
    pub async fn import(&self, new: &Fit) -> Result<Imported, AccountError> {
        if self.foresee(new).await? == Imported::There {
            return Ok(Imported::There);
        }
        let Newcomer { id, password_hash, roles, confirmed, disabled, created, .. } = new.newcomer.clone();
        let new = NewUser {
            id: id.unwrap_or_else(UserId::fresh),
            email: new.email().to_owned(),
            password: password_hash.map(PasswordHash::new),
            roles,
            confirmed,
            disabled,
            created,
        };
        match self.accounts.parts.users.create(&new).await? {
            Created::User(user) => {
                self.record(Event::UserCreated, &user.id, "imported");
                Ok(Imported::Made)
            }
            Created::Taken => Err(AccountError::Taken),
        }
    }
}
