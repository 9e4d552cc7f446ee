//! What a listener grants its clients: sizes, times and numbers (SEC-D1, D2, D3).

use std::time::Duration;

use http::{HeaderMap, Uri};

use crate::listen::peer::TrustedProxies;

/// One listener's limits. Begin with [`Limits::check`] or [`Limits::public`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// A request's head, with its first line.
    pub head_bytes: usize,
    /// Header fields of a request. hyper's own HTTP/1 limit is the same 100.
    pub head_fields: usize,
    /// From connecting to the first byte.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its head.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// How long a client may refuse to take an answer.
    pub write: Duration,
    /// How long a client may take to close a connection that we closed.
    pub linger: Duration,
    /// HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// HTTP/2 bytes in flight on one stream; four times as many on a connection.
    pub window: u32,
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// Connections at once from one address, IPv6 by /64.
    pub per_address: Option<PerAddress>,
    /// Whose clients are proxies that ask yes or no: NGINX makes a 500 of a 400 or 431. A head over the limits comes to
    /// the service with [`OverLimits`], to be denied in its words; what hyper cannot parse is a 403 (SEC-P12).
    pub denies: bool,
}

/// Marks a request whose head is larger than its listener grants: to be denied unread.
#[derive(Clone, Copy, Debug)]
pub struct OverLimits;

/// How many connections one address may hold, and who may hold any number: a proxy is one address.
#[derive(Clone, Debug)]
pub struct PerAddress {
    pub most: usize,
    pub exempt: TrustedProxies,
}

impl Limits {
    /// For the check plane: what NGINX and Envoy pass on is bigger, and NGINX keeps idle connections for 60 s: were we
    /// the first to close one, a check could be lost.
    pub fn check() -> Self {
        Self {
            head_bytes: 64 << 10,
            head_fields: 100,
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            write: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            streams: 1024,
            // A whole CheckRequest of the allowed size, without a round trip for a window update.
            window: 320 << 10,
            connections: 16_384,
            per_address: None,
            denies: true,
        }
    }

    /// For the session plane, which anyone may reach.
    pub fn public(exempt: TrustedProxies) -> Self {
        Self {
            head_bytes: 16 << 10,
            idle: Duration::from_secs(60),
            streams: 128,
            window: 64 << 10,
            connections: 4096,
            per_address: Some(PerAddress { most: 128, exempt }),
            denies: false,
            ..Self::check()
        }
    }

    /// For the ops plane: a few probes and scrapers.
    pub fn ops() -> Self {
        Self { head_bytes: 16 << 10, streams: 16, window: 64 << 10, connections: 256, denies: false, ..Self::check() }
    }

    /// Whether a head that was parsed is as small as it must be: counted as HTTP/2 does it (RFC 9113 section 6.5.2). HTTP/1's was
    /// bounded by hyper's buffer before, which may grow to twice its limit.
    pub(super) fn grant(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        headers.len() <= self.head_fields && path + bytes <= self.head_bytes
    }

    /// How much may come on one connection between two requests. Bodies are bounded by the windows; beyond twice those
    /// it is a flood of frames that ask for nothing: pings, settings, empty data (CVE-2019-9512, 9515, 9518).
    pub(super) fn unasked(&self) -> u64 {
        2 * 4 * u64::from(self.window)
    }
}
