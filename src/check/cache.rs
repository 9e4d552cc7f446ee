//! The identity cache: moka over verified tokens, a front of it in each thread, and the cells through which a revocation ends
//! them in one step.
//!
//! `checker` asks it on every check, `lookup` fills it, `follower` tells it what ended. What is kept is an identity,
//! never a verdict, under the digest of the whole token (SEC-T18).

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::cell::{Cell, Registry};
use crate::check::front::Front;
use crate::check::known::{Era, Known};
use crate::clock::{Clock, Millis};
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

/// What memory holds of a token.
#[derive(Debug)]
pub enum Found {
    Live(Arc<Known>),
    /// Its session has ended. Kept, so that a client that goes on with it, and a thousand that were logged out at once, cost
    /// the store nothing.
    Over,
    /// Nothing that counts.
    Nothing,
}

/// Identities by their tokens' digests.
#[derive(Debug)]
pub struct Cache {
    front: Arc<Front>,
    /// By the first bytes of their tokens' digests. moka keeps a key in an allocation of its own, and the whole digest is in
    /// `Known`, where it is compared: so two tokens of one place, should there ever be, only push each other out.
    known: moka::sync::Cache<u64, Arc<Known>, BuildHasherDefault<Spread>>,
    registry: Registry,
    era: AtomicU64,
}

impl Cache {
    /// Both limits hold by one weight: each identity weighs its bytes, but at least its share of `max_bytes` among
    /// `max_entries`, so that no more than `max_entries` of them fit into `max_bytes`.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let share = settings.max_bytes.0.div_ceil(settings.max_entries.max(1)).max(1);
        let weigh = move |_: &u64, known: &Arc<Known>| {
            let bytes = size_of::<Known>() + known.identity.weight() + size_of::<Cell>() + OVERHEAD;
            u32::try_from((bytes as u64).max(share)).unwrap_or(u32::MAX)
        };
        let capacity = if settings.max_entries == 0 { 0 } else { settings.max_bytes.0 };
        let front = Arc::new(Front::default());
        let left = Arc::clone(&front);
        let known = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .weigher(weigh)
            .expire_after(AtExpiry(clock))
            .eviction_listener(move |_, known: Arc<Known>, _| left.forget(&known))
            .build_with_hasher(BuildHasherDefault::default());
        Self { front, known, registry: Registry::default(), era: AtomicU64::new(0) }
    }

    /// What is known of a token.
    pub fn find(&self, token: &Digest, now: Millis) -> Found {
        let known = match self.front.find(token) {
            Some(known) => {
                if known.is_to_be_told(now) {
                    self.known.get(&token.hash());
                }
                known
            }
            None => {
                let found = self.known.get(&token.hash()).filter(|known| known.token == *token);
                let Some(known) = found else { return Found::Nothing };
                self.front.keep(&known);
                known
            }
        };
        match () {
            () if self.is_live(&known) => Found::Live(known),
            () if known.identity.cell.is_over() => Found::Over,
            () => Found::Nothing,
        }
    }

    pub fn is_live(&self, known: &Known) -> bool {
        known.era == self.era() && known.identity.cell.is_live()
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
    pub fn keep(&self, known: &Arc<Known>) {
        if self.is_live(known) {
            self.known.insert(known.token.hash(), known.clone());
        }
    }

    pub fn drop_one(&self, token: &Digest) {
        self.known.invalidate(&token.hash());
    }

    /// Ends what the entry names: at once, and for lookups in flight too.
    pub fn forget(&self, entry: &Entry) {
        match entry {
            Entry::Session(sid) => self.registry.end_session(sid),
            Entry::Subject(tag) => self.registry.end_subject(*tag),
            // Keys are removed rarely, and of everyone's identities few outlive the mark; that all are looked up anew is cheaper
            // than an index of them, or than a second number to compare on each hit.
            Entry::Key(_) | Entry::Everyone(_) | Entry::Everything => self.clear(),
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

/// What else there is for one entry: moka's books, the front's and the registry's, counts, and what the allocator can't fill.
/// `docs/decisions/0009` has the list.
const OVERHEAD: usize = 480;

/// Frees an expired identity's memory. That its token has expired is seen on the hit itself (SEC-T17).
struct AtExpiry(Arc<dyn Clock>);

impl AtExpiry {
    fn life(&self, known: &Known) -> Option<Duration> {
        Some(known.identity.expires.since(self.0.now()))
    }
}

impl Expiry<u64, Arc<Known>> for AtExpiry {
    fn expire_after_create(&self, _: &u64, known: &Arc<Known>, _: Instant) -> Option<Duration> {
        self.life(known)
    }

    fn expire_after_update(&self, _: &u64, known: &Arc<Known>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        self.life(known)
    }
}

/// A digest's own place, hashed no further.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write_u64(&mut self, place: u64) {
        self.0 = place;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::headers::HeaderPlan;
    use crate::check::identity::HeaderSettings;
    use crate::check::testing;
    use crate::clock::FixedClock;
    use crate::state::Mark;

    const NOW: Millis = Millis(1_000_000);

    fn cache(settings: &Settings) -> Cache {
        Cache::new(settings, Arc::new(FixedClock::at(NOW.seconds())))
    }

    fn known(cache: &Cache, token: Digest, claims: &Claims) -> Arc<Known> {
        let cell = cache.cell(claims);
        let plan = HeaderPlan::new(&HeaderSettings::default()).expect("the default");
        let identity = plan.identify(claims, cell).expect("tellable");
        Arc::new(Known::new(token, identity, cache.era(), Duration::ZERO))
    }

    fn fill(cache: &Cache, users: usize, scope: usize) -> u64 {
        for n in 0..users {
            let mut claims = testing::claims(&format!("user{n}"));
            claims.scope = vec!["x".into(); scope];
            cache.keep(&known(cache, Digest::of(&n.to_be_bytes()), &claims));
        }
        cache.tend()
    }

    #[test]
    fn entries_and_bytes_are_both_bounded() {
        let settings = Settings { max_entries: 100, max_bytes: Size(1 << 20), ..Settings::default() };
        let few = cache(&settings);
        assert!((80..=100).contains(&fill(&few, 500, 0)), "{}", few.tend());
        let heavy = cache(&settings);
        let kept = fill(&heavy, 500, 900);
        assert!((80..=250).contains(&kept), "{kept} of some 6 KiB each");
        assert!(heavy.known.weighted_size() <= 1 << 20);
    }

    // SEC-T18
    #[test]
    fn tokens_whose_digests_begin_alike_are_told_apart() {
        let cache = cache(&Settings::default());
        let [first, second] =
            [1, 2].map(|end| Digest::from_bytes([[7; 24].as_slice(), &[end; 8]].concat().try_into().expect("32")));
        let found = |token| match cache.find(&token, NOW) {
            Found::Live(known) => known.identity.subject().to_owned(),
            _ => String::new(),
        };
        cache.keep(&known(&cache, first, &testing::claims("alice")));
        assert_eq!((found(first), found(second)), ("alice".into(), String::new()));
        cache.keep(&known(&cache, second, &testing::claims("bob")));
        assert_eq!(found(second), "bob");
        assert_ne!(found(first), "bob");
    }

    // SEC-S1
    #[test]
    fn an_entry_of_the_log_ends_what_it_names() {
        let cache = cache(&Settings::default());
        let (alice, bob) = (testing::claims("alice"), testing::claims("bob"));
        let keys = [Digest::of(b"alice"), Digest::of(b"bob")];
        let found = || keys.map(|key| matches!(cache.find(&key, NOW), Found::Live(_)));
        let refill = || {
            cache.keep(&known(&cache, keys[0], &alice));
            cache.keep(&known(&cache, keys[1], &bob));
            assert_eq!(found(), [true, true]);
        };
        refill();
        cache.forget(&Entry::Session(alice.sid.expect("own")));
        assert_eq!(found(), [false, true]);
        refill();
        cache.forget(&Entry::Subject(bob.tag()));
        assert_eq!(found(), [true, false]);
        for all in [Entry::Key("k1".into()), Entry::Everyone(Mark(1)), Entry::Everything] {
            refill();
            cache.forget(&all);
            assert_eq!(found(), [false, false]);
        }
    }

    // SEC-S2
    #[test]
    fn what_was_ended_during_its_lookup_is_not_kept() {
        let cache = cache(&Settings::default());
        let claims = testing::claims("alice");
        let entries = [
            Entry::Session(claims.sid.expect("own")),
            Entry::Subject(claims.tag()),
            Entry::Everyone(Mark(1)),
            Entry::Key("k1".into()),
        ];
        for entry in entries {
            let looked_up = known(&cache, Digest::of(b"token"), &claims);
            cache.forget(&entry);
            cache.keep(&looked_up);
            assert_eq!(cache.tend(), 0, "{entry:?}");
            assert!(matches!(cache.find(&Digest::of(b"token"), NOW), Found::Nothing));
        }
    }
}
