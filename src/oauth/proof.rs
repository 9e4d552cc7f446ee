//! How a client proves itself: by its secret, by an assertion that it signed (RFC 7523), or, where it is public, by nothing.
//!
//! What an address may try is counted before anything secret is looked at (SEC-B1, B2); what a client may do after, so that
//! who knows its id can use up none of it (SEC-B3). Each client answers for itself: an unknown one and a wrong proof get the
//! same answer in the same time.

use std::sync::{Arc, LazyLock};

use super::clients::{Client, Clients};
use super::secret::{self, SecretHash};
use super::{OAuth, OAuthError};
use crate::issue::Call;
use crate::token::client_subject;

/// What a client shows of itself.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    Secret {
        id: &'a str,
        secret: &'a str,
    },
    /// `private_key_jwt`; the id may be said beside it.
    Assertion {
        id: Option<&'a str>,
        jwt: &'a str,
    },
    /// Its name alone.
    Name(&'a str),
}

/// Compared with where there is nothing to compare with.
static NOBODYS: LazyLock<SecretHash> = LazyLock::new(|| SecretHash::of(&secret::make()).expect("what is made fits"));

impl OAuth {
    /// The client that this is the proof of.
    ///
    /// # Errors
    /// [`OAuthError::Client`], [`OAuthError::Limited`], and [`OAuthError::State`] where it can't be known whether an
    /// assertion was shown before.
    pub async fn prove(&self, proof: Proof<'_>, call: &Call) -> Result<Arc<Client>, OAuthError> {
        self.admit(call).await?;
        let clients = self.clients.load_full();
        let proved = match proof {
            Proof::Secret { id, secret } => by_secret(&clients, id, secret),
            Proof::Assertion { id, jwt } => self.by_assertion(&clients, id, jwt).await,
            Proof::Name(id) => {
                let public = clients.find(id).filter(|client| client.is_public());
                public.cloned().ok_or(OAuthError::Client("named without a proof"))
            }
        };
        match proved {
            Ok(client) => {
                call.limited(self.parts.limits.oauth_client(&client.id).await)?;
                Ok(client)
            }
            Err(error) => {
                if let OAuthError::Client(why) = error {
                    // Not a name that somebody made up.
                    let named = proof.id().filter(|id| clients.find(id).is_some()).map(client_subject);
                    tracing::debug!(why, "a client did not prove itself");
                    self.parts.issuer.refused_login("client", named.as_deref(), call, "invalid_client");
                }
                Err(error)
            }
        }
    }

    /// The same for who calls to look at tokens: a client with something to prove.
    ///
    /// # Errors
    /// As [`Self::prove`].
    pub async fn prove_confidential(&self, proof: Proof<'_>, call: &Call) -> Result<Arc<Client>, OAuthError> {
        match self.prove(proof, call).await? {
            client if client.is_public() => Err(OAuthError::Client("public")),
            client => Ok(client),
        }
    }

    /// Whether this caller's address may try a secret at all.
    ///
    /// # Errors
    /// [`OAuthError::Limited`].
    pub async fn admit(&self, call: &Call) -> Result<(), OAuthError> {
        Ok(call.limited(self.parts.limits.client_proof(call.client).await.map(|()| None))?)
    }
}

impl<'a> Proof<'a> {
    const fn id(&self) -> Option<&'a str> {
        match self {
            Self::Secret { id, .. } | Self::Name(id) => Some(id),
            Self::Assertion { id, .. } => *id,
        }
    }
}

fn by_secret(clients: &Clients, id: &str, secret: &str) -> Result<Arc<Client>, OAuthError> {
    let client = clients.find(id);
    let kept = client.and_then(|client| client.secret);
    let held = kept.as_ref().unwrap_or(&NOBODYS).is_of(secret);
    match client {
        Some(client) if held && kept.is_some() => Ok(Arc::clone(client)),
        _ => Err(OAuthError::Client("unknown, or another secret")),
    }
}

impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Proof").field(&self.id()).finish()
    }
}
