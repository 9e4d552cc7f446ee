//! The verifier: every issuer's keys, and the one place where a token becomes claims (SEC-T16).
//!
//! The order of things: the token's form; the keys its `kid` names, by algorithm, before any cryptography (SEC-T1); the
//! signature; and only then its claims, as the key's issuer must write them. The check plane shares one verifier by `Arc`;
//! key sets are swapped underneath it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Timestamp;
use crate::token::jws::Compact;
use crate::token::jwt::AccessToken;
use crate::token::jwt::claims::Expiry;
use crate::token::jwt::profile::{OwnKeys, OwnProfile, Profile, SetupError};
use crate::token::keys::KeyRing;
use crate::token::keys::set::Candidate;
use crate::token::keys::verification::VerificationKey;
use crate::token::remote::IssuerSettings;
use crate::token::remote::source::{Source, SourceView};
use crate::token::{Claims, TokenError};

/// So many signatures are tried for one token with one issuer's keys.
const MAX_TRIES: usize = 8;

/// Verifies access tokens of our own and of the configured foreign issuers.
#[derive(Debug)]
pub struct Verifier {
    /// Our own first: nearly all tokens are.
    profiles: Vec<Profile>,
    /// Whether tokens of our own are verified here: a checker may be for other issuers' alone.
    own: bool,
    /// Revoked key ids of our own: no later JWKS brings them back (SEC-K3).
    removed: ArcSwap<HashSet<Box<str>>>,
    /// Told at each removal.
    removals: watch::Sender<()>,
}

impl Verifier {
    /// # Errors
    /// [`SetupError`].
    pub fn new(own: OwnProfile, keys: OwnKeys, issuers: &[IssuerSettings]) -> Result<Self, SetupError> {
        let own_keys = keys.are_given();
        if !own_keys && issuers.is_empty() {
            return Err(SetupError::NoKeys);
        }
        let mut profiles = vec![Profile::own(own, keys)?];
        for settings in issuers {
            let named = |profile: &Profile| *profile.expected.issuer == *settings.issuer;
            if settings.issuer.is_empty() {
                return Err(SetupError::Nameless);
            }
            if named(&profiles[0]) {
                return Err(SetupError::OwnIssuer(settings.issuer.clone()));
            }
            if profiles.iter().any(named) {
                return Err(SetupError::Twice(settings.issuer.clone()));
            }
            profiles.push(Profile::foreign(settings)?);
        }
        Ok(Self { profiles, own: own_keys, removed: ArcSwap::default(), removals: watch::Sender::new(()) })
    }

    /// After the ring was reloaded.
    pub fn replace_ring(&self, ring: &KeyRing) {
        self.profiles[0].local.store(Arc::new(ring.key_set()));
    }

    /// # Errors
    /// [`TokenError`]: which one is for logs; clients see one word for all.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        self.verify_under(&self.profiles, token, now, Expiry::Checked)
    }

    /// For logging out only: an own token, though it may have expired.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify_even_if_expired(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        self.verify_under(&self.profiles[..1], token, now, Expiry::Ignored)
    }

    /// The claims of a token that this process has just signed with its key `kid`: the same as [`Self::verify`] would read,
    /// without asking the signature.
    ///
    /// # Errors
    /// [`TokenError`], as for a token that came from outside.
    pub fn claims_of(&self, minted: &AccessToken<'_>, kid: &Arc<str>, now: Timestamp) -> Result<Claims, TokenError> {
        let own = &self.profiles[0];
        if !self.may_try(own, Some(kid)) {
            return Err(TokenError::UnknownKey);
        }
        match serde_json::to_value(minted) {
            Ok(Value::Object(payload)) if minted.issuer == &*own.expected.issuer => {
                own.expected.read_payload(Arc::clone(kid), payload, now, Expiry::Checked)
            }
            _ => Err(TokenError::Claim("iss")),
        }
    }

    fn verify_under(
        &self,
        profiles: &[Profile],
        token: &str,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Claims, TokenError> {
        let compact = Compact::parse(token)?;
        let kid = compact.header.kid.as_deref();
        let mut attempt = Attempt { compact: &compact, tries: 0, held: None };
        let mut kid_is_known = false;
        let mut other_issuer = false;
        for profile in profiles {
            // Each issuer's keys have their own tries: none can use up another's.
            attempt.tries = 0;
            for set in profile.key_sets() {
                kid_is_known |= kid.is_some_and(|kid| set.knows(kid));
                for candidate in set.candidates(kid, now) {
                    if !self.may_try(profile, kid) || !attempt.holds(candidate) {
                        continue;
                    }
                    let kid = candidate.kid.cloned().unwrap_or_else(|| kid.unwrap_or_default().into());
                    match profile.expected.read(&compact.header, kid, compact.claims()?, now, expiry) {
                        // Tenants of one provider share keys: this token may be another profile's.
                        Err(TokenError::Claim("iss")) => {
                            other_issuer = true;
                            attempt.held = Some(candidate.key.clone());
                        }
                        read => return read,
                    }
                }
            }
        }
        Err(if other_issuer {
            TokenError::Claim("iss")
        } else if kid_is_known {
            TokenError::Signature
        } else {
            TokenError::UnknownKey
        })
    }

    /// Our own tokens always name their key, and never a revoked one.
    fn may_try(&self, profile: &Profile, kid: Option<&str>) -> bool {
        !profile.expected.is_own() || kid.is_some_and(|kid| !self.removed.load().contains(kid))
    }

    /// From now on no token of ours under this `kid` is verified, whatever a later JWKS says.
    pub fn remove_key(&self, kid: &str) {
        self.removed.rcu(|removed| {
            let mut removed = HashSet::clone(removed);
            removed.insert(kid.into());
            removed
        });
        self.removals.send_replace(());
    }

    pub fn has_removed(&self, kid: &str) -> bool {
        self.removed.load().contains(kid)
    }

    /// Changes whenever a key is removed: then the issuer's directory is worth a look.
    pub fn removals(&self) -> watch::Receiver<()> {
        self.removals.subscribe()
    }

    /// Foreign issuers of whose keys none are known: whether a token is theirs can't be told now.
    pub fn unknown_issuers(&self) -> Vec<&str> {
        let unknown = |profile: &&Profile| profile.remote.is_some() && profile.key_sets().all(|set| set.is_empty());
        self.profiles[1..].iter().filter(unknown).map(|profile| &*profile.expected.issuer).collect()
    }

    /// After [`TokenError::UnknownKey`]: has the issuers' keys fetched, at most once in 30 s each (SEC-T5), and returns when
    /// that is done or `budget` is spent. Without issuers elsewhere it returns at once.
    pub async fn fetch_for_unknown_key(&self, budget: Duration) {
        let mut waiting = JoinSet::new();
        for source in self.remotes() {
            let source = Arc::clone(source);
            waiting.spawn(async move { source.fetch_for_unknown_key(budget).await });
        }
        while waiting.join_next().await.is_some() {}
    }

    /// Whether our own keys are known, or any where there are none of ours: a foreign issuer that is away does not make us
    /// unready.
    pub fn ready(&self) -> bool {
        let known = |profile: &Profile| profile.key_sets().any(|set| !set.is_empty());
        if self.own { known(&self.profiles[0]) } else { self.profiles[1..].iter().any(known) }
    }

    /// Keeps the keys of issuers elsewhere fresh until it is told to stop. To be run once, beside the doors.
    pub async fn keep_keys_fresh(&self, stop: CancellationToken) {
        let mut running = JoinSet::new();
        for source in self.remotes() {
            running.spawn(Arc::clone(source).run(stop.clone()));
        }
        while running.join_next().await.is_some() {}
    }

    /// How the issuers elsewhere stand.
    pub fn sources(&self) -> Vec<SourceView> {
        self.remotes().map(|source| source.view()).collect()
    }

    fn remotes(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.profiles.iter().filter_map(|profile| profile.remote.as_ref())
    }
}

/// One token before the keys that may have signed it.
struct Attempt<'a> {
    compact: &'a Compact<'a>,
    tries: usize,
    /// The key whose signature held, to be recognised where another issuer shares it.
    held: Option<VerificationKey>,
}

impl Attempt<'_> {
    fn holds(&mut self, candidate: Candidate<'_>) -> bool {
        if candidate.key.algorithm() != self.compact.header.algorithm {
            return false;
        }
        if let Some(held) = &self.held {
            return held.is_same_as(candidate.key);
        }
        self.tries += 1;
        self.tries <= MAX_TRIES && candidate.key.verify(self.compact.signing_input.as_bytes(), &self.compact.signature)
    }
}
