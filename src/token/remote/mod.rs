//! Keys of token issuers elsewhere: the settings of an issuer, and where its JWK Set is found.
//!
//! `source` keeps one issuer's keys fresh in the background, `fetch` is the one place that opens a connection for them.
//! The check role gets our own issuer's keys in the same way.

pub mod fetch;
pub mod source;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::token::keys::Algorithm;

/// A token issuer beside our own. Exactly one of `jwks_url`, `jwks_file` and `discovery` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// The `iss` claim, byte for byte.
    pub issuer: String,
    /// One of these must be in `aud`. Empty: `aud` is not asked, which is only safe where the issuer serves nobody else.
    pub audience: Vec<String>,
    /// An https URL of a JWK Set (http on loopback). The system's certificates are trusted, or those of `SSL_CERT_FILE`.
    pub jwks_url: String,
    /// A file with a JWK Set; it may come later, and change.
    pub jwks_file: String,
    /// An https URL whose `/.well-known/openid-configuration` (or, given whole, which itself) names `jwks_uri`.
    pub discovery: String,
    /// What the issuer's keys may be used for. Empty: every asymmetric algorithm doorward knows.
    pub algorithms: Vec<Algorithm>,
    /// The header's `typ`, compared without case. Empty: absent, `JWT` and `at+jwt` pass.
    pub typ: String,
    /// Which claims carry what doorward asks for.
    pub claims: ClaimMapping,
}

/// Names of a foreign issuer's claims; a dotted name goes into objects (`realm_access.roles`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimMapping {
    pub subject: String,
    /// An array of strings, or a space-separated string.
    pub roles: String,
    /// A space-separated string, or an array of strings.
    pub scope: String,
    /// Roles by our names: `{admins: admin}`. Where there is one, every other role is dropped, so that a role which the
    /// issuer happens to call `admin` counts for nothing; `{dev: dev}` keeps one as it is. Empty: all count as they are.
    pub role_names: BTreeMap<String, String>,
}

impl Default for ClaimMapping {
    fn default() -> Self {
        Self { subject: "sub".into(), roles: "roles".into(), scope: "scope".into(), role_names: BTreeMap::new() }
    }
}

/// Where a JWK Set is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Url(Url),
    File(PathBuf),
    /// OpenID Connect Discovery 1.0: the document at this URL must name exactly this issuer.
    Discovery {
        document: Url,
        issuer: String,
    },
}

/// What is wrong with an issuer's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error("`{0}` is not a URL")]
    NotAUrl(String),
    #[error("`{0}` must be an https URL; http is for loopback only")]
    NotHttps(Url),
    #[error("give exactly one of jwks_url, jwks_file and discovery")]
    NotExactlyOne,
}

impl Place {
    /// # Errors
    /// [`PlaceError`].
    pub fn of(settings: &IssuerSettings) -> Result<Self, PlaceError> {
        let IssuerSettings { jwks_url, jwks_file, discovery, issuer, .. } = settings;
        match (jwks_url.as_str(), jwks_file.as_str(), discovery.as_str()) {
            (url, "", "") if !url.is_empty() => Ok(Self::Url(safe_url(url)?)),
            ("", file, "") if !file.is_empty() => Ok(Self::File(file.into())),
            ("", "", url) if !url.is_empty() => {
                let document = if url.contains("/.well-known/") {
                    url.to_owned()
                } else {
                    format!("{}/.well-known/openid-configuration", url.trim_end_matches('/'))
                };
                Ok(Self::Discovery { document: safe_url(&document)?, issuer: issuer.clone() })
            }
            _ => Err(PlaceError::NotExactlyOne),
        }
    }

    /// `check.jwks`: a URL where it looks like one, else a file.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn of_url_or_file(text: &str) -> Result<Self, PlaceError> {
        if text.contains("://") { Ok(Self::Url(safe_url(text)?)) } else { Ok(Self::File(text.into())) }
    }
}

/// A URL whose answer nobody on the way can change: https, or http that does not leave this machine (SEC-O8).
fn safe_url(text: &str) -> Result<Url, PlaceError> {
    let url: Url = text.parse().map_err(|_| PlaceError::NotAUrl(text.to_owned()))?;
    if is_safe(&url) { Ok(url) } else { Err(PlaceError::NotHttps(url)) }
}

fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || address(url).is_some_and(|address| address.is_loopback())
}

/// The host, where it is written as an address.
fn address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
