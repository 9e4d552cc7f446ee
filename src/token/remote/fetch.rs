//! Fetches a JWK Set: no redirects, no proxies, two seconds, 256 KiB (SEC-O8).
//!
//! A URL that an operator wrote may lead anywhere. One that a discovery document named may not lead into private networks,
//! unless it stays on the host the operator wrote: else whoever can change that document could make us call our own neighbours.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use crate::token::json;
use crate::token::keys::jwk::SetError;
use crate::token::remote::{Place, address, is_safe};

pub const MAX_BYTES: usize = 256 * 1024;
pub const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Why there is no new key set.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("can't be read: {0}")]
    File(#[from] io::Error),
    #[error("no answer: {0}")]
    NoAnswer(String),
    #[error("answered with status {0}")]
    Status(u16),
    #[error("more than 256 KiB")]
    TooLarge,
    #[error("the discovery document is not one strict JSON object with `issuer` and `jwks_uri`")]
    NotADiscoveryDocument,
    #[error("the discovery document is another issuer's")]
    OtherIssuer,
    #[error("`jwks_uri` must be an https URL that leads into no private network")]
    UnsafeKeysUrl,
    #[error(transparent)]
    Set(#[from] SetError),
}

/// Opens connections for one issuer's keys. The clients are made when they are first needed: reading the system's
/// certificates takes time and memory, and a check role on loopback needs none of them.
#[derive(Debug, Default)]
pub struct Fetcher {
    anywhere: OnceLock<Client>,
    public_only: OnceLock<Client>,
}

impl Fetcher {
    /// The bytes of the JWK Set.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, place: &Place) -> Result<Vec<u8>, FetchError> {
        match place {
            Place::Url(url) => get(client(&self.anywhere, url, false)?, url).await,
            Place::File(file) => {
                let file = file.clone();
                tokio::task::spawn_blocking(move || read_file(&file))
                    .await
                    .map_err(|error| FetchError::NoAnswer(error.to_string()))?
            }
            Place::Discovery { document, issuer } => {
                let bytes = get(client(&self.anywhere, document, false)?, document).await?;
                let keys_url = keys_url(&bytes, issuer)?;
                if keys_url.host() == document.host() {
                    return get(client(&self.anywhere, &keys_url, false)?, &keys_url).await;
                }
                if address(&keys_url).is_some_and(|address| !is_public(address)) {
                    return Err(FetchError::UnsafeKeysUrl);
                }
                get(client(&self.public_only, &keys_url, true)?, &keys_url).await
            }
        }
    }
}

/// # Errors
/// [`FetchError::File`], [`FetchError::TooLarge`].
pub fn read_file(file: &Path) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES { Err(FetchError::TooLarge) } else { Ok(bytes) }
}

fn client<'a>(cell: &'a OnceLock<Client>, url: &Url, public_only: bool) -> Result<&'a Client, FetchError> {
    if let Some(client) = cell.get() {
        return Ok(client);
    }
    // No idle connection is kept: the next fetch is a minute or more away.
    let mut builder = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(TIME_LIMIT)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    if public_only {
        builder = builder.dns_resolver(PublicOnly);
    }
    let client = builder.build().map_err(|error| FetchError::NoAnswer(with_causes(&error)))?;
    Ok(cell.get_or_init(|| client))
}

async fn get(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let no_answer = |error: reqwest::Error| FetchError::NoAnswer(with_causes(&error));
    let response = client.get(url.clone()).header("accept", "application/json").send().await.map_err(no_answer)?;
    if response.status() != 200 {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    read_body(response).await
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::NoAnswer(with_causes(&error)))? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// reqwest's own words say little; the causes tell what happened.
fn with_causes(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

fn keys_url(document: &[u8], issuer: &str) -> Result<Url, FetchError> {
    let members = json::object(document).ok_or(FetchError::NotADiscoveryDocument)?;
    let text = |name| members.get(name).and_then(|value| value.as_str()).ok_or(FetchError::NotADiscoveryDocument);
    if text("issuer")? != issuer {
        return Err(FetchError::OtherIssuer);
    }
    let url: Url = text("jwks_uri")?.parse().map_err(|_| FetchError::UnsafeKeysUrl)?;
    if is_safe(&url) { Ok(url) } else { Err(FetchError::UnsafeKeysUrl) }
}

/// Resolves names, but refuses those of private networks; each connection asks anew, so no later answer slips through.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().all(|found| is_public(found.ip())) {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(Box::from("the name leads into a private network"))
            }
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| is_public_v6(v6), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && second & 0xc0 == 64;
    let benchmark = first == 198 && second & 0xfe == 18;
    !(first == 0
        || first >= 240
        || shared
        || benchmark
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

/// Only 2000::/3 is given out for global use; of it, addresses that hold an IPv4 address (6to4, RFC 3056) are left out.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    first & 0xe000 == 0x2000 && first != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-O8
    #[test]
    fn private_and_link_local_addresses_are_told_from_public_ones() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "ff02::1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
        ] {
            assert!(!is_public(text.parse().expect(text)), "{text}");
        }
        for text in ["9.9.9.9", "172.32.0.1", "2620:fe::fe", "::ffff:9.9.9.9"] {
            assert!(is_public(text.parse().expect(text)), "{text}");
        }
    }

    // SEC-O8
    #[test]
    fn a_discovery_document_must_be_the_configured_issuers() {
        let document = br#"{"issuer":"https://id.example","jwks_uri":"https://keys.example/jwks"}"#;
        assert!(keys_url(document, "https://id.example").is_ok());
        assert!(matches!(keys_url(document, "https://id.example/"), Err(FetchError::OtherIssuer)));
        for uri in ["http://keys.example/jwks", "file:///etc/passwd", "keys", "ftp://keys.example"] {
            let document = format!(r#"{{"issuer":"i","jwks_uri":"{uri}"}}"#);
            assert!(matches!(keys_url(document.as_bytes(), "i"), Err(FetchError::UnsafeKeysUrl)), "{uri}");
        }
    }
}
