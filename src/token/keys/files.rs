//! Secret files, and the key directory they are in: read only when nobody else may, written atomically, one writer at a time.
//!
//! A file any user may read or change is refused (SEC-K6). Read access for the group is allowed: that is how Kubernetes
//! hands a secret to a process that is not root.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::secret::{base64url, random_bytes};
use crate::token::keys::{KeyError, Settings};

/// Where the server's secret is kept when `keys.secret_file` names no other file.
pub const SECRET: &str = "server.secret";
/// When each key was made and begins to sign.
pub const MANIFEST: &str = "ring.json";
const LOCK: &str = ".lock";

/// No key or secret is larger.
const MAX_FILE: u64 = 64 * 1024;

/// The whole file, where its mode keeps it from others.
///
/// # Errors
/// [`KeyError::TooOpen`], [`KeyError::Unreadable`].
pub fn read_private(file: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let handle = File::open(file).map_err(KeyError::unreadable(file))?;
    // Asked of the open file, so that it can't be swapped in between.
    let mode = handle.metadata().map_err(KeyError::unreadable(file))?.permissions().mode();
    if mode & 0o027 != 0 {
        return Err(KeyError::TooOpen { file: file.to_owned() });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    handle.take(MAX_FILE).read_to_end(&mut bytes).map_err(KeyError::unreadable(file))?;
    Ok(bytes)
}

/// Makes the directory for its owner alone, where it is missing.
///
/// # Errors
/// [`KeyError::Unwritable`].
pub fn make_dir(dir: &Path) -> Result<(), KeyError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(KeyError::unwritable(dir))
}

/// Who may put a key into the directory may mint tokens (SEC-K6). A directory that is not there is not open.
///
/// # Errors
/// [`KeyError::DirTooOpen`].
pub fn refuse_open_dir(dir: &Path) -> Result<(), KeyError> {
    match fs::metadata(dir) {
        Ok(found) if found.permissions().mode() & 0o002 != 0 => Err(KeyError::DirTooOpen { dir: dir.to_owned() }),
        _ => Ok(()),
    }
}

/// Held while the directory is changed; let go when dropped, or when the process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

/// Waits until no other process changes the directory.
///
/// # Errors
/// [`KeyError::Unwritable`].
pub fn lock(dir: &Path) -> Result<Lock, KeyError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(KeyError::unwritable(&path))?;
    file.lock().map_err(KeyError::unwritable(&path))?;
    Ok(Lock(file))
}

/// Writes the file whole or not at all, for its owner alone: readers never see a part, and a crash leaves the old one.
///
/// # Errors
/// [`KeyError::Unwritable`].
pub fn write_private(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, KeyError> {
    let file = dir.join(name);
    let draft = dir.join(format!(".{}.draft", base64url(&random_bytes::<9>())));
    let write = || {
        let mut handle = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
        handle.write_all(bytes)?;
        handle.sync_all()?;
        fs::rename(&draft, &file)?;
        File::open(dir)?.sync_all()
    };
    if let Err(source) = write() {
        let _ = fs::remove_file(&draft);
        return Err(KeyError::Unwritable { file, source });
    }
    Ok(file)
}

/// # Errors
/// [`KeyError::Unwritable`].
pub fn remove(file: &Path) -> Result<(), KeyError> {
    fs::remove_file(file).map_err(KeyError::unwritable(file))
}

pub fn secret_path(settings: &Settings) -> PathBuf {
    if settings.secret_file.is_empty() {
        Path::new(&settings.dir).join(SECRET)
    } else {
        PathBuf::from(&settings.secret_file)
    }
}
