//! Limits while the store is away, and what counts as one client.

use async_trait::async_trait;

use super::*;
use crate::clock::{FixedClock, Timestamp};
use crate::state::StateError;

struct Away;

#[async_trait]
impl Counters for Away {
    async fn spend(&self, _: &str, _: Quota) -> Result<Spent, StateError> {
        Err(StateError::TimedOut(Duration::ZERO))
    }
    async fn peek(&self, _: &str, _: Quota) -> Result<Spent, StateError> {
        Err(StateError::TimedOut(Duration::ZERO))
    }
    async fn refill(&self, _: &str) -> Result<(), StateError> {
        Err(StateError::TimedOut(Duration::ZERO))
    }
}

fn limits() -> (Limits, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(Timestamp(1000)));
    (Limits::new(Settings::default(), Arc::new(Away), clock.clone(), Arc::new(Metrics::new())), clock)
}

// SEC-B7
#[tokio::test]
async fn without_the_store_half_as_much_is_allowed_and_never_all() {
    let (limits, clock) = limits();
    let alice = "alice@example.com".parse().expect("an address");
    let suspect = Suspect { account: &alice, known: None };
    for _ in 0..2 {
        assert!(limits.account(suspect).await.is_ok());
    }
    let Err(Limited(standing)) = limits.account(suspect).await else { panic!("a third was allowed") };
    assert_eq!((standing.field().as_str(), standing.retry_after()), ("\"auth\";r=0;t=60", 30));
    clock.advance(Duration::from_secs(30));
    assert!(limits.account(suspect).await.is_ok());
    for _ in 0..5 {
        assert!(limits.may_guess(suspect).await);
    }
    assert!(!limits.may_guess(suspect).await);
    limits.guessed_right(suspect).await;
    assert!(limits.may_guess(suspect).await);
}

// SEC-B3
#[tokio::test]
async fn what_strangers_try_does_not_count_against_a_known_device() {
    let (limits, _) = limits();
    let alice = "alice@example.com".parse().expect("an address");
    let stranger = Suspect { account: &alice, known: None };
    while limits.account(stranger).await.is_ok() && limits.may_guess(stranger).await {}
    let known = Some(SessionId::from_bytes([7; 24]));
    assert!(limits.account(Suspect { known, ..stranger }).await.is_ok());
    assert!(limits.may_guess(Suspect { known, ..stranger }).await);
}

// SEC-B2
#[test]
fn one_client_is_an_address_or_the_64_of_ipv6() {
    let of = |text: &str| network(Some(text.parse().expect("an address")));
    assert_eq!(of("2001:db8:0:1:aaaa::1"), of("2001:db8:0:1::2"));
    assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
}
