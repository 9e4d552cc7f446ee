//! What the files that the configuration names hold: everything that would keep `serve` from starting is found before it
//! starts. Asked by `serve`, `config check` and `doctor` alone: other commands must work to mend what is found here.

use std::fmt::Display;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::finding::{Finding, Severity};
use crate::config::{Config, Role};
use crate::issue::trusted::TrustedCallers;
use crate::token::keys::signing::read_secret;
use crate::token::keys::{Algorithm, KeyError, KeyRing, RingRules, files, jwk};
use crate::token::remote::fetch::{self, FetchError};

/// Every file that can't be used, or not yet, or is odd, with its key and the fix.
pub fn findings(config: &Config, role: Role) -> Vec<Finding> {
    let mut found = Vec::new();
    if role == Role::Check {
        found.extend(public_keys("check.jwks", &config.check.jwks, &[]));
        found.extend(shared_secret(&config.check.hs256_secret_file));
    } else {
        found.extend(caller_keys(config));
        for (at, client) in config.clients.iter().enumerate() {
            found.extend(public_keys(&format!("clients[{at}].jwks"), &client.jwks, &[]));
        }
        found.extend(signing_keys(config));
    }
    for (at, issuer) in config.issuers.iter().enumerate() {
        found.extend(public_keys(&format!("issuers[{at}].jwks_file"), &issuer.jwks_file, &issuer.algorithms));
    }
    found.extend(certificates(config));
    found.extend(url_file("state.url_file", &config.state.url_file));
    if role != Role::Check {
        found.extend(url_file("users.url_file", &config.users.url_file));
    }
    found
}

/// `text` in a room's own words, which may begin with the key and end with the fix.
pub(super) fn told_by_room(text: &str, key: &str) -> Finding {
    let (key, what) = text.split_once(": ").filter(|(named, _)| named.starts_with(key)).unwrap_or((key, text));
    let (what, fix) = what.rsplit_once("; ").unwrap_or((what, ""));
    Finding::error(key, what, fix)
}

fn caller_keys(config: &Config) -> Option<Finding> {
    let told = |text: &str| told_by_room(text, "auth.trusted_login");
    match TrustedCallers::load(&config.auth.trusted_login, false) {
        Ok(callers) => callers.warning().map(|text| Finding { severity: Severity::Warning, ..told(&text) }),
        Err(error) => Some(told(&error.to_string())),
    }
}

/// Who reads a store's URL has its password; who changes it chooses the store, and so who is signed in (SEC-K6). To be open to
/// all is no error: so a mounted secret reaches a process that is not root.
fn url_file(key: &str, file: &str) -> Option<Finding> {
    // One that can't be read is told where it is read.
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    if mode & 0o022 != 0 {
        Some(Finding::error(key, format!("others may change {file}"), "run: chmod go-w on it"))
    } else if mode & 0o004 != 0 {
        let what = format!("every user of this machine can read {file}");
        Some(Finding::new(Severity::Warning, key, what, "run: chmod 640 on it"))
    } else {
        None
    }
}

/// What the first start makes by itself may be missing.
fn signing_keys(config: &Config) -> Option<Finding> {
    let settings = &config.keys;
    let error = KeyRing::load(settings, RingRules::of(config.auth.access_lifetime.0)).err()?;
    let secret = files::secret_path(settings);
    let of_secret = match &error {
        KeyError::NoKey { .. } => return None,
        KeyError::Unreadable { file, .. } if *file == secret && settings.secret_file.is_empty() && !file.exists() => {
            return None;
        }
        KeyError::Unreadable { file, .. } | KeyError::TooOpen { file } | KeyError::Unusable { file, .. } => {
            *file == secret
        }
        _ => false,
    };
    let key = if of_secret && !settings.secret_file.is_empty() { "keys.secret_file" } else { "keys.dir" };
    Some(told_by_room(&error.to_string(), key))
}

fn shared_secret(file: &str) -> Option<Finding> {
    const KEY: &str = "check.hs256_secret_file";
    if file.is_empty() {
        return None;
    }
    let text = match files::read_private(Path::new(file)) {
        Ok(text) => text,
        Err(error) => return Some(told_by_room(&error.to_string(), KEY)),
    };
    let reason = read_secret(&text).err()?;
    Some(Finding::error(KEY, format!("{file}: {reason}"), "copy the issuer's .hs256 file from its key directory"))
}

/// A JWK Set in a file; `place` may be a URL instead, which is not asked here. A file may come later than we do, from an
/// init container or a mount: `serve` waits for it. What is there must be right.
fn public_keys(key: &str, place: &str, allowed: &[Algorithm]) -> Option<Finding> {
    if place.is_empty() || place.contains("://") {
        return None;
    }
    let fix = "name a readable JWK Set (RFC 7517) with the public keys of whoever signs";
    let wrong = |why: &dyn Display| Finding::error(key, format!("{place}: {why}"), fix);
    match fetch::read_file(Path::new(place)) {
        Ok(bytes) => jwk::read_set(&bytes, allowed).err().map(|error| wrong(&error)),
        Err(FetchError::File(error)) if error.kind() == ErrorKind::NotFound => Some(Finding {
            severity: Severity::Warning,
            what: format!("{place} is not there yet; tokens under its keys are refused until it is"),
            ..wrong(&error)
        }),
        Err(error) => Some(wrong(&error)),
    }
}

fn certificates(config: &Config) -> Option<Finding> {
    let file = &config.state.ca_file;
    if file.is_empty() || !config.state.url.starts_with("rediss") {
        return None;
    }
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let why = match all {
        Ok(some) if !some.is_empty() => return None,
        Ok(_) => "it holds no certificate".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(Finding::error("state.ca_file", format!("{file}: {why}"), "name a readable file of PEM certificates"))
}
