//! A new key in the directory. Called by `ring` on first start, and by `change`.

use std::path::Path;

use crate::clock::Timestamp;
use crate::token::keys::manifest::{Entry, Manifest};
use crate::token::keys::signing::SigningKey;
use crate::token::keys::{Algorithm, KeyError, Settings, files};

/// Writes a new key; to be called under the lock. Its times come first: a reader that sees the key knows them.
pub(super) fn make(settings: &Settings, active_from: Option<Timestamp>, now: Timestamp) -> Result<String, KeyError> {
    let dir = Path::new(&settings.dir);
    let (key, text) = SigningKey::generate(settings.algorithm)?;
    let mut manifest = Manifest::read(dir)?;
    manifest.keys.insert(key.kid().to_owned(), Entry { algorithm: settings.algorithm, created: now, active_from });
    manifest.write(dir)?;
    let ending = if settings.algorithm == Algorithm::HS256 { "hs256" } else { "pem" };
    files::write_private(dir, &format!("{}.{ending}", key.kid()), text.as_bytes())?;
    Ok(key.kid().to_owned())
}
