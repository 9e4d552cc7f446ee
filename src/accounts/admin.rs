//! What administrators do to other people's accounts. Only who was found to be one has an [`Admin`] to call.
//!
//! Each change writes the user first and ends sessions after, so that a sign-in at the same moment is caught by one of the two
//! (see `login`).

use super::half_done::HalfDone;
use super::{AccountError, Accounts, Caller};
use crate::audit::Event;
use crate::authn::password::Password;
use crate::issue::Call;
use crate::issue::logout::Why;
use crate::state::{Mark, Session};
use crate::token::SessionId;
use crate::users::audit_tail::AuditLine;
use crate::users::history::PastSession;
use crate::users::{Page, PasswordHash, User, UserId};

/// The role that administrators have.
pub const ADMIN: &str = "admin";

/// The longest list that is given at once.
pub const MOST_LISTED: u32 = 1000;

/// An administrator at work: someone whose account has the role now, not only in a token; or the command line.
#[derive(Debug)]
pub struct Admin<'a> {
    pub(super) accounts: &'a Accounts,
    /// `None` for the command line.
    who: Option<UserId>,
    call: &'a Call,
}

impl Accounts {
    pub async fn admin<'a>(&'a self, caller: &Caller, call: &'a Call) -> Result<Admin<'a>, AccountError> {
        call.limited(self.parts.limits.sessions(caller.user.as_str()).await)?;
        let user = self.holder(caller).await?;
        if !user.roles.iter().any(|role| role == ADMIN) {
            let subject = Some(caller.user.as_str());
            self.parts.issuer.record(call, Event::AuthzFail, subject, Some(&caller.sid), "not_admin");
            return Err(AccountError::NotAdmin);
        }
        Ok(Admin { accounts: self, who: Some(user.id), call })
    }

    /// Who has the configuration and the database has all rights there are.
    pub const fn console<'a>(&'a self, call: &'a Call) -> Admin<'a> {
        Admin { accounts: self, who: None, call }
    }
}

impl Admin<'_> {
    /// Users by address. At most [`MOST_LISTED`].
    pub async fn users(&self, page: &Page) -> Result<Vec<User>, AccountError> {
        let search = page.search.as_ref().map(|part| part.to_lowercase());
        let page = Page { limit: page.limit.clamp(1, MOST_LISTED), search, ..page.clone() };
        Ok(self.accounts.parts.users.list(&page).await?)
    }

    pub async fn user(&self, id: &UserId) -> Result<User, AccountError> {
        self.accounts.parts.users.find(id).await?.ok_or(AccountError::NoSuchUser)
    }

    /// By address, in any spelling.
    pub async fn user_by_email(&self, email: &str) -> Result<User, AccountError> {
        let email: crate::authn::identifier::Email = email.parse()?;
        let found = self.accounts.parts.users.find_by_email(email.as_str()).await?;
        found.map(|found| found.user).ok_or(AccountError::NoSuchUser)
    }

    /// A new account; without a password it can't sign in until it is given one.
    pub async fn create(&self, email: &str, password: Option<&str>, roles: Vec<String>) -> Result<User, AccountError> {
        let email = email.parse()?;
        fit(&roles)?;
        let password = password.map(Password::new).transpose()?;
        if let Some(password) = &password {
            self.accounts.parts.passwords.judge(password, &email)?;
        }
        self.accounts.create(&email, password.as_ref(), roles, self.call).await
    }

    /// The new roles reach every checker within the bound: its access tokens are refused, and a refresh brings new ones
    /// (SEC-P14).
    pub async fn set_roles(&self, id: &UserId, roles: Vec<String>) -> Result<User, AccountError> {
        fit(&roles)?;
        if self.is_oneself(id) && !roles.iter().any(|role| role == ADMIN) {
            return Err(AccountError::Oneself);
        }
        found(self.accounts.parts.users.set_roles(id, &roles).await?)?;
        self.record(Event::AuthzChange, id, "roles");
        // Also where the roles were these before: an earlier try may have failed here.
        self.accounts.parts.issuer.outdate(id.as_str(), self.call).await.map_err(|error| HalfDone::Roles.but(error))?;
        self.user(id).await
    }

    /// A disabled account signs in nowhere, refreshes nothing, and all its sessions end (SEC-L8).
    pub async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<User, AccountError> {
        if self.is_oneself(id) && disabled {
            return Err(AccountError::Oneself);
        }
        found(self.accounts.parts.users.set_disabled(id, disabled).await?)?;
        self.record(Event::UserUpdated, id, if disabled { "disabled" } else { "enabled" });
        if disabled {
            // Also where it was disabled before, as above.
            self.end_all_of(id).await.map_err(|error| HalfDone::Disabled.or(error))?;
        }
        self.user(id).await
    }

    /// Ends all its sessions too, as whoever knew the old password may have opened them.
    pub async fn set_password(&self, id: &UserId, password: &str) -> Result<(), AccountError> {
        let (password, user) = (Password::new(password)?, self.user(id).await?);
        self.accounts.parts.passwords.judge(&password, &user.email.parse()?)?;
        let hash = PasswordHash::new(self.accounts.parts.passwords.hash(&password).await?);
        found(self.accounts.parts.users.set_password(id, &hash).await?)?;
        self.record(Event::AuthnPasswordChange, id, "set_by_admin");
        self.end_all_of(id).await.map(drop).map_err(|error| HalfDone::Password.or(error))
    }

    /// The account is gone, with all its sessions; what it did stays in the audit log.
    pub async fn delete(&self, id: &UserId) -> Result<(), AccountError> {
        if self.is_oneself(id) {
            return Err(AccountError::Oneself);
        }
        let existed = self.accounts.parts.users.delete(id).await?;
        if existed {
            self.record(Event::UserDeleted, id, "deleted");
        }
        // Also where it was gone before: an earlier try may have failed here.
        self.end_all_of(id).await.map_err(|error| HalfDone::Deleted.or(error))?;
        found(existed)
    }

    /// The live sessions of a user, oldest first.
    pub async fn sessions_of(&self, id: &UserId) -> Result<Vec<Session>, AccountError> {
        self.user(id).await?;
        let issuer = &self.accounts.parts.issuer;
        Ok(issuer.sessions().sessions_of(issuer.tag(id.as_str())).await?)
    }

    /// The sessions of a user as they are remembered, ended ones too, newest first.
    pub async fn history_of(&self, id: &UserId, limit: u32) -> Result<Vec<PastSession>, AccountError> {
        Ok(self.accounts.parts.history.of_user(id, limit.clamp(1, MOST_LISTED)).await?)
    }

    /// Ends all sessions of a user and refuses every access token it holds; how many sessions there were.
    pub async fn end_all_of(&self, id: &UserId) -> Result<u64, AccountError> {
        Ok(self.accounts.parts.issuer.end_subject(id.as_str(), Why::admin(self.name()), self.call).await?)
    }

    /// Ends everyone's sessions, the asking administrator's too, and refuses every token issued until now (SEC-S8).
    pub async fn end_everyone(&self) -> Result<Mark, AccountError> {
        Ok(self.accounts.parts.issuer.end_everyone(self.name(), self.call).await?)
    }

    /// Ends one session of anybody.
    pub async fn end_session(&self, sid: &str) -> Result<(), AccountError> {
        let sid: SessionId = sid.parse().map_err(|_| AccountError::NoLiveSession)?;
        let issuer = &self.accounts.parts.issuer;
        let whose = issuer.sessions().session(&sid).await?.map(|session| session.holder.subject);
        let was_live = issuer.end_session(&sid, whose.as_deref(), Why::admin(self.name()), self.call).await?;
        if was_live { Ok(()) } else { Err(AccountError::NoLiveSession) }
    }

    /// The newest events first: of one user, by id or address, before a number, where given.
    pub async fn audit_tail(
        &self,
        user: Option<&str>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditLine>, AccountError> {
        // No id holds an `@`.
        let by_address = match user {
            Some(address) if address.contains('@') => Some(self.user_by_email(address).await?.id),
            _ => None,
        };
        let user = by_address.as_ref().map(UserId::as_str).or(user);
        Ok(self.accounts.parts.tail.tail(user, before, limit.clamp(1, MOST_LISTED)).await?)
    }

    fn is_oneself(&self, id: &UserId) -> bool {
        self.who.as_ref() == Some(id)
    }

    fn name(&self) -> &str {
        self.who.as_ref().map_or("command-line", UserId::as_str)
    }

    pub(super) fn record(&self, event: Event, id: &UserId, what: &str) {
        let by = self.name();
        self.accounts.parts.issuer.record(self.call, event, Some(id.as_str()), None, &format!("{what} by {by}"));
    }
}

fn found(existed: bool) -> Result<(), AccountError> {
    if existed { Ok(()) } else { Err(AccountError::NoSuchUser) }
}

/// What is to be a role has to be able to stand in an identity header (SEC-P9).
pub(super) fn fit(roles: &[String]) -> Result<(), AccountError> {
    let fits = |role: &String| {
        (1..=64).contains(&role.len()) && role.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
    };
    if roles.len() <= 64 && roles.iter().all(fits) { Ok(()) } else { Err(AccountError::Role) }
}
