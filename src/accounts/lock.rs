//! Locks: what too many wrong passwords have brought upon an account, and lifting it. Administrators see and do this.

use super::AccountError;
use super::admin::Admin;
use crate::audit::Event;
use crate::clock::Millis;
use crate::limit::Suspect;
use crate::token::SessionId;
use crate::users::UserId;

/// No password is looked at until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The session whose device guessed wrong; `None` for strangers, who are counted together.
    pub device: Option<SessionId>,
    pub until: Millis,
}

impl Admin<'_> {
    /// What is locked now: to strangers, and to the devices of live sessions.
    pub async fn locks_of(&self, id: &UserId) -> Result<Vec<Lock>, AccountError> {
        let account = self.user(id).await?.email.parse()?;
        let parts = &self.accounts.parts;
        let mut locks = Vec::new();
        for device in self.devices_of(id).await? {
            if let Some(left) = parts.limits.locked_for(Suspect { account: &account, known: device }).await? {
                locks.push(Lock { device, until: parts.issuer.now().plus(left) });
            }
        }
        Ok(locks)
    }

    /// Lets the account be signed in to at once: as if no password had been wrong. Whether anything was locked.
    pub async fn unlock(&self, id: &UserId) -> Result<bool, AccountError> {
        let was_locked = !self.locks_of(id).await?.is_empty();
        let account = self.user(id).await?.email.parse()?;
        for device in self.devices_of(id).await? {
            self.accounts.parts.limits.unlock(Suspect { account: &account, known: device }).await?;
        }
        if was_locked {
            self.record(Event::UserUpdated, id, "unlocked");
        }
        Ok(was_locked)
    }

    /// Who is counted apart: strangers, and each device that is signed in. One whose session has ended has its own count too, but
    /// nobody could name it.
    async fn devices_of(&self, id: &UserId) -> Result<Vec<Option<SessionId>>, AccountError> {
        let sessions = self.sessions_of(id).await?;
        Ok([None].into_iter().chain(sessions.iter().map(|session| Some(session.sid))).collect())
    }
}
