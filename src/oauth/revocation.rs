//! Revocation of tokens (RFC 7009): a refresh token takes its session along; an access token goes alone, and the session that
//! it was of lives on.

use super::proof::Proof;
use super::{OAuth, OAuthError};
use crate::issue::Call;
use crate::issue::logout::LogoutError;
use crate::state::Cause;
use crate::token::Claims;
use crate::token::refresh::RefreshToken;

impl OAuth {
    /// Makes the token count no more. One that did not is fine (RFC 7009 section 2.2). Who holds it may revoke it, as with
    /// logging out, but what a client got for itself is that client's to revoke.
    ///
    /// # Errors
    /// [`OAuthError`]: a revocation that was not written is one.
    pub async fn revoke(&self, proof: Option<Proof<'_>>, token: &str, call: &Call) -> Result<(), OAuthError> {
        let client = match proof {
            Some(proof) => Some(self.prove(proof, call).await?),
            None => None,
        };
        if RefreshToken::looks_like_one(token) {
            return match self.parts.issuer.logout(token, call).await {
                Err(LogoutError::Invalid(_)) => Ok(()),
                ended => Ok(ended?),
            };
        }
        let now = self.parts.clock.now();
        let Ok(claims) = self.parts.verifier.verify_even_if_expired(token, now) else {
            // Another issuer's, if any: it counts here, so it can be made to count no more here.
            return match self.parts.verifier.verify(token, now) {
                Ok(foreign) => self.deny(&foreign, call).await,
                Err(_) => Ok(()),
            };
        };
        match claims.payload.get("client_id").and_then(|id| id.as_str()) {
            Some(id) if client.as_ref().is_some_and(|client| *client.id == *id) => self.end_own(&claims, call).await,
            Some(_) if client.is_none() => Err(OAuthError::Client("the token is a client's, and none came")),
            Some(_) => Err(OAuthError::NotForThisClient("The token is another client's.")),
            None => self.deny(&claims, call).await,
        }
    }

    /// A client's token and its session are one.
    async fn end_own(&self, claims: &Claims, call: &Call) -> Result<(), OAuthError> {
        let Some(sid) = &claims.sid else { return Ok(()) };
        self.parts.issuer.end_session(sid, Some(&claims.subject), Cause::Logout, call).await?;
        Ok(())
    }

    async fn deny(&self, claims: &Claims, call: &Call) -> Result<(), OAuthError> {
        if claims.expires <= self.parts.clock.now() {
            return Ok(());
        }
        let jti = claims.jti.as_ref().ok_or(OAuthError::TokenType)?;
        // Each is written, and told to every checker: nobody may do that as often as he likes.
        call.limited(self.parts.limits.sessions(&claims.subject).await)?;
        self.parts.issuer.deny(&claims.issuer, &claims.subject, jti, claims.expires, call).await?;
        Ok(())
    }
}
