//! `ring.json`: when each key was made and when it begins to sign. Nothing in it is secret.
//!
//! A key without an entry counts as always active: so a directory of hand-made keys, mounted read-only, needs no manifest.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::token::keys::files::{self, MANIFEST};
use crate::token::keys::{Algorithm, KeyError};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// By `kid`. Entries whose key is gone mean nothing.
    pub keys: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub algorithm: Algorithm,
    /// When the key was first published, Unix seconds.
    pub created: Timestamp,
    /// When it begins to sign, Unix seconds. Absent: it waits for a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_from: Option<Timestamp>,
}

impl Manifest {
    /// Empty where there is none.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::Manifest`].
    pub fn read(dir: &Path) -> Result<Self, KeyError> {
        let file = dir.join(MANIFEST);
        match fs::read(&file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| KeyError::Manifest { file, reason: error.to_string() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(KeyError::Unreadable { file, source }),
        }
    }

    /// To be called under the directory's lock.
    ///
    /// # Errors
    /// [`KeyError::Unwritable`].
    pub fn write(&self, dir: &Path) -> Result<(), KeyError> {
        let mut text = serde_json::to_vec_pretty(self).expect("a map of plain values can be written as JSON");
        text.push(b'\n');
        files::write_private(dir, MANIFEST, &text).map(drop)
    }
}
