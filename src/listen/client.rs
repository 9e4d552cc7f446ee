//! The client's address behind trusted proxies (SEC-B4). Both planes ask it: for audit events, limits and the networks
//! that may log others in.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use crate::listen::peer::{Peer, TrustedProxies};

/// Any of these says that a proxy spoke for someone else: RFC 7239, RFC 9110, and what proxies and CDNs made up.
const FORWARDING: [&str; 7] =
    ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip"];
/// So does any header that begins so.
const FORWARDING_PREFIXES: [&str; 3] = ["x-forwarded-", "x-original-", "x-envoy-"];

/// Whether the request carries forwarding headers: such a request never counts as its peer's own by address alone
/// (SEC-K9).
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|name| FORWARDING.contains(&name) || FORWARDING_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// The first untrusted hop from the right: the peer itself unless it is a trusted proxy; then the entries of
/// `X-Forwarded-For`, rightmost first. The leftmost where all are trusted. `None` where that hop can't be known: an
/// entry that is no bare address (a port, quotes, `unknown`), or a Unix socket's peer that named nobody.
pub fn client_address(peer: &Peer, trusted: &TrustedProxies, headers: &HeaderMap) -> Option<IpAddr> {
    if !trusted.trusts(peer) {
        return peer.ip();
    }
    let mut nearest = peer.ip();
    for line in headers.get_all("x-forwarded-for").iter().rev() {
        for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
            let entry = std::str::from_utf8(entry).ok()?;
            let hop = entry.trim_matches([' ', '\t']).parse::<IpAddr>().ok()?.to_canonical();
            if !trusted.trusts_ip(hop) {
                return Some(hop);
            }
            nearest = Some(hop);
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, lines: &[&str]) -> Option<String> {
        let trusted = TrustedProxies::new(&["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
        let peer = if peer == "unix" { Peer::Unix } else { Peer::Tcp(format!("{peer}:1").parse().unwrap()) };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        client_address(&peer, &trusted, &headers).map(|ip| ip.to_string())
    }

    // SEC-B4
    #[test]
    fn the_client_is_the_first_untrusted_hop_from_the_right() {
        let is = |ip: &str| Some(ip.to_owned());
        assert_eq!(seen("127.0.0.1", &["203.0.113.9"]), is("203.0.113.9"));
        assert_eq!(seen("127.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.7"]), is("203.0.113.9"));
        assert_eq!(seen("127.0.0.1", &["1.1.1.1", "203.0.113.9"]), is("203.0.113.9"), "lines in order");
        assert_eq!(seen("unix", &["203.0.113.9"]), is("203.0.113.9"));
        assert_eq!(seen("127.0.0.1", &["10.0.0.1, 10.0.0.2"]), is("10.0.0.1"), "all trusted");
        assert_eq!(seen("127.0.0.1", &["::ffff:203.0.113.9"]), is("203.0.113.9"));
    }

    // SEC-B4
    #[test]
    fn without_a_forwarding_header_the_client_is_the_peer() {
        assert_eq!(seen("127.0.0.1", &[]), Some("127.0.0.1".into()));
        assert_eq!(seen("198.51.100.1", &[]), Some("198.51.100.1".into()));
        assert_eq!(seen("unix", &[]), None);
    }

    // SEC-K9
    #[test]
    fn whatever_a_proxy_adds_shows_that_it_spoke_for_someone_else() {
        let forwarded = |name: &'static str| {
            is_forwarded(&HeaderMap::from_iter([(HeaderName::from_static(name), http::HeaderValue::from_static("x"))]))
        };
        for name in [
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-original-forwarded-for",
            "x-original-uri",
            "x-envoy-external-address",
            "x-envoy-internal",
            "x-client-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "x-cluster-client-ip",
        ] {
            assert!(forwarded(name), "{name}");
        }
        for name in ["user-agent", "x-request-id", "x-forwarded", "accept"] {
            assert!(!forwarded(name), "{name}");
        }
    }

    // SEC-P2
    #[test]
    fn an_untrusted_peer_speaks_only_for_itself() {
        assert_eq!(seen("198.51.100.1", &["127.0.0.1"]), Some("198.51.100.1".into()));
    }

    // SEC-B4
    #[test]
    fn a_malformed_entry_is_not_an_address() {
        for entry in ["unknown", "\"203.0.113.9\"", "203.0.113.9:80", "[2001:db8::1]", "", "203.0.113.9,", "_hidden"] {
            assert_eq!(seen("127.0.0.1", &[entry]), None, "{entry:?}");
        }
        assert_eq!(seen("127.0.0.1", &["junk, 203.0.113.9"]), Some("203.0.113.9".into()));
    }
}
