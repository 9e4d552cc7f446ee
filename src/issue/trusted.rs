//! Trusted callers: the back ends that may open a session for a `user_id` they vouch for (`POST /login`).
//!
//! A caller is trusted by a key it shows as `Authorization: Bearer`, or by its network address. The rule in full:
//!
//! 1. Where caller keys are configured and an `Authorization` came, only the key counts: a wrong one is 401, also from
//!    an allowed address.
//! 2. Otherwise the address counts: one in `allow_from`, or loopback under `--dev`. Never when the request shows that it
//!    came by way of a proxy (its forwarding headers) or a browser (`Origin`, `Sec-Fetch-Site`): then the address is
//!    the proxy's or the browser's, not a back end's. Without this, a proxy on the same machine would make the whole
//!    world look like loopback, and a page could reach a developer's machine through DNS rebinding.
//! 3. Nobody else: 401 where a key would have helped, 403 where none is configured.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use http::{HeaderMap, header};
use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::fault::{Fault, Kind};
use crate::issue::TrustedLogin;
use crate::listen::client::is_forwarded;
use crate::secret::{Digest, constant_time_eq};

const SHORTEST_KEY: usize = 32;

/// Who may vouch for a user. Immutable; a reload makes a new one.
#[derive(Clone, Debug, Default)]
pub struct TrustedCallers {
    /// Digests, so that comparing tells nothing of a key's length either.
    keys: Vec<Digest>,
    allow_from: Vec<IpNet>,
    loopback: bool,
    /// The key file, where it is open to all.
    exposed: Option<PathBuf>,
}

/// The caller may not vouch for anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("a caller key is wanted and none came")]
    NoKey,
    #[error("the caller key is not one of ours")]
    WrongKey,
    #[error("no caller key is configured, and the address is not one of the allowed ones or not the caller's own")]
    Address,
}

impl Fault for Untrusted {
    fn kind(&self) -> Kind {
        match self {
            Self::NoKey | Self::WrongKey => Kind::Unauthenticated,
            Self::Address => Kind::Forbidden,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoKey => "caller_key_required",
            Self::WrongKey => "invalid_caller_key",
            Self::Address => "untrusted_caller",
        }
    }
}

/// Why the settings of `auth.trusted_login` can't be served with.
#[derive(Debug, thiserror::Error)]
pub enum TrustedLoginError {
    #[error("auth.trusted_login.caller_keys_file: can't read {}: {why}; name a readable file, from the working directory on, or write one with `openssl rand -hex 32`", file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("auth.trusted_login.caller_keys_file: others may change {}; run: chmod 600 on it", .0.display())]
    Writable(PathBuf),
    #[error("auth.trusted_login.caller_keys_file: {}:{line}: {fault}; write such as `openssl rand -hex 32` prints", file.display())]
    BadKey { file: PathBuf, line: usize, fault: KeyFault },
    #[error("auth.trusted_login.caller_keys_file: {} holds no key; write one a line, or leave the setting empty", .0.display())]
    NoKeys(PathBuf),
    #[error(
        "--dev lets every caller on this machine log in as anybody, so it does not serve on {0}: \
         listen on loopback (listen.public: 127.0.0.1:8080), or set auth.trusted_login.caller_keys_file or .allow_from"
    )]
    DevExposed(IpAddr),
    #[error(
        "auth.trusted_login.allow_from holds {network}, which is everybody, so it is not served on {address}: \
         name the callers' networks, or set auth.trusted_login.caller_keys_file instead"
    )]
    EverybodyExposed { network: IpNet, address: IpAddr },
}

/// What is wrong with one line of the key file; never tells the line itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("the key has fewer than {SHORTEST_KEY} characters")]
    Short,
    #[error("the key has characters that can't stand in a header (visible ASCII only)")]
    Characters,
}

impl TrustedCallers {
    /// Reads the key file, if there is one. `dev` also trusts loopback.
    pub fn load(settings: &TrustedLogin, dev: bool) -> Result<Self, TrustedLoginError> {
        let (keys, exposed) = match settings.caller_keys_file.as_str() {
            "" => (Vec::new(), false),
            file => read_keys(Path::new(file))?,
        };
        let exposed = exposed.then(|| settings.caller_keys_file.clone().into());
        Ok(Self { keys, allow_from: settings.allow_from.clone(), loopback: dev, exposed })
    }

    /// What is odd about the settings, though they can be served with; as [`TrustedLoginError`] is worded. No error: a
    /// compose secret reaches a process that is not root by being open to all.
    pub fn warning(&self) -> Option<String> {
        let file = self.exposed.as_deref()?.display();
        Some(format!(
            "auth.trusted_login.caller_keys_file: every user of this machine can read {file}; run: chmod 640 on it"
        ))
    }

    /// Whether trusted login is there for anyone at all.
    pub fn any(&self) -> bool {
        self.loopback || !self.keys.is_empty() || !self.allow_from.is_empty()
    }

    /// Refuses to open this door to the world (SEC-K9). `public` is where the session plane listens; a Unix socket has
    /// no address and no strangers.
    ///
    /// # Errors
    /// `--dev` on a non-loopback address without key or network, or an allowed network that holds everybody.
    pub fn fit_to_serve_on(&self, public: Option<IpAddr>) -> Result<(), TrustedLoginError> {
        let Some(address) = public.map(|a| a.to_canonical()).filter(|a| !a.is_loopback()) else { return Ok(()) };
        if let Some(network) = self.allow_from.iter().find(|n| n.prefix_len() == 0) {
            return Err(TrustedLoginError::EverybodyExposed { network: *network, address });
        }
        if self.loopback && self.keys.is_empty() && self.allow_from.is_empty() {
            return Err(TrustedLoginError::DevExposed(address));
        }
        Ok(())
    }

    /// Judges the caller: `shown` is its bearer credential, `peer` the address at the other end of the connection.
    pub fn judge(&self, headers: &HeaderMap, shown: Option<&str>, peer: Option<IpAddr>) -> Result<(), Untrusted> {
        if !self.keys.is_empty() && headers.contains_key(header::AUTHORIZATION) {
            return if shown.is_some_and(|key| self.knows(key)) { Ok(()) } else { Err(Untrusted::WrongKey) };
        }
        if peer.is_some_and(|peer| self.allows(peer)) && !came_by_proxy_or_browser(headers) {
            return Ok(());
        }
        Err(if self.keys.is_empty() { Untrusted::Address } else { Untrusted::NoKey })
    }

    fn allows(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.allow_from.iter().any(|network| network.contains(&peer)) || self.loopback && peer.is_loopback()
    }

    /// Looks at every key, whichever fits, so that time tells nothing (SEC-T21).
    fn knows(&self, shown: &str) -> bool {
        let shown = Digest::of(shown.as_bytes());
        self.keys.iter().fold(false, |found, key| found | constant_time_eq(key.as_bytes(), shown.as_bytes()))
    }
}

/// Headers that a back end calling directly has no reason to send.
fn came_by_proxy_or_browser(headers: &HeaderMap) -> bool {
    is_forwarded(headers)
        || headers.contains_key(header::ORIGIN)
        || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// The keys, and whether everybody on this machine can read them.
fn read_keys(file: &Path) -> Result<(Vec<Digest>, bool), TrustedLoginError> {
    let unreadable = |why| TrustedLoginError::Unreadable { file: file.to_path_buf(), why };
    let mut handle = File::open(file).map_err(unreadable)?;
    // Asked of the open file, so that it can't be swapped in between.
    let mode = handle.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(TrustedLoginError::Writable(file.to_path_buf()));
    }
    let mut text = Zeroizing::new(String::new());
    handle.read_to_string(&mut text).map_err(unreadable)?;
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let key = line.trim();
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        let fault = if !key.bytes().all(|b| b.is_ascii_graphic()) {
            Some(KeyFault::Characters)
        } else {
            (key.len() < SHORTEST_KEY).then_some(KeyFault::Short)
        };
        if let Some(fault) = fault {
            return Err(TrustedLoginError::BadKey { file: file.to_path_buf(), line: at + 1, fault });
        }
        keys.push(Digest::of(key.as_bytes()));
    }
    if keys.is_empty() { Err(TrustedLoginError::NoKeys(file.to_path_buf())) } else { Ok((keys, mode & 0o004 != 0)) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::HeaderValue;

    use super::*;

    const KEY: &str = "a-caller-key-of-32-characters-ok";
    const LOOPBACK: &str = "127.0.0.1";

    fn callers(keys: &str, allow_from: &[&str], dev: bool) -> Result<TrustedCallers, TrustedLoginError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(keys.as_bytes()).expect("written");
        let caller_keys_file =
            if keys.is_empty() { String::new() } else { file.path().to_str().expect("UTF-8").to_owned() };
        let allow_from = allow_from.iter().map(|n| n.parse().expect("a network")).collect();
        TrustedCallers::load(&TrustedLogin { allow_from, caller_keys_file }, dev)
    }

    fn judge(callers: &TrustedCallers, headers: &[(&'static str, &'static str)], peer: &str) -> Result<(), Untrusted> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let shown = map.get("authorization").and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
        callers.judge(&map, shown, peer.parse().ok())
    }

    #[test]
    fn nobody_is_trusted_unless_configured() {
        let callers = callers("", &[], false).expect("settings");
        assert!(!callers.any());
        assert_eq!(judge(&callers, &[], LOOPBACK), Err(Untrusted::Address));
        assert_eq!(judge(&callers, &[("authorization", "Bearer x")], LOOPBACK), Err(Untrusted::Address));
    }

    #[test]
    fn a_caller_key_opens_from_anywhere_and_a_wrong_one_from_nowhere() {
        let callers = callers(&format!("# billing\n\n{KEY}\n"), &["10.0.0.0/8"], true).expect("settings");
        let bearer = "Bearer a-caller-key-of-32-characters-ok";
        assert_eq!(judge(&callers, &[("authorization", bearer), ("via", "1.1 x")], "203.0.113.9"), Ok(()));
        for wrong in ["Bearer a-caller-key-of-32-characters-oK", "Bearer ", "Basic YTpi", "Bearer # billing"] {
            assert_eq!(judge(&callers, &[("authorization", wrong)], "10.1.2.3"), Err(Untrusted::WrongKey), "{wrong}");
        }
        assert_eq!(judge(&callers, &[], "203.0.113.9"), Err(Untrusted::NoKey));
        assert_eq!(judge(&callers, &[], "10.1.2.3"), Ok(()), "an allowed address needs no key");
    }

    // SEC-K9
    #[test]
    fn an_address_counts_only_without_signs_of_a_proxy_or_a_browser() {
        let callers = callers("", &["10.0.0.0/8"], true).expect("settings");
        for peer in [LOOPBACK, "::1", "::ffff:127.0.0.1", "10.9.8.7", "::ffff:10.9.8.7"] {
            assert_eq!(judge(&callers, &[], peer), Ok(()), "{peer}");
            for header in [
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", ""),
                ("forwarded", "for=127.0.0.1"),
                ("x-real-ip", "127.0.0.1"),
                ("via", "1.1 proxy"),
                ("x-original-forwarded-for", "127.0.0.1"),
                ("x-envoy-internal", "true"),
                ("cf-connecting-ip", "127.0.0.1"),
                ("origin", "null"),
                ("sec-fetch-site", "same-origin"),
            ] {
                assert_eq!(judge(&callers, &[header], peer), Err(Untrusted::Address), "{peer} {header:?}");
            }
        }
        assert_eq!(judge(&callers, &[], "11.0.0.1"), Err(Untrusted::Address));
        assert_eq!(judge(&callers, &[], "a unix socket"), Err(Untrusted::Address));
    }

    #[test]
    fn a_weak_key_is_refused_naming_file_and_line_but_not_the_key() {
        let error = callers(&format!("{KEY}\n\nshort-canary\n"), &[], false).expect_err("too short").to_string();
        assert!(error.contains(":3: the key has fewer than 32") && !error.contains("canary"), "{error}");
        let error = callers(&format!("{KEY} {KEY}"), &[], false).expect_err("an inner space").to_string();
        assert!(error.contains(":1: the key has characters"), "{error}");
        assert!(matches!(callers("# none\n", &[], false), Err(TrustedLoginError::NoKeys(_))));
        let settings = TrustedLogin { caller_keys_file: "/nonexistent/keys".into(), ..TrustedLogin::default() };
        let error = TrustedCallers::load(&settings, false).expect_err("no such file").to_string();
        assert!(error.contains("/nonexistent/keys"), "{error}");
    }

    // SEC-K6
    #[test]
    fn a_key_file_that_others_may_change_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), KEY).expect("written");
        let caller_keys_file = file.path().to_str().expect("UTF-8").to_owned();
        let settings = TrustedLogin { caller_keys_file, ..TrustedLogin::default() };
        for (mode, fine) in [(0o600, true), (0o640, true), (0o444, true), (0o620, false), (0o602, false)] {
            file.as_file().set_permissions(PermissionsExt::from_mode(mode)).expect("changed");
            assert_eq!(TrustedCallers::load(&settings, false).is_ok(), fine, "{mode:o}");
        }
    }

    // SEC-K9
    #[test]
    fn a_door_open_to_the_world_is_not_served() {
        let open: Option<IpAddr> = "0.0.0.0".parse().ok();
        let dev = callers("", &[], true).expect("settings");
        assert!(matches!(dev.fit_to_serve_on(open), Err(TrustedLoginError::DevExposed(_))));
        assert!(matches!(dev.fit_to_serve_on("::".parse().ok()), Err(TrustedLoginError::DevExposed(_))));
        for fine in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "a unix socket"] {
            assert!(dev.fit_to_serve_on(fine.parse().ok()).is_ok(), "{fine}");
        }
        assert!(callers(KEY, &[], true).expect("settings").fit_to_serve_on(open).is_ok());
        assert!(callers("", &["10.0.0.0/8"], true).expect("settings").fit_to_serve_on(open).is_ok());
        let everybody = callers(KEY, &["::/0"], false).expect("settings").fit_to_serve_on(open).expect_err("everybody");
        assert!(everybody.to_string().contains("::/0"), "{everybody}");
        assert!(callers("", &[], false).expect("settings").fit_to_serve_on(open).is_ok());
    }
}
