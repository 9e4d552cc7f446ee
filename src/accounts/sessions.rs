//! An account's own sessions: seeing them, ending one or all. What is another's is told apart from nothing (SEC-S7).

use super::{AccountError, Accounts, Caller};
use crate::issue::Call;
use crate::state::{Cause, Session};
use crate::token::SessionId;

/// A session as its owner sees it.
#[derive(Clone, Debug)]
pub struct OwnSession {
    pub session: Session,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Accounts {
    /// Ends the session of an access token, also an expired one, or of a refresh token, also a spent one (SEC-S4).
    pub async fn logout(&self, bearer: &str, call: &Call) -> Result<(), AccountError> {
        Ok(self.parts.issuer.logout(bearer, call).await?)
    }

    /// Ends all sessions of the account, the asking one too; how many there were.
    pub async fn logout_all(&self, caller: &Caller, call: &Call) -> Result<u64, AccountError> {
        call.limited(self.parts.limits.sessions(caller.user.as_str()).await)?;
        Ok(self.parts.issuer.end_subject(caller.user.as_str(), Cause::LogoutAll, call).await?)
    }

    /// The live sessions, oldest first.
    pub async fn sessions(&self, caller: &Caller, call: &Call) -> Result<Vec<OwnSession>, AccountError> {
        call.limited(self.parts.limits.sessions(caller.user.as_str()).await)?;
        let sessions = self.parts.issuer.sessions().sessions_of(caller.sid.tag()).await?;
        let own = |session: Session| OwnSession { current: session.sid == caller.sid, session };
        Ok(sessions.into_iter().map(own).collect())
    }

    /// Ends one session of the caller's account, also the asking one.
    pub async fn end_session(&self, caller: &Caller, sid: &str, call: &Call) -> Result<(), AccountError> {
        call.limited(self.parts.limits.sessions(caller.user.as_str()).await)?;
        let sid: SessionId = sid.parse().map_err(|_| AccountError::NoSuchSession)?;
        // An id begins with its subject's tag: another's is known without asking.
        if sid.tag() != caller.sid.tag()
            || !self.parts.issuer.end_session(&sid, Some(caller.user.as_str()), Cause::Logout, call).await?
        {
            return Err(AccountError::NoSuchSession);
        }
        Ok(())
    }

    /// Ends all sessions of the caller's account but the asking one.
    pub(super) async fn end_others(&self, caller: &Caller, call: &Call) -> Result<u64, crate::state::StateError> {
        let issuer = &self.parts.issuer;
        let mut ended = 0;
        for session in issuer.sessions().sessions_of(caller.sid.tag()).await? {
            if session.sid != caller.sid
                && issuer.end_session(&session.sid, Some(caller.user.as_str()), Cause::LogoutAll, call).await?
            {
                ended += 1;
            }
        }
        Ok(ended)
    }
}
