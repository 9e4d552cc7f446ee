//! The key ring: our signing keys and the server's secret, as one directory holds them at one moment.
//!
//! What state a key is in follows from times, so every process that shares the directory comes to the same answer without
//! being told. Keys stand in the order in which they begin to sign; the last of the configured algorithm whose time has
//! come signs, the ones before it verify until the last token they signed has expired (SEC-K1).
//!
//! Keys that the manifest does not list, such as those of a mounted secret, count as always active: among several of them
//! the last file name signs, and the others verify for as long as they are there.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::token::keys::files;
use crate::token::keys::manifest::Manifest;
use crate::token::keys::set::KeySet;
use crate::token::keys::signing::{SigningKey, fresh_secret_text, read_secret};
use crate::token::keys::{Algorithm, KeyError, KeyState, KeyView, RingRules, Settings, key_file, new_key};

/// An immutable snapshot of the key directory.
#[derive(Debug)]
pub struct KeyRing {
    dir: PathBuf,
    /// In the order in which they begin to sign; those that wait for a rotation last.
    keys: Vec<Member>,
    algorithm: Algorithm,
    rules: RingRules,
    secret: Secret,
}

#[derive(Debug)]
struct Member {
    key: SigningKey,
    file: PathBuf,
    created: Timestamp,
    active_from: Option<Timestamp>,
}

impl KeyRing {
    /// Reads the directory; writes nothing.
    ///
    /// # Errors
    /// [`KeyError`] for weak, doubled, unreadable or all too readable keys, naming the file and the fix (SEC-T3, K6).
    pub fn load(settings: &Settings, rules: RingRules) -> Result<Self, KeyError> {
        let ring = Self::read(settings, rules)?;
        if ring.keys.is_empty() {
            return Err(KeyError::NoKey { dir: ring.dir });
        }
        if !ring.keys.iter().any(|member| member.key.algorithm() == ring.algorithm) {
            return Err(KeyError::NoKeyOf { dir: ring.dir, algorithm: ring.algorithm });
        }
        Ok(ring)
    }

    /// Reads the directory; on a first start makes it, with one key and the server's secret. Writes nothing that is there
    /// already, so a read-only directory with a key in it is fine.
    ///
    /// # Errors
    /// As [`Self::load`], and [`KeyError::Unwritable`].
    pub fn load_or_create(settings: &Settings, rules: RingRules, now: Timestamp) -> Result<Self, KeyError> {
        let dir = Path::new(&settings.dir);
        let lacks_secret = || settings.secret_file.is_empty() && !files::secret_path(settings).exists();
        if key_file::list(dir)?.is_empty() || lacks_secret() {
            files::make_dir(dir)?;
            let lock = files::lock(dir)?;
            // Another process may have been first.
            if lacks_secret() {
                files::write_private(dir, files::SECRET, fresh_secret_text().as_bytes())?;
            }
            if key_file::list(dir)?.is_empty() {
                // From the beginning of time: a node that shares the folder may have a clock that is behind (SEC-F11).
                new_key::make(settings, Some(Timestamp(0)), now)?;
            }
            drop(lock);
        }
        Self::load(settings, rules)?.signing(now)
    }

    /// Itself, if one of its keys signs now: an issuer can't work with less.
    ///
    /// # Errors
    /// [`KeyError::NothingSigns`].
    pub fn signing(self, now: Timestamp) -> Result<Self, KeyError> {
        if self.signing_key(now).is_some() { Ok(self) } else { Err(KeyError::NothingSigns { dir: self.dir }) }
    }

    /// What the directory holds, be it enough or not.
    pub(super) fn read(settings: &Settings, rules: RingRules) -> Result<Self, KeyError> {
        let dir = PathBuf::from(&settings.dir);
        files::refuse_open_dir(&dir)?;
        let manifest = Manifest::read(&dir)?;
        let mut keys: Vec<Member> = Vec::new();
        for file in key_file::list(&dir)? {
            let listed = |kid: &str| manifest.keys.get(kid).map_or(settings.algorithm, |entry| entry.algorithm);
            let key = file.read(|kid| Some(listed(kid)))?;
            if let Some(first) = keys.iter().find(|member| member.key.kid() == key.kid()) {
                return Err(KeyError::DoubledKid {
                    kid: key.kid().to_owned(),
                    first: first.file.clone(),
                    second: file.path().to_owned(),
                });
            }
            let entry = manifest.keys.get(key.kid());
            keys.push(Member {
                file: file.path().to_owned(),
                created: entry.map_or(Timestamp(0), |entry| entry.created),
                active_from: entry.map_or(Some(Timestamp(0)), |entry| entry.active_from),
                key,
            });
        }
        // Files came in the order of their names, and the sort is stable.
        keys.sort_by_key(|member| member.active_from.unwrap_or(Timestamp(u64::MAX)));
        let secret = Secret::new(read_secret_file(&files::secret_path(settings))?);
        Ok(Self { dir, keys, algorithm: settings.algorithm, rules, secret })
    }

    /// The key that signs. While the first key of a newly configured algorithm is still being published, the last one of
    /// another algorithm goes on signing.
    pub fn signing_key(&self, now: Timestamp) -> Option<&SigningKey> {
        self.signing_index(now).map(|index| &self.keys[index].key)
    }

    fn signing_index(&self, now: Timestamp) -> Option<usize> {
        let begun = |member: &Member| member.active_from.is_some_and(|from| from <= now);
        let of_ours = |member: &Member| member.key.algorithm() == self.algorithm;
        self.keys
            .iter()
            .rposition(|member| begun(member) && of_ours(member))
            .or_else(|| self.keys.iter().rposition(begun))
    }

    /// When this key stops verifying: some time after the next key of its algorithm began to sign. `None` where there is
    /// none, or where nobody knows when that was. So a key of an algorithm that was left verifies until it is removed:
    /// no file tells when the configuration changed.
    fn until(&self, index: usize) -> Option<Timestamp> {
        let algorithm = self.keys[index].key.algorithm();
        let successor = self.keys[index + 1..].iter().find(|member| member.key.algorithm() == algorithm)?;
        let began = successor.active_from.filter(|from| from.0 > 0)?;
        Some(began.plus(self.rules.keep_after))
    }

    fn state(&self, index: usize, now: Timestamp) -> KeyState {
        if self.keys[index].active_from.is_none_or(|from| from > now) {
            KeyState::Next
        } else if self.signing_index(now) == Some(index) {
            KeyState::Active
        } else if self.until(index).is_some_and(|until| until <= now) {
            KeyState::Retired
        } else {
            KeyState::Retiring
        }
    }

    /// Every key, retired ones too, in the order in which they begin to sign.
    pub fn keys(&self, now: Timestamp) -> Vec<KeyView> {
        (0..self.keys.len())
            .map(|index| {
                let member = &self.keys[index];
                KeyView {
                    kid: member.key.kid().to_owned(),
                    algorithm: member.key.algorithm(),
                    state: self.state(index, now),
                    active_from: member.active_from,
                    until: self.until(index),
                    file: member.file.clone(),
                }
            })
            .collect()
    }

    /// The public keys that verify our tokens, and those that soon will (RFC 7517 section 5); never a secret (SEC-K2).
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys: Vec<Value> = (0..self.keys.len())
            .filter(|index| self.state(*index, now) != KeyState::Retired)
            .filter_map(|index| {
                let key = &self.keys[index].key;
                key.verification().jwk(key.kid())
            })
            .collect();
        json!({ "keys": keys })
    }

    /// All keys for verifying in this process, each until its own end.
    pub fn key_set(&self) -> KeySet {
        let mut set = KeySet::default();
        for (index, member) in self.keys.iter().enumerate() {
            set.insert(Some(member.key.kid()), member.key.verification().clone(), self.until(index))
                .expect("`read` refuses a doubled kid");
        }
        set
    }

    /// The server's secret: refresh token MACs and others are derived from it, each under a label of its own (SEC-K5).
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// When the key was first published; the beginning of time where the manifest does not say.
    pub(super) fn created(&self, kid: &str) -> Timestamp {
        self.keys.iter().find(|member| member.key.kid() == kid).map_or(Timestamp(0), |member| member.created)
    }
}

fn read_secret_file(file: &Path) -> Result<Vec<u8>, KeyError> {
    let text = files::read_private(file)?;
    read_secret(&text).map(|bytes| bytes.to_vec()).map_err(|reason| KeyError::Unusable {
        file: file.to_owned(),
        reason,
        fix: key_file::SECRET_FIX,
    })
}
