//! Changing one's own password: the present one is asked for, so a session left open is not enough (SEC-L9).

use super::{AccountError, Accounts, Caller};
use crate::audit::Event;
use crate::authn::password::{Password, Verdict};
use crate::issue::Call;
use crate::limit::Suspect;
use crate::users::PasswordHash;

/// What happens to the account's other sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    #[default]
    End,
    Keep,
}

impl Accounts {
    /// Sets a new password where `current` is the right one. The asking session lives on.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &str,
        new: &str,
        others: Others,
        call: &Call,
    ) -> Result<(), AccountError> {
        let (current, new) = (Password::new(current)?, Password::new(new)?);
        let limits = &self.parts.limits;
        call.limited(limits.client(call.client).await.map(|()| None))?;
        let found = self.parts.users.credentials(&caller.user).await?;
        let found = found.filter(|found| !found.user.disabled).ok_or(AccountError::NoAccount)?;
        let email = found.user.email.parse()?;
        // The caller holds a live session, so strangers' tries don't count here, and these not against strangers' (SEC-B3).
        let suspect = Suspect { account: &email, known: Some(caller.sid) };
        call.limited(limits.account(suspect).await)?;
        self.parts.passwords.judge(&new, &email)?;
        let open = limits.may_guess(suspect).await;
        let kept = found.password.as_ref().filter(|_| open).map(PasswordHash::as_str);
        let subject = Some(caller.user.as_str());
        if self.parts.passwords.verify(&current, kept).await? == Verdict::Wrong {
            self.parts.issuer.record(call, Event::AuthnPasswordChange, subject, Some(&caller.sid), "wrong_password");
            return Err(AccountError::Credentials);
        }
        limits.guessed_right(suspect).await;
        let hash = PasswordHash::new(self.parts.passwords.hash(&new).await?);
        if !self.parts.users.set_password(&caller.user, &hash).await? {
            return Err(AccountError::NoAccount);
        }
        self.parts.issuer.record(call, Event::AuthnPasswordChange, subject, Some(&caller.sid), "changed");
        // After the new one counts: a login by the old one that opens its session later finds that it has changed.
        if others == Others::End {
            self.end_others(caller, call).await.map_err(AccountError::OthersNotEnded)?;
        }
        Ok(())
    }
}
