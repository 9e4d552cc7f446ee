//! What a refresh token means to those who may ask (RFC 7662). Access tokens are the checker's.

use super::{OAuth, OAuthError};
use crate::issue::refresh::RefreshError;
use crate::state::Session;
use crate::token::Generation;

impl OAuth {
    /// The session of a refresh token that would be taken now; `None` for every other.
    ///
    /// # Errors
    /// [`OAuthError::State`].
    pub async fn session_of_refresh(&self, refresh_token: &str) -> Result<Option<Session>, OAuthError> {
        let shown = match self.parts.issuer.parse(refresh_token) {
            Ok(shown) => shown,
            Err(RefreshError::State(error)) => return Err(error.into()),
            Err(_) => return Ok(None),
        };
        let session = self.parts.issuer.sessions().session(&shown.sid).await?;
        // One ahead is what a client holds where the store lost its last write.
        let current = |held: Generation| held == shown.generation || held.next() == shown.generation;
        Ok(session.filter(|session| current(session.generation)))
    }
}
