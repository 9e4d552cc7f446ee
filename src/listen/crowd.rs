//! How many connections each address holds, so that none takes them all (SEC-D2).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::listen::limits::PerAddress;
use crate::listen::peer::Peer;

#[derive(Debug)]
pub(super) struct Crowd {
    rule: PerAddress,
    /// Locked when a connection opens and closes, never in between.
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// One place in the crowd, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Option<(Arc<Crowd>, IpAddr)>);

impl Crowd {
    pub(super) fn new(rule: PerAddress) -> Arc<Self> {
        Arc::new(Self { rule, held: Mutex::default() })
    }

    /// A place for one more connection of this peer, unless it holds too many.
    pub(super) fn enter(self: &Arc<Self>, peer: &Peer) -> Option<Place> {
        let Some(ip) = peer.ip().filter(|ip| !self.rule.exempt.trusts_ip(*ip)) else { return Some(Place(None)) };
        let ip = neighbourhood(ip);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(ip).or_insert(0);
        (*count < self.rule.most).then(|| {
            *count += 1;
            Place(Some((Arc::clone(self), ip)))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((crowd, ip)) = self.0.take() {
            let mut held = crowd.held.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = held.get_mut(&ip) {
                *count -= 1;
                if *count == 0 {
                    held.remove(&ip);
                }
            }
        }
    }
}

/// One subscriber has a whole IPv6 /64.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::peer::TrustedProxies;

    // SEC-D2
    #[test]
    fn an_address_holds_so_many_connections_and_a_trusted_proxy_any_number() {
        let exempt = TrustedProxies::new(&["127.0.0.0/8".parse().unwrap()]);
        let crowd = Crowd::new(PerAddress { most: 2, exempt });
        let from = |address: &str| Peer::Tcp(address.parse().unwrap());
        let first = crowd.enter(&from("[2001:db8::1]:1"));
        let second = crowd.enter(&from("[2001:db8::2]:1"));
        assert!(first.is_some() && second.is_some());
        assert!(crowd.enter(&from("[2001:db8::3]:1")).is_none(), "the same /64");
        assert!(crowd.enter(&from("[2001:db8:0:1::1]:1")).is_some(), "another /64");
        drop(first);
        assert!(crowd.enter(&from("[2001:db8::3]:1")).is_some());
        let proxies: Vec<_> = (0..9).map(|_| crowd.enter(&from("127.0.0.1:1"))).collect();
        assert!(proxies.iter().all(Option::is_some) && crowd.enter(&Peer::Unix).is_some());
        drop((second, proxies));
        assert!(crowd.held.lock().unwrap().is_empty(), "nothing is kept of those who left");
    }
}
