//! Refreshing: a refresh token for its successor and a fresh access token (RFC 6749 section 6, RFC 9700 section 4.14.2).
//!
//! The order matters. The MAC is verified before the store is asked, so a forged token costs no round trip and ends
//! nobody's session. All that can be refused is refused before the one step that can't be undone, the rotation.

use crate::audit::Event;
use crate::fault::{Fault, Kind};
use crate::issue::turns::Overloaded;
use crate::issue::{Call, Issuer, TokenPair};
use crate::state::{Cause, Rotation, StateError};
use crate::token::TokenError;
use crate::token::jwt::SignError;
use crate::token::refresh::RefreshToken;

/// Why there is no new pair. Clients see 401 with one of three codes, or 503.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error("not a refresh token of ours")]
    Forged(#[from] TokenError),
    #[error("its session is unknown or has ended")]
    Unknown,
    #[error("the refresh token was spent before; its session is ended")]
    Reused,
    #[error("the token store has lost the session's last rotations")]
    Lost,
    #[error("the issuer is overloaded")]
    Overloaded(#[from] Overloaded),
    #[error("the session could not be rotated")]
    State(#[from] StateError),
    #[error("the access token could not be signed")]
    Sign(#[from] SignError),
}

impl Fault for RefreshError {
    fn kind(&self) -> Kind {
        match self {
            Self::Forged(_) | Self::Unknown | Self::Reused | Self::Lost => Kind::Unauthenticated,
            Self::Overloaded(_) | Self::State(_) | Self::Sign(_) => Kind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            // One word for both: guessing tells nothing of which sessions there are.
            Self::Forged(_) | Self::Unknown => "invalid_token",
            Self::Reused => "refresh_reused",
            Self::Lost => "session_lost",
            Self::Overloaded(_) | Self::State(_) | Self::Sign(_) => "unavailable",
        }
    }
}

impl Issuer {
    /// Rotates the family of `shown`. Repeated within the grace window it gives the very same successor.
    pub async fn refresh(&self, shown: &str, call: &Call) -> Result<TokenPair, RefreshError> {
        let refreshed = self.rotate(shown, call).await;
        let result = match &refreshed {
            Ok((_, how)) => how,
            Err(RefreshError::Reused) => "reused",
            Err(RefreshError::Lost) => "lost",
            Err(error) if error.kind() == Kind::Unavailable => "unavailable",
            Err(_) => "invalid",
        };
        self.parts.metrics.refresh.with_label_values(&[result]).inc();
        refreshed.map(|(pair, _)| pair)
    }

    async fn rotate(&self, shown: &str, call: &Call) -> Result<(TokenPair, &'static str), RefreshError> {
        let shown = RefreshToken::parse(shown, &self.parts.refresh_key)?;
        self.parts.signer.ready(self.parts.clock.now())?;
        let RefreshToken { sid, generation, salt } = &shown;
        let _turn = self.turns.take().await?;
        let mut expected = self.expect(sid);
        let (session, how) = match self.parts.sessions.rotate(sid, *generation, &salt.digest(), &self.rules).await? {
            Rotation::Rotated(session) => (session, "rotated"),
            Rotation::Repeated(session) => {
                // How long it may stay idle is not told: it was rotated a while ago.
                expected = None;
                (session, "repeated")
            }
            Rotation::CaughtUp(session) => (session, "caught_up"),
            Rotation::Unknown => return Err(RefreshError::Unknown),
            Rotation::Expired { subject } => {
                self.tell_expired(sid, subject.as_deref(), call);
                return Err(RefreshError::Unknown);
            }
            Rotation::Lost => {
                call.record(Event::AuthzFail, None, Some(sid), "session_lost");
                return Err(RefreshError::Lost);
            }
            Rotation::Reused { subject, confirmed } => {
                call.record(Event::AuthnTokenReuse, Some(&subject), Some(sid), "refresh_reused");
                self.tell_end(sid, Some(&subject), Cause::Reuse, confirmed, call);
                return Err(RefreshError::Reused);
            }
        };
        let pair = self.mint(&session, shown, expected)?;
        call.record(Event::SessionRenewed, Some(&session.holder.subject), Some(sid), how);
        Ok((pair, how))
    }
}
