//! Who is at the other end of a connection, and whose word about the client counts (SEC-P2).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

/// The other end of one accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A Unix socket's peer: whoever may open the file, so file permissions decide.
    Unix,
}

impl Peer {
    /// The peer's address; an IPv4 address mapped into IPv6 is given as IPv4. `None` for a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

/// The peers whose `X-Forwarded-*` and `X-Original-*` count: `listen.trusted_proxies`, and every Unix socket's peer.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    pub fn trusts(&self, peer: &Peer) -> bool {
        peer.ip().is_none_or(|ip| self.trusts_ip(ip))
    }

    pub fn trusts_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }
}
