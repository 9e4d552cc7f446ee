//! Registering. It opens no session, an account that was just made signs in like any other; but for clients whose API has always
//! given tokens for it.
//!
//! A taken address is told (409): as long as no mail confirms addresses, registering and then signing in would tell it anyway.
//! Each try spends an attempt (SEC-L4).

use super::{AccountError, Accounts, read};
use crate::audit::Event;
use crate::authn::identifier::Email;
use crate::authn::password::Password;
use crate::issue::{Call, TokenPair};
use crate::limit::Suspect;
use crate::state::Device;
use crate::token::refresh::Manner;
use crate::users::{Created, NewUser, PasswordHash, User, UserId};

impl Accounts {
    /// A new account without roles.
    pub async fn register(&self, email: &str, password: &str, call: &Call) -> Result<User, AccountError> {
        if !self.parts.registration {
            return Err(AccountError::RegistrationOff);
        }
        let (email, password) = read(email, password)?;
        self.may_try(&email, call).await?;
        self.parts.passwords.judge(&password, &email)?;
        self.create(&email, Some(&password), Vec::new(), call).await
    }

    /// The same, and signed in at once, on the one attempt. Should the session not come to be, the account is there all the same.
    pub async fn register_and_login(
        &self,
        manner: Manner,
        email: &str,
        password: &str,
        device: Device,
        call: &Call,
    ) -> Result<TokenPair, AccountError> {
        let user = self.register(email, password, call).await?;
        let made = self.parts.users.credentials(&user.id).await?.ok_or(AccountError::Changed)?;
        let password = made.password.ok_or(AccountError::Changed)?;
        self.open(manner, &made.user, &password, device, call).await
    }

    /// Counts an attempt that no device of the account vouches for.
    pub(super) async fn may_try(&self, email: &Email, call: &Call) -> Result<(), AccountError> {
        let limits = &self.parts.limits;
        call.limited(limits.client(call.client).await.map(|()| None))?;
        call.limited(limits.account(Suspect { account: email, known: None }).await)?;
        Ok(())
    }

    /// Of any number of calls with one address exactly one creates an account (SEC-L6).
    pub(super) async fn create(
        &self,
        email: &Email,
        password: Option<&Password>,
        roles: Vec<String>,
        call: &Call,
    ) -> Result<User, AccountError> {
        let users = &self.parts.users;
        // Only saves the hash; that the address is free is decided by the store.
        if users.find_by_email(email.as_str()).await?.is_some() {
            return Err(AccountError::Taken);
        }
        let password = match password {
            Some(password) => Some(PasswordHash::new(self.parts.passwords.hash(password).await?)),
            None => None,
        };
        let new = NewUser {
            id: UserId::fresh(),
            email: email.to_string(),
            password,
            roles,
            confirmed: false,
            disabled: false,
            created: None,
        };
        match users.create(&new).await? {
            Created::User(user) => {
                self.parts.issuer.record(call, Event::UserCreated, Some(user.id.as_str()), None, "created");
                Ok(user)
            }
            Created::Taken => Err(AccountError::Taken),
        }
    }
}
