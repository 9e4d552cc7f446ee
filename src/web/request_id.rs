//! The request id: what joins a client's answer, our log lines and the audit events of one request.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use crate::listen::peer::{Peer, TrustedProxies};
use crate::secret::{base64url, random_bytes};

pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 128;

/// An id that can stand in a log line and a header as it is (SEC-G2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// The one a trusted proxy gave the request, if it is sane; a fresh one otherwise.
    pub fn of(headers: &HeaderMap, peer: &Peer, proxies: &TrustedProxies) -> Self {
        let given = headers.get(&X_REQUEST_ID).filter(|_| proxies.trusts(peer)).and_then(|id| id.to_str().ok());
        Self(given.filter(|id| is_sane(id)).map_or_else(|| base64url(&random_bytes::<12>()).into(), Arc::from))
    }
}

fn is_sane(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    // SEC-G2
    #[test]
    fn a_request_id_is_taken_only_sane_and_from_a_trusted_proxy() {
        let proxies = TrustedProxies::new(&["127.0.0.0/8".parse().expect("a network")]);
        let id = |peer: &str, value: &[u8]| {
            let peer = Peer::Tcp(format!("{peer}:1").parse().expect("an address"));
            let mut headers = HeaderMap::new();
            headers.insert(&X_REQUEST_ID, HeaderValue::from_bytes(value).expect("a header value"));
            RequestId::of(&headers, &peer, &proxies).0.to_string()
        };
        assert_eq!(id("127.0.0.1", b"9f3c-A.b_c:1"), "9f3c-A.b_c:1");
        assert_eq!(id("192.0.2.1", b"forged").len(), 16);
        for wrong in [b"" as &[u8], b"a b", b"a\"b", b"\xff", &[b'a'; 129]] {
            assert_eq!(id("127.0.0.1", wrong).len(), 16, "{wrong:?}");
        }
        assert_ne!(id("192.0.2.1", b"x"), id("192.0.2.1", b"x"));
    }
}
