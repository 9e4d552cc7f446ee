//! What a checker knows of one token. `lookup` learns it, `cache` keeps it, `front` too; the doors get the holder.
//!
//! It is small, in two allocations besides what the tokens of a session share: among a hundred thousand tokens a hit waits for
//! memory more than for anything else, and beside every pod each byte counts.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::check::identity::Identity;
use crate::clock::Millis;
use crate::secret::Digest;

/// An identity as it was confirmed by the store once. With the counts of its `Arc` it takes 128 bytes.
#[derive(Debug)]
pub struct Known {
    pub token: Digest,
    pub identity: Identity,
    /// Nanoseconds.
    confirmed: u64,
    pub(super) era: Era,
    /// Whether moka has let it go.
    gone: AtomicBool,
    /// When moka last heard that it is used, in Unix seconds.
    told: AtomicU32,
}

const _: () = assert!(size_of::<Known>() <= 112, "128 bytes are a size that the allocator has");

/// What ends all identities at once: a new era. Taken before a token is verified, so a key that is removed meanwhile, or
/// headers that change, leave nothing behind that was made from the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era(pub(super) u64);

impl Known {
    /// `confirmed` is when the store was asked, by the monotonic clock.
    pub fn new(token: Digest, identity: Identity, era: Era, confirmed: Duration) -> Self {
        let (gone, told) = (AtomicBool::new(false), AtomicU32::new(0));
        // They last for centuries; after that it counts as never confirmed.
        let confirmed = u64::try_from(confirmed.as_nanos()).unwrap_or(0);
        Self { token, identity, confirmed, era, gone, told }
    }

    /// When the store was asked, by the monotonic clock: whatever was revoked before is known to this answer.
    pub fn confirmed(&self) -> Duration {
        Duration::from_nanos(self.confirmed)
    }

    pub fn is_expired(&self, now: Millis) -> bool {
        self.identity.expires <= now.seconds()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether moka is to hear of a use: of one in many, since that is all the order of eviction needs.
    pub(super) fn is_to_be_told(&self, now: Millis) -> bool {
        let now = now.seconds().0 as u32;
        let due = now.wrapping_sub(self.told.load(Ordering::Relaxed)) >= TELL_EVERY;
        if due {
            self.told.store(now, Ordering::Relaxed);
        }
        due
    }
}

/// Who bears a token: its identity, shared with the cache.
#[derive(Clone, Debug)]
pub struct Holder(Arc<Known>);

impl Deref for Holder {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0.identity
    }
}

impl Holder {
    /// Set on each allowed request. The values are shares of this, not copies: one small allocation for all of them.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, HeaderValue)> {
        let bytes = Bytes::from_owner(Values(Arc::clone(&self.0)));
        self.header_ranges()
            .filter_map(move |(name, range)| Some((name, HeaderValue::from_maybe_shared(bytes.slice(range)).ok()?)))
    }
}

/// What header values are parts of.
struct Values(Arc<Known>);

impl AsRef<[u8]> for Values {
    fn as_ref(&self) -> &[u8] {
        self.0.identity.bytes()
    }
}

impl From<Arc<Known>> for Holder {
    fn from(known: Arc<Known>) -> Self {
        Self(known)
    }
}

/// One that no cache knows.
impl From<Identity> for Holder {
    fn from(identity: Identity) -> Self {
        let token = Digest::of(&[]);
        Self(Arc::new(Known::new(token, identity, Era(0), Duration::ZERO)))
    }
}

/// Seconds between two uses of an identity that moka hears of.
const TELL_EVERY: u32 = 60;
