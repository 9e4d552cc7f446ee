//! Signing in with a password, and refreshing what that opened: by rotation, or for clients that can't take a new refresh token,
//! in place.
//!
//! An unknown address, a wrong password, and an account that is disabled, locked or without password get one answer, and a
//! hash is computed for each of them (SEC-L4). The attempt is counted before (SEC-B1).

use super::{AccountError, Accounts, read};
use crate::audit::Event;
use crate::authn::password::Verdict;
use crate::issue::{Call, TokenPair};
use crate::limit::Suspect;
use crate::state::{Cause, Device};
use crate::token::refresh::Manner;
use crate::token::{Holder, HolderKind, SessionId};
use crate::users::{Credentials, PasswordHash, User};

/// How someone who typed a password signed in (RFC 8176).
const PASSWORD: &str = "pwd";

impl Accounts {
    /// A new session. `known` is any token, also a spent or expired one, that an earlier sign-in on this device gave: whoever
    /// shows one is counted apart from strangers, who so cannot lock an account's owner out (SEC-B3).
    pub async fn login(
        &self,
        email: &str,
        password: &str,
        known: Option<&str>,
        device: Device,
        call: &Call,
    ) -> Result<TokenPair, AccountError> {
        self.login_refreshed(Manner::Rotating, email, password, known, device, call).await
    }

    /// The same for clients that refresh in this manner.
    pub async fn login_refreshed(
        &self,
        manner: Manner,
        email: &str,
        password: &str,
        known: Option<&str>,
        device: Device,
        call: &Call,
    ) -> Result<TokenPair, AccountError> {
        let (email, password) = read(email, password)?;
        let limits = &self.parts.limits;
        call.limited(limits.client(call.client).await.map(|()| None))?;
        let found = self.parts.users.find_by_email(email.as_str()).await?;
        let suspect = Suspect { account: &email, known: self.known_session(known, found.as_ref()) };
        call.limited(limits.account(suspect).await)?;
        let open = limits.may_guess(suspect).await;
        let kept =
            found.as_ref().filter(|found| open && !found.user.disabled).and_then(|found| found.password.as_ref());
        let verdict = self.parts.passwords.verify(&password, kept.map(PasswordHash::as_str)).await?;
        let (Some(found), Some(kept), Verdict::Right | Verdict::RightWith { .. }) = (&found, kept, &verdict) else {
            let subject = found.as_ref().map(|found| found.user.id.as_str());
            if !open {
                self.parts.issuer.record(call, Event::AuthnLoginLock, subject, None, "locked");
            }
            self.parts.issuer.refused_login("account", subject, call, "invalid_credentials");
            return Err(AccountError::Credentials);
        };
        limits.guessed_right(suspect).await;
        let mut today = kept.clone();
        if let Verdict::RightWith { stronger } = verdict {
            let stronger = PasswordHash::new(stronger);
            if self.parts.users.replace_password(&found.user.id, kept, &stronger).await? {
                today = stronger;
            }
        }
        self.open(manner, &found.user, &today, device, call).await
    }

    /// Opens the session, then looks whether the account is still what it was: who disables it, or changes its password or
    /// roles, writes that first and ends its sessions after, and so misses none (SEC-L8, L9).
    pub(super) async fn open(
        &self,
        manner: Manner,
        user: &User,
        password: &PasswordHash,
        device: Device,
        call: &Call,
    ) -> Result<TokenPair, AccountError> {
        let holder = Holder {
            subject: user.id.to_string(),
            kind: HolderKind::Account,
            roles: user.roles.clone(),
            scope: Vec::new(),
            amr: vec![PASSWORD.to_owned()],
        };
        let pair = self.parts.issuer.open_refreshed(manner, holder, device, call).await?;
        let now = self.parts.users.credentials(&user.id).await;
        let same = matches!(&now, Ok(Some(now)) if !now.user.disabled && now.password.as_ref() == Some(password));
        let same_roles = matches!(&now, Ok(Some(now)) if now.user.roles == user.roles);
        if same && same_roles {
            return Ok(pair);
        }
        self.parts.issuer.end_session(&pair.sid, Some(user.id.as_str()), Cause::Admin, call).await?;
        Err(match now {
            Err(error) => error.into(),
            Ok(_) if same => AccountError::Changed,
            Ok(_) => AccountError::Credentials,
        })
    }

    /// A new pair for a refresh token: an account's, as it is today, or a plain session's.
    pub async fn refresh(&self, shown: &str, device: &Device, call: &Call) -> Result<TokenPair, AccountError> {
        let shown = self.parts.issuer.parse(shown)?;
        call.limited(self.parts.limits.refresh(&shown.sid).await)?;
        Ok(self.parts.issuer.refresh_on(shown, device, call).await?)
    }

    /// A fresh access token for a refresh token that stays what it is: where its session was opened for that.
    pub async fn refresh_in_place(&self, shown: &str, device: &Device, call: &Call) -> Result<String, AccountError> {
        let shown = self.parts.issuer.parse(shown)?;
        call.limited(self.parts.limits.refresh(&shown.sid).await)?;
        Ok(self.parts.issuer.refresh_in_place(shown, device, call).await?)
    }

    /// The session that the token was of, where that is or was one of this account.
    fn known_session(&self, shown: Option<&str>, account: Option<&Credentials>) -> Option<SessionId> {
        let (shown, account) = (shown?, account?);
        let issuer = &self.parts.issuer;
        let sid = issuer.session_named_by(shown)?;
        (sid.tag() == issuer.tag(account.user.id.as_str())).then_some(sid)
    }
}
