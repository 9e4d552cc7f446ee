//! Accounts: the one domain behind every face that people and administrators meet. REST, and whatever other protocol speaks
//! to accounts, turn their requests into calls of these functions and their results into answers; no face holds a rule.
//!
//! `Accounts` is what an account may do for itself, [`Admin`](admin::Admin) what an administrator may. Sessions are `issue`'s;
//! who someone is, `authn`'s; what is kept of them, `users`'.

pub mod admin;
pub mod first_admin;
pub mod half_done;
pub mod import;
pub mod lock;
pub mod login;
pub mod password;
pub mod register;
pub mod retention;
pub mod sessions;

use std::fmt;
use std::sync::Arc;

use self::half_done::HalfDone;
use crate::authn::identifier::{Email, NotAnEmail};
use crate::authn::password::{Password, PasswordError, Passwords, TooLong, Unfit};
use crate::fault::{Fault, Kind};
use crate::issue::login::LoginError;
use crate::issue::logout::LogoutError;
use crate::issue::refresh::RefreshError;
use crate::issue::{Call, Issuer};
use crate::limit::{Limited, Limits};
use crate::state::StateError;
use crate::token::SessionId;
use crate::users::audit_tail::AuditTail;
use crate::users::history::History;
use crate::users::{User, UserError, UserId, Users};

/// Everything accounts can do. One for each process that serves them; shared by reference.
#[derive(Clone)]
pub struct Accounts {
    parts: Arc<Parts>,
}

/// What accounts work with. `app` chooses and makes them.
pub struct Parts {
    pub issuer: Arc<Issuer>,
    pub users: Arc<dyn Users>,
    pub history: Arc<dyn History>,
    pub tail: Arc<dyn AuditTail>,
    pub passwords: Passwords,
    pub limits: Arc<Limits>,
    /// `auth.registration`: whether anyone may register.
    pub registration: bool,
}

/// Whose access token came: an account's, verified and alive. Plain sessions are no account's, whatever their subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user: UserId,
    pub sid: SessionId,
}

impl Caller {
    /// Of the session and the subject of a verified, living token that an account signed in for; `None` where the subject is
    /// no user's id.
    pub fn of(sid: SessionId, subject: &str) -> Option<Self> {
        Some(Self { user: UserId::new(subject)?, sid })
    }
}

/// Why an account's wish is not granted. Every face words it by `kind`, `code` and [`detail`](Self::detail).
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("not an email address")]
    Email(#[from] NotAnEmail),
    #[error("the password is too long")]
    PasswordTooLong(#[from] TooLong),
    #[error("the password can't be taken: {0}")]
    Unfit(#[from] Unfit),
    #[error("roles are 1 to 64 visible ASCII characters without comma")]
    Role,
    #[error("a password hash of no kind known here")]
    HashUnknown,
    #[error("no account can be registered here")]
    RegistrationOff,
    #[error("the address is taken")]
    Taken,
    #[error("no such account, a wrong password, or an account that may not sign in")]
    Credentials,
    #[error("the token is no account's")]
    NoAccount,
    #[error("the one-time secret is not the right one, or there is an administrator already")]
    FirstAdmin,
    #[error("the caller is no administrator")]
    NotAdmin,
    #[error("administrators can't take away their own rights")]
    Oneself,
    #[error("there is no such session of this account")]
    NoSuchSession,
    #[error("there is no such live session")]
    NoLiveSession,
    #[error("there is no such user")]
    NoSuchUser,
    #[error("the account has changed while its session was opened")]
    Changed,
    #[error("the password was changed, but the other sessions could not be ended")]
    OthersNotEnded(#[source] StateError),
    #[error("{}", .0.told())]
    HalfDone(HalfDone, #[source] StateError),
    #[error(transparent)]
    Limited(#[from] Limited),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    #[error(transparent)]
    Logout(#[from] LogoutError),
    #[error("the account's sessions can't be reached")]
    State(#[from] StateError),
    #[error("the accounts can't be reached")]
    Users(#[from] UserError),
}

impl Fault for AccountError {
    fn kind(&self) -> Kind {
        match self {
            Self::Email(_) | Self::PasswordTooLong(_) | Self::Unfit(_) | Self::Role | Self::HashUnknown => {
                Kind::Malformed
            }
            Self::Credentials | Self::NoAccount => Kind::Unauthenticated,
            Self::RegistrationOff | Self::FirstAdmin | Self::NotAdmin => Kind::Forbidden,
            Self::NoSuchSession | Self::NoLiveSession | Self::NoSuchUser => Kind::NotFound,
            Self::Taken | Self::Oneself => Kind::Conflict,
            Self::Changed | Self::OthersNotEnded(_) | Self::HalfDone(..) | Self::State(_) | Self::Users(_) => {
                Kind::Unavailable
            }
            Self::Limited(error) => error.kind(),
            Self::Password(error) => error.kind(),
            Self::Login(error) => error.kind(),
            Self::Refresh(error) => error.kind(),
            Self::Logout(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Email(_) => "invalid_email",
            Self::PasswordTooLong(_) => "password_too_long",
            Self::Unfit(_) => "weak_password",
            Self::Role => "invalid_role",
            Self::HashUnknown => "unknown_password_hash",
            Self::RegistrationOff => "registration_off",
            Self::Taken => "email_taken",
            Self::Credentials => "invalid_credentials",
            Self::NoAccount => "invalid_token",
            Self::FirstAdmin => "first_admin_refused",
            Self::NotAdmin => "forbidden",
            Self::Oneself => "own_account",
            Self::NoSuchSession | Self::NoLiveSession => "session_not_found",
            Self::NoSuchUser => "user_not_found",
            Self::OthersNotEnded(_) | Self::HalfDone(..) => "sessions_not_ended",
            Self::Changed | Self::State(_) | Self::Users(_) => "unavailable",
            Self::Limited(error) => error.code(),
            Self::Password(error) => error.code(),
            Self::Login(error) => error.code(),
            Self::Refresh(error) => error.code(),
            Self::Logout(error) => error.code(),
        }
    }
}

impl AccountError {
    /// What the client is told, in a sentence.
    pub fn detail(&self) -> String {
        match self {
            Self::Email(_) => "An email address is wanted, such as alice@example.com.".into(),
            Self::PasswordTooLong(_) => "A password has at most 1024 bytes.".into(),
            Self::Unfit(unfit) => format!("This password can't be taken: {unfit}."),
            Self::Role => "A role is 1 to 64 visible ASCII characters without comma.".into(),
            Self::HashUnknown => {
                "A password hash is bcrypt's ($2b$…, cost up to 16) or Argon2's in PHC form ($argon2id$…, up to 128 MiB and 10 passes)."
                    .into()
            }
            Self::RegistrationOff => "Accounts are made by an administrator here.".into(),
            Self::Taken => "There is an account with this address.".into(),
            Self::Credentials => "The email address or the password is wrong.".into(),
            Self::NoAccount => "This token is no account's.".into(),
            Self::FirstAdmin => "The secret is wrong, or there is an administrator already.".into(),
            Self::NotAdmin => "The role `admin` is needed.".into(),
            Self::Oneself => "Another administrator has to do this to your account.".into(),
            Self::NoSuchSession => "You have no such session.".into(),
            Self::NoLiveSession => "There is no live session with this id.".into(),
            Self::NoSuchUser => "There is no such user.".into(),
            Self::OthersNotEnded(_) => {
                "The password is changed, but your other sessions may live on; end them with /auth/logout-all.".into()
            }
            Self::HalfDone(half, _) => format!("{}.", half.told()),
            Self::Limited(limited) => limited.detail(),
            Self::Login(LoginError::LimitReached) => "The account has as many sessions as it may; end one.".into(),
            Self::Refresh(error) if error.kind() == Kind::Unauthenticated => match error {
                RefreshError::OtherDevice => "The session belongs to another device; sign in again.".into(),
                RefreshError::MustRotate => "This refresh token is good for one refresh; use /auth/refresh.".into(),
                _ => "The session can't be refreshed; sign in again.".into(),
            },
            Self::Logout(error) if error.kind() == Kind::Unauthenticated => "The token was not accepted.".into(),
            Self::Changed
            | Self::Password(_)
            | Self::Login(_)
            | Self::Refresh(_)
            | Self::Logout(_)
            | Self::State(_)
            | Self::Users(_) => "This can't be answered now. Try again.".into(),
        }
    }
}

impl Accounts {
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// The account as it is now.
    pub async fn profile(&self, caller: &Caller, call: &Call) -> Result<User, AccountError> {
        call.limited(self.parts.limits.profile(caller.user.as_str()).await)?;
        self.holder(caller).await
    }

    /// The caller's user, unless it is gone or disabled.
    async fn holder(&self, caller: &Caller) -> Result<User, AccountError> {
        let user = self.parts.users.find(&caller.user).await?;
        user.filter(|user| !user.disabled).ok_or(AccountError::NoAccount)
    }

    /// Whether each thing that accounts need answers, by name: for `/health`.
    pub async fn health(&self) -> [(&'static str, Result<(), String>); 2] {
        let store = self.parts.issuer.sessions();
        let (database, state) = tokio::join!(self.parts.users.health(), store.health());
        // What exactly is wrong is the log's and the operator's, not every caller's.
        let told = |name: &str, wrong: Option<&dyn fmt::Display>| match wrong {
            None => Ok(()),
            Some(error) => {
                tracing::warn!(%error, dependency = name, "a health check failed");
                Err("unreachable".to_owned())
            }
        };
        [
            ("database", told("database", database.as_ref().err().map(|error| error as &dyn fmt::Display))),
            ("token_store", told("token_store", state.as_ref().err().map(|error| error as &dyn fmt::Display))),
        ]
    }
}

/// An address and a password as they came, in the forms that are worked with.
fn read(email: &str, password: &str) -> Result<(Email, Password), AccountError> {
    Ok((email.parse()?, Password::new(password)?))
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts(…)")
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("limits", &self.limits).finish_non_exhaustive()
    }
}
