//! Issuer profiles: what each issuer's tokens must say, and where its keys come from. Made from the configuration.

use std::path::Path;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::token::jwt::claims::Expected;
use crate::token::keys::set::KeySet;
use crate::token::keys::signing::read_secret;
use crate::token::keys::verification::VerificationKey;
use crate::token::keys::{Algorithm, KeyError, KeyRing, files};
use crate::token::remote::source::{Pace, Source};
use crate::token::remote::{IssuerSettings, Place, PlaceError};

/// What our own tokens say: `auth.issuer` and `auth.audience`.
#[derive(Clone, Debug)]
pub struct OwnProfile {
    pub issuer: String,
    pub audience: Vec<String>,
}

/// Where the keys of our own tokens come from.
#[derive(Clone, Debug)]
pub enum OwnKeys {
    /// The issuer's ring, in the same process.
    Ring(Arc<KeyRing>),
    /// The check role: `check.jwks`, `check.hs256_secret_file`, or both. Empty means not given; with neither, no token of
    /// ours is verified, only those of other issuers.
    Remote { jwks: String, hs256_secret_file: String },
}

impl OwnKeys {
    pub(super) fn are_given(&self) -> bool {
        match self {
            Self::Ring(_) => true,
            Self::Remote { jwks, hs256_secret_file } => !jwks.is_empty() || !hs256_secret_file.is_empty(),
        }
    }
}

/// Why there is no verifier: something in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("issuers: `{issuer}`: {source}")]
    Place { issuer: String, source: PlaceError },
    #[error("issuers: an issuer has no `issuer`")]
    Nameless,
    #[error("issuers: `{0}` is our own issuer (auth.issuer); its tokens are verified with our own keys")]
    OwnIssuer(String),
    #[error("issuers: `{0}` is listed twice")]
    Twice(String),
    #[error("issuers: `{0}` lists HS256: a foreign issuer's keys are public ones")]
    SharedSecret(String),
    #[error("check.jwks: {0}")]
    Jwks(PlaceError),
    #[error(
        "role check needs an issuer's public keys: set check.jwks to its /.well-known/jwks.json or to a file, or issuers"
    )]
    NoKeys,
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// One issuer as the verifier sees it.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) expected: Expected,
    /// The ring's keys, or the check role's shared secret.
    pub(super) local: ArcSwap<KeySet>,
    pub(super) remote: Option<Arc<Source>>,
}

impl Profile {
    pub(super) fn own(own: OwnProfile, keys: OwnKeys) -> Result<Self, SetupError> {
        let issuer: Arc<str> = own.issuer.into();
        let (local, remote) = match keys {
            OwnKeys::Ring(ring) => (ring.key_set(), None),
            OwnKeys::Remote { jwks, hs256_secret_file } => {
                let remote = if jwks.is_empty() {
                    None
                } else {
                    let place = Place::of_url_or_file(&jwks).map_err(SetupError::Jwks)?;
                    Some(Arc::new(Source::new(Arc::clone(&issuer), place, Vec::new(), Pace::OWN)))
                };
                (shared_secret(&hs256_secret_file)?, remote)
            }
        };
        let expected = Expected::own(issuer, own.audience);
        Ok(Self { expected, local: ArcSwap::from_pointee(local), remote })
    }

    pub(super) fn foreign(settings: &IssuerSettings) -> Result<Self, SetupError> {
        if settings.algorithms.contains(&Algorithm::HS256) {
            return Err(SetupError::SharedSecret(settings.issuer.clone()));
        }
        if settings.audience.is_empty() {
            tracing::warn!(
                issuer = settings.issuer,
                "no audience is asked of this issuer: a token it made for anyone else counts here too"
            );
        }
        let expected = Expected::foreign(settings);
        let place =
            Place::of(settings).map_err(|source| SetupError::Place { issuer: settings.issuer.clone(), source })?;
        let allowed = settings.algorithms.clone();
        let source = Source::new(Arc::clone(&expected.issuer), place, allowed, Pace::FOREIGN);
        Ok(Self { expected, local: ArcSwap::default(), remote: Some(Arc::new(source)) })
    }

    pub(super) fn key_sets(&self) -> impl Iterator<Item = Guard<Arc<KeySet>>> {
        [Some(self.local.load()), self.remote.as_ref().map(|source| source.keys())].into_iter().flatten()
    }
}

/// The check role's HS256 secret. The issuer's `<kid>.hs256` names its key; any other file name fits every `kid`.
fn shared_secret(file: &str) -> Result<KeySet, SetupError> {
    let mut set = KeySet::default();
    if file.is_empty() {
        return Ok(set);
    }
    tracing::warn!("check.hs256_secret_file: whoever reads it can make tokens; prefer an asymmetric keys.algorithm");
    let path = Path::new(file);
    let unusable = |reason| KeyError::Unusable {
        file: path.to_owned(),
        reason,
        fix: "copy the issuer's .hs256 file from its key directory",
    };
    let text = files::read_private(path)?;
    let key = read_secret(&text).and_then(|bytes| VerificationKey::secret(&bytes)).map_err(unusable)?;
    let kid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".hs256"));
    set.insert(kid, key, None).expect("the set was empty");
    Ok(set)
}
