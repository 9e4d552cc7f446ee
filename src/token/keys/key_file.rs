//! One key a file: which files of a directory hold keys, and reading one. `token mint` reads a key of anyone's this way.

use std::io;
use std::path::{Path, PathBuf};

use crate::token::keys::signing::SigningKey;
use crate::token::keys::{Algorithm, KeyError, UnusableKey, files};

/// A file that holds a key, by its name's ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    Pem(PathBuf),
    Hs256 { file: PathBuf, kid: String },
}

/// The directory's key files in the order of their names; hidden files and all others are not doorward's. Empty where
/// there is no such directory.
///
/// # Errors
/// [`KeyError::Unreadable`].
pub fn list(dir: &Path) -> Result<Vec<KeyFile>, KeyError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(KeyError::Unreadable { file: dir.to_owned(), source }),
    };
    let mut found = Vec::new();
    for entry in entries {
        found.extend(KeyFile::of(&entry.map_err(KeyError::unreadable(dir))?.path()));
    }
    found.sort_by(|left, right| left.path().cmp(right.path()));
    Ok(found)
}

impl KeyFile {
    /// `None` for a file that is hidden or ends in neither `.pem` nor `.hs256`.
    pub fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_string_lossy();
        if name.starts_with('.') {
            None
        } else if let Some(kid) = name.strip_suffix(".hs256") {
            Some(Self::Hs256 { kid: kid.to_owned(), file: file.to_owned() })
        } else {
            name.ends_with(".pem").then(|| Self::Pem(file.to_owned()))
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Pem(file) | Self::Hs256 { file, .. } => file,
        }
    }

    /// Reads the key. What an RSA key is for its file does not tell: `rsa` is asked by the key's `kid`.
    ///
    /// # Errors
    /// [`KeyError`], naming the file and the fix (SEC-T3, K6).
    pub fn read(&self, rsa: impl FnOnce(&str) -> Option<Algorithm>) -> Result<SigningKey, KeyError> {
        let bytes = files::read_private(self.path())?;
        let key = match self {
            Self::Pem(_) => SigningKey::from_pem(&bytes, rsa),
            Self::Hs256 { kid, .. } => SigningKey::from_secret_text(kid, &bytes),
        };
        key.map_err(|reason| KeyError::Unusable { file: self.path().to_owned(), reason, fix: self.fix_for(reason) })
    }

    fn fix_for(&self, reason: UnusableKey) -> &'static str {
        match self {
            Self::Hs256 { .. } => SECRET_FIX,
            Self::Pem(_) if reason.0.contains("RS256") => "set keys.algorithm to RS256 or PS256",
            Self::Pem(_) if reason.0.contains("PKCS#8") => {
                "turn it into PKCS#8: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW"
            }
            Self::Pem(_) => "replace it by a key that `doorward key generate` made, or remove it",
        }
    }
}

/// What to do about a secret that is refused.
pub const SECRET_FIX: &str = "make another: head -c 32 /dev/urandom | basenc --base64url";
