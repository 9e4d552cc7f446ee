//! What a checker knows of one token. `lookup` learns it, `cache` keeps it, `front` too; the doors get the holder.
//!
//! All of it is in one allocation, besides what the tokens of a session share: among a hundred thousand tokens a hit waits for
//! memory more than for anything else.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::check::cell::Cell;
use crate::check::identity::Identity;
use crate::clock::Millis;
use crate::secret::Digest;

/// An identity as it was confirmed by the store once.
#[derive(Debug)]
pub struct Known {
    pub token: Digest,
    pub identity: Identity,
    pub cell: Arc<Cell>,
    /// When the store was asked, by the monotonic clock: whatever was revoked before is known to this answer.
    pub confirmed: Duration,
    pub(super) era: Era,
    /// Whether moka has let it go.
    gone: AtomicBool,
    /// When moka last heard that it is used, in Unix seconds.
    told: AtomicU32,
}

/// What ends all identities at once: a new era. Taken before a token is verified, so a key that is removed meanwhile, or
/// headers that change, leave nothing behind that was made from the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era(pub(super) u64);

impl Known {
    pub fn new(token: Digest, identity: Identity, cell: Arc<Cell>, era: Era, confirmed: Duration) -> Self {
        let (gone, told) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { token, identity, cell, confirmed, era, gone, told }
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

impl From<Arc<Known>> for Holder {
    fn from(known: Arc<Known>) -> Self {
        Self(known)
    }
}

/// One that no cache knows.
impl From<Identity> for Holder {
    fn from(identity: Identity) -> Self {
        let token = Digest::of(&[]);
        Self(Arc::new(Known::new(token, identity, Arc::new(Cell::default()), Era(0), Duration::ZERO)))
    }
}

/// Seconds between two uses of an identity that moka hears of.
const TELL_EVERY: u32 = 60;
