//! The identity cache: moka over verified tokens, and the cells through which a revocation ends them in one step.
//!
//! `checker` asks it on every check, `lookup` fills it, `follower` tells it what ended. What is kept is an identity,
//! never a verdict, under the digest of the whole token (SEC-T18).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::cell::{Cell, Registry};
use crate::check::identity::Identity;
use crate::clock::{Millis, Timestamp};
use crate::secret::Digest;
use crate::state::Entry;
use crate::token::{Claims, SessionId};
use crate::units::{Size, Span};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Identities at the most.
    pub max_entries: u64,
    /// Bytes at the most, all identities together.
    pub max_bytes: Size,
    /// How long ago the revocation log may last have been read for a hit to be answered from memory: the longest a
    /// revocation goes unseen.
    pub max_staleness: Span,
    /// The same while the token store can't be reached; 0 answers 503 at once.
    pub max_staleness_on_error: Span,
    /// How often a session's activity is written to the store.
    pub activity_interval: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            max_bytes: Size(128 << 20),
            max_staleness: Span::secs(5),
            max_staleness_on_error: Span::secs(30),
            activity_interval: Span::secs(30),
        }
    }
}

/// An identity as it was confirmed by the store once.
#[derive(Debug)]
pub struct Known {
    pub identity: Arc<Identity>,
    pub cell: Arc<Cell>,
    /// When the store was asked, by the monotonic clock: whatever was revoked before is known to this answer.
    pub confirmed: Duration,
    era: Era,
    /// For moka, which frees the memory then; that the token has expired is seen on the hit itself (SEC-T17).
    life: Duration,
}

/// What ends all identities at once: a new era. Taken before a token is verified, so a key that is removed meanwhile, or
/// headers that change, leave nothing behind that was made from the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era(u64);

impl Known {
    pub fn new(identity: Identity, cell: Arc<Cell>, era: Era, confirmed: Duration, now: Timestamp) -> Self {
        let life = identity.claims.expires.since(now);
        Self { identity: Arc::new(identity), cell, confirmed, era, life }
    }

    pub fn is_expired(&self, now: Millis) -> bool {
        self.identity.claims.expires <= now.seconds()
    }
}

/// Identities by their tokens' digests.
#[derive(Debug)]
pub struct Cache {
    known: moka::sync::Cache<Digest, Arc<Known>>,
    registry: Registry,
    era: AtomicU64,
}

impl Cache {
    /// Both limits hold by one weight: each identity weighs its bytes, but at least its share of `max_bytes` among
    /// `max_entries`, so that no more than `max_entries` of them fit into `max_bytes`.
    pub fn new(settings: &Settings) -> Self {
        let share = settings.max_bytes.0.div_ceil(settings.max_entries.max(1)).max(1);
        let weigh = move |_: &Digest, known: &Arc<Known>| {
            let bytes = known.identity.weight() + size_of::<Known>() + size_of::<Cell>() + OVERHEAD;
            u32::try_from((bytes as u64).max(share)).unwrap_or(u32::MAX)
        };
        let capacity = if settings.max_entries == 0 { 0 } else { settings.max_bytes.0 };
        let known = moka::sync::Cache::builder().max_capacity(capacity).weigher(weigh).expire_after(AtExpiry).build();
        Self { known, registry: Registry::default(), era: AtomicU64::new(0) }
    }

    /// What is known of a token, if nothing has ended it since.
    pub fn find(&self, token: &Digest) -> Option<Arc<Known>> {
        self.known.get(token).filter(|known| self.is_live(known))
    }

    pub fn is_live(&self, known: &Known) -> bool {
        known.era == self.era() && known.cell.is_live()
    }

    /// To be asked before a token is verified.
    pub fn era(&self) -> Era {
        Era(self.era.load(Ordering::Acquire))
    }

    /// To be asked before the store is (SEC-S2).
    pub fn cell(&self, claims: &Claims) -> Arc<Cell> {
        self.registry.cell(claims)
    }

    /// The same for a session that a token is about to be minted for.
    pub fn cell_of_session(&self, sid: &SessionId) -> Arc<Cell> {
        self.registry.cell_of(sid.tag(), Some(*sid))
    }

    /// Keeps it, unless it was ended while it was looked up.
    pub fn keep(&self, token: Digest, known: &Arc<Known>) {
        if self.is_live(known) {
            self.known.insert(token, known.clone());
        }
    }

    pub fn drop_one(&self, token: &Digest) {
        self.known.invalidate(token);
    }

    /// Ends what the entry names: at once, and for lookups in flight too.
    pub fn forget(&self, entry: &Entry) {
        match entry {
            Entry::Session(sid) => self.registry.end_session(sid),
            Entry::Subject(tag) => self.registry.end_subject(*tag),
            // Keys are removed rarely; that all identities are looked up anew is cheaper than an index of them by key.
            Entry::Key(_) | Entry::Everything => self.clear(),
        }
    }

    /// Ends everything.
    pub fn clear(&self) {
        self.era.fetch_add(1, Ordering::AcqRel);
        self.known.invalidate_all();
    }

    /// Does moka's housekeeping, which otherwise only reads and writes drive, and tells how many identities there are.
    pub fn tend(&self) -> u64 {
        self.known.run_pending_tasks();
        self.known.entry_count()
    }
}

/// What moka's own books take for one entry, roughly.
const OVERHEAD: usize = 200;

struct AtExpiry;

impl Expiry<Digest, Arc<Known>> for AtExpiry {
    fn expire_after_create(&self, _: &Digest, known: &Arc<Known>, _: Instant) -> Option<Duration> {
        Some(known.life)
    }

    fn expire_after_update(&self, _: &Digest, known: &Arc<Known>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(known.life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::headers::HeaderPlan;
    use crate::check::identity::HeaderSettings;
    use crate::check::testing;

    const NOW: Timestamp = Timestamp(1000);

    fn known(cache: &Cache, claims: Claims) -> Arc<Known> {
        let cell = cache.cell(&claims);
        let plan = HeaderPlan::new(&HeaderSettings::default()).expect("the default");
        let identity = plan.identify(claims).expect("tellable");
        Arc::new(Known::new(identity, cell, cache.era(), Duration::ZERO, NOW))
    }

    fn fill(cache: &Cache, users: usize, payload: &str) -> u64 {
        for n in 0..users {
            let mut claims = testing::claims(&format!("user{n}"));
            claims.payload.insert("more".into(), payload.into());
            cache.keep(Digest::of(&n.to_be_bytes()), &known(cache, claims));
        }
        cache.tend()
    }

    #[test]
    fn entries_and_bytes_are_both_bounded() {
        let settings = Settings { max_entries: 100, max_bytes: Size(1 << 20), ..Settings::default() };
        let few = Cache::new(&settings);
        assert!((80..=100).contains(&fill(&few, 500, "")), "{}", few.tend());
        let heavy = Cache::new(&settings);
        let kept = fill(&heavy, 500, &"x".repeat(64 << 10));
        assert!((8..=16).contains(&kept), "{kept} of 64 KiB each");
        assert!(heavy.known.weighted_size() <= 1 << 20);
    }

    // SEC-S1
    #[test]
    fn an_entry_of_the_log_ends_what_it_names() {
        let cache = Cache::new(&Settings::default());
        let (alice, bob) = (testing::claims("alice"), testing::claims("bob"));
        let keys = [Digest::of(b"alice"), Digest::of(b"bob")];
        let found = || keys.map(|key| cache.find(&key).is_some());
        let refill = || {
            cache.keep(keys[0], &known(&cache, alice.clone()));
            cache.keep(keys[1], &known(&cache, bob.clone()));
            assert_eq!(found(), [true, true]);
        };
        refill();
        cache.forget(&Entry::Session(alice.sid.expect("own")));
        assert_eq!(found(), [false, true]);
        refill();
        cache.forget(&Entry::Subject(bob.tag()));
        assert_eq!(found(), [true, false]);
        for all in [Entry::Key("k1".into()), Entry::Everything] {
            refill();
            cache.forget(&all);
            assert_eq!(found(), [false, false]);
        }
    }

    // SEC-S2
    #[test]
    fn what_was_ended_during_its_lookup_is_not_kept() {
        let cache = Cache::new(&Settings::default());
        let claims = testing::claims("alice");
        for entry in [Entry::Session(claims.sid.expect("own")), Entry::Subject(claims.tag()), Entry::Key("k1".into())] {
            let looked_up = known(&cache, claims.clone());
            cache.forget(&entry);
            cache.keep(Digest::of(b"token"), &looked_up);
            assert_eq!(cache.tend(), 0, "{entry:?}");
            assert!(cache.find(&Digest::of(b"token")).is_none());
        }
    }
}
