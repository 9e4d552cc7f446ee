//! Making, rotating and revoking keys: what `doorward key …` calls. Every step happens under the directory's lock, so two
//! processes can't undo each other's; the issuers notice the change and reload.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::clock::Timestamp;
use crate::token::keys::files;
use crate::token::keys::manifest::{Entry, Manifest};
use crate::token::keys::new_key::make;
use crate::token::keys::ring::KeyRing;
use crate::token::keys::{KeyError, KeyState, KeyView, RingRules, Settings};

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rotated {
    /// The key that signs from its `active_from` on; at once where that has come.
    pub key: KeyView,
    /// Whether it was made just now, or was waiting already.
    pub made: bool,
}

/// What a revocation did. The caller still tells every checker, through the revocation log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revoked {
    pub kid: String,
    /// The key that signs in its place from now on, where it was the signing one.
    pub replacement: Option<KeyView>,
}

/// Makes a key of the configured algorithm. It is published and waits for [`rotate`]; the first key of all signs at once.
///
/// # Errors
/// [`KeyError`].
pub fn generate(settings: &Settings, rules: RingRules, now: Timestamp) -> Result<KeyView, KeyError> {
    let (_lock, ring) = open(settings, rules)?;
    let active_from = ring.signing_key(now).is_none().then_some(now);
    let kid = make(settings, active_from, now)?;
    view(settings, rules, &kid, now)
}

/// Hands signing over. A waiting key that has been published for long enough signs at once; a younger one as soon as it
/// has been. Where none waits, one is made, which signs after `publish_ahead` (SEC-K1). Doing it twice changes nothing more.
///
/// # Errors
/// [`KeyError`].
pub fn rotate(settings: &Settings, rules: RingRules, now: Timestamp) -> Result<Rotated, KeyError> {
    let (_lock, ring) = open(settings, rules)?;
    let due = |kid: &str| ring.created(kid).plus(rules.publish_ahead).max(now);
    let waiting = ring
        .keys(now)
        .into_iter()
        .filter(|key| key.state == KeyState::Next && key.algorithm == settings.algorithm)
        .min_by_key(|key| due(&key.kid));
    if let Some(key) = waiting {
        let at = due(&key.kid);
        if key.active_from.is_none_or(|from| at < from) {
            set_active_from(settings, &key, at, now)?;
        }
        return Ok(Rotated { key: view(settings, rules, &key.kid, now)?, made: false });
    }
    // With nothing that signs today there is nothing to wait for.
    let active_from = if ring.signing_key(now).is_none() { now } else { now.plus(rules.publish_ahead) };
    let kid = make(settings, Some(active_from), now)?;
    Ok(Rotated { key: view(settings, rules, &kid, now)?, made: true })
}

/// Removes a key for good: every token it signed dies (SEC-K3). Where it was the signing one, the key that waits the
/// longest takes over at once, or a new one.
///
/// # Errors
/// [`KeyError::UnknownKid`] and others.
pub fn revoke(settings: &Settings, rules: RingRules, kid: &str, now: Timestamp) -> Result<Revoked, KeyError> {
    let (_lock, ring) = open(settings, rules)?;
    let keys = ring.keys(now);
    let revoked = keys
        .iter()
        .find(|key| key.kid == kid)
        .ok_or_else(|| KeyError::UnknownKid { dir: PathBuf::from(&settings.dir), kid: kid.to_owned() })?;
    let mut replacement = None;
    if revoked.state == KeyState::Active {
        let waiting = keys.iter().filter(|key| key.state == KeyState::Next && key.algorithm == settings.algorithm);
        let next = waiting.min_by_key(|key| ring.created(&key.kid));
        replacement = Some(match next {
            Some(key) => {
                set_active_from(settings, key, now, now)?;
                key.kid.clone()
            }
            None => make(settings, Some(now), now)?,
        });
    }
    files::remove(&revoked.file)?;
    let dir = Path::new(&settings.dir);
    let mut manifest = Manifest::read(dir)?;
    if manifest.keys.remove(kid).is_some() {
        manifest.write(dir)?;
    }
    let replacement = replacement.map(|kid| view(settings, rules, &kid, now)).transpose()?;
    Ok(Revoked { kid: kid.to_owned(), replacement })
}

fn open(settings: &Settings, rules: RingRules) -> Result<(files::Lock, KeyRing), KeyError> {
    let dir = Path::new(&settings.dir);
    files::make_dir(dir)?;
    let lock = files::lock(dir)?;
    if settings.secret_file.is_empty() && !files::secret_path(settings).exists() {
        files::write_private(dir, files::SECRET, super::signing::fresh_secret_text().as_bytes())?;
    }
    let ring = KeyRing::read(settings, rules)?;
    Ok((lock, ring))
}

fn set_active_from(settings: &Settings, key: &KeyView, at: Timestamp, now: Timestamp) -> Result<(), KeyError> {
    let dir = Path::new(&settings.dir);
    let mut manifest = Manifest::read(dir)?;
    let fresh = Entry { algorithm: key.algorithm, created: now, active_from: None };
    manifest.keys.entry(key.kid.clone()).or_insert(fresh).active_from = Some(at);
    manifest.write(dir)
}

fn view(settings: &Settings, rules: RingRules, kid: &str, now: Timestamp) -> Result<KeyView, KeyError> {
    let keys = KeyRing::read(settings, rules)?.keys(now);
    let unknown = || KeyError::UnknownKid { dir: PathBuf::from(&settings.dir), kid: kid.to_owned() };
    keys.into_iter().find(|key| key.kid == kid).ok_or_else(unknown)
}
