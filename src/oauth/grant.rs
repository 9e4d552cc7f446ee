//! What the token endpoint gives: a token for the client itself, or the next pair for a refresh token.

use super::clients::Grant;
use super::proof::Proof;
use super::{OAuth, OAuthError};
use crate::accounts::AccountError;
use crate::fault::{Fault, Kind};
use crate::issue::{Call, TokenPair};
use crate::state::Device;
use crate::token::{Holder, HolderKind, client_subject};

/// A client's own token.
#[derive(Debug)]
pub struct ClientToken {
    /// Its session's; the refresh token is nobody's to have.
    pub pair: TokenPair,
    pub scope: Vec<String>,
}

impl OAuth {
    /// The client's own access token (RFC 6749 section 4.4), in a session of its own that ends with it.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn client_credentials(
        &self,
        proof: Option<Proof<'_>>,
        scope: Option<&str>,
        device: Device,
        call: &Call,
    ) -> Result<ClientToken, OAuthError> {
        let proof = proof.ok_or(OAuthError::Client("none came"))?;
        let client = self.prove_confidential(proof, call).await?;
        if !client.may(Grant::ClientCredentials) {
            return Err(OAuthError::NotForThisClient("The client is not configured for client_credentials."));
        }
        let scope = client.scopes(scope).ok_or(OAuthError::Scope)?;
        let holder = Holder {
            subject: client_subject(&client.id),
            kind: HolderKind::Client,
            roles: Vec::new(),
            scope: scope.clone(),
            amr: Vec::new(),
        };
        let pair = self.parts.issuer.open(holder, device, call).await?;
        Ok(ClientToken { pair, scope })
    }

    /// The next pair (RFC 6749 section 6). No client holds a refresh token of its own, so none has to prove itself; one that
    /// says who it is must.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn refresh(
        &self,
        proof: Option<Proof<'_>>,
        refresh_token: &str,
        scope: Option<&str>,
        device: &Device,
        call: &Call,
    ) -> Result<TokenPair, OAuthError> {
        if let Some(proof) = proof {
            let client = self.prove(proof, call).await?;
            if !client.may(Grant::RefreshToken) {
                return Err(OAuthError::NotForThisClient("The client is not configured for refresh_token."));
            }
        }
        // Before the one step that can't be undone. What people's sessions hold are roles, not scopes.
        if scope.is_some() {
            return Err(OAuthError::Scope);
        }
        self.parts.accounts.refresh(refresh_token, device, call).await.map_err(|error| match error {
            AccountError::Limited(limited) => limited.into(),
            error if error.kind() == Kind::Unauthenticated => OAuthError::Grant(match error.code() {
                "refresh_reused" => "The refresh token was used before, so its session is ended; sign in again.",
                "session_lost" => "The session was lost; sign in again.",
                "device_changed" => "The session belongs to another device; sign in again.",
                _ => "The refresh token does not count; sign in again.",
            }),
            error => OAuthError::Account(error),
        })
    }
}
