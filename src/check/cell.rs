//! Cells: what the identities of one session share, so that its end reaches all of them in one step.
//!
//! A cell is got before the store is asked, so a revocation that arrives in between finds it and wins over the older
//! answer (SEC-S2). The registry is used only on misses and revocations; a hit looks at its own cell and nothing else.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::clock::Millis;
use crate::token::{Claims, SessionId, SubjectTag};

/// One session as this process knows it; for foreign tokens, which have none, only their subject counts.
#[derive(Debug)]
pub struct Cell {
    sid: Option<SessionId>,
    ended: AtomicBool,
    subject: Arc<Subject>,
    /// Until when the store said the session lives without activity: monotonic milliseconds.
    idle_until: AtomicU64,
    /// The absolute end: Unix milliseconds.
    ends: AtomicU64,
    /// Latest use: Unix milliseconds, moved at most once a second.
    last_seen: AtomicU64,
    /// Whether it waits to have its use written to the store.
    noted: AtomicBool,
}

#[derive(Debug, Default)]
struct Subject {
    ended: AtomicBool,
}

impl Cell {
    fn new(sid: Option<SessionId>, subject: Arc<Subject>) -> Self {
        Self {
            sid,
            ended: AtomicBool::new(false),
            subject,
            idle_until: AtomicU64::new(u64::MAX),
            ends: AtomicU64::new(u64::MAX),
            last_seen: AtomicU64::new(0),
            noted: AtomicBool::new(false),
        }
    }

    pub const fn sid(&self) -> Option<SessionId> {
        self.sid
    }

    /// Whether no revocation has reached it.
    pub fn is_live(&self) -> bool {
        !self.ended.load(Ordering::Acquire) && !self.subject.ended.load(Ordering::Acquire)
    }

    /// Whether the session's times are over, so that the store must be asked again (SEC-S6).
    pub fn is_due(&self, monotonic: Duration, now: Millis) -> bool {
        millis(monotonic) >= self.idle_until.load(Ordering::Relaxed) || now.0 >= self.ends.load(Ordering::Relaxed)
    }

    /// Takes over the store's word on how long the session lives.
    pub fn lives_until(&self, idle_until: Option<Duration>, ends: Option<Millis>) {
        self.idle_until.store(idle_until.map_or(u64::MAX, millis), Ordering::Relaxed);
        self.ends.store(ends.map_or(u64::MAX, |at| at.0), Ordering::Relaxed);
    }

    /// Moves the idle end on to `until` where it lies after `near`.
    pub fn extend_idle(&self, near: Duration, until: Duration) {
        if self.idle_until.load(Ordering::Relaxed) > millis(near) {
            self.idle_until.fetch_max(millis(until), Ordering::Relaxed);
        }
    }

    /// Notes a use; true where the caller is to queue the cell for writing.
    pub fn see(&self, now: Millis) -> bool {
        if self.sid.is_none() || now.0 / 1000 == self.last_seen.load(Ordering::Relaxed) / 1000 {
            return false;
        }
        self.last_seen.store(now.0, Ordering::Relaxed);
        !self.noted.swap(true, Ordering::AcqRel)
    }

    /// The latest use, to be written. Uses from now on queue the cell again.
    pub fn take_note(&self) -> Millis {
        self.noted.swap(false, Ordering::AcqRel);
        Millis(self.last_seen.load(Ordering::Relaxed))
    }

    /// After a write that failed: true where the caller is to queue the cell again, since nobody else has.
    pub fn note_again(&self) -> bool {
        !self.noted.swap(true, Ordering::AcqRel)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Finds cells by session and by subject. It holds them weakly: they live as long as an identity or a lookup does.
#[derive(Debug)]
pub struct Registry {
    /// By subject, so that a session and its subject are in the same shard. A lock is held for a few look-ups in maps.
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    sessions: WeakMap<SessionId, Cell>,
    subjects: WeakMap<SubjectTag, Subject>,
}

const SHARDS: usize = 32;

impl Registry {
    /// The cell that a lookup of these claims has to hold before it asks the store.
    pub fn cell(&self, claims: &Claims) -> Arc<Cell> {
        self.cell_of(claims.tag(), claims.sid.filter(|_| claims.own))
    }

    /// The cell of one of our own sessions, or of a subject whose tokens have none.
    pub fn cell_of(&self, tag: SubjectTag, sid: Option<SessionId>) -> Arc<Cell> {
        self.with(tag, |shard| {
            let subject = shard.subjects.get_or_insert(tag, |_| true, Subject::default);
            match sid {
                Some(sid) => shard.sessions.get_or_insert(sid, Cell::is_live, || Cell::new(Some(sid), subject)),
                None => Arc::new(Cell::new(None, subject)),
            }
        })
    }

    pub fn end_session(&self, sid: &SessionId) {
        if let Some(cell) = self.with(sid.tag(), |shard| shard.sessions.take(sid)) {
            cell.ended.store(true, Ordering::Release);
        }
    }

    pub fn end_subject(&self, tag: SubjectTag) {
        if let Some(subject) = self.with(tag, |shard| shard.subjects.take(&tag)) {
            subject.ended.store(true, Ordering::Release);
        }
    }

    fn with<T>(&self, tag: SubjectTag, act: impl FnOnce(&mut Shard) -> T) -> T {
        // The tag is a hash, so any byte of it spreads evenly.
        let shard = &self.shards[usize::from(tag.as_bytes()[0]) % SHARDS];
        act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self { shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }
}

/// A map of weak references that sweeps out the dead ones whenever it has doubled, so it stays in proportion to the living.
#[derive(Debug)]
struct WeakMap<K, V> {
    map: HashMap<K, Weak<V>>,
    sweep_at: usize,
}

impl<K, V> Default for WeakMap<K, V> {
    fn default() -> Self {
        Self { map: HashMap::new(), sweep_at: 64 }
    }
}

impl<K: Eq + Hash, V> WeakMap<K, V> {
    fn get_or_insert(&mut self, key: K, fits: impl FnOnce(&V) -> bool, make: impl FnOnce() -> V) -> Arc<V> {
        if let Some(found) = self.map.get(&key).and_then(Weak::upgrade).filter(|found| fits(found)) {
            return found;
        }
        if self.map.len() >= self.sweep_at {
            self.map.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (self.map.len() * 2).max(64);
        }
        let made = Arc::new(make());
        self.map.insert(key, Arc::downgrade(&made));
        made
    }

    fn take(&mut self, key: &K) -> Option<Arc<V>> {
        self.map.remove(key)?.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing;

    #[test]
    fn the_end_of_a_session_reaches_its_cell_and_no_other() {
        let registry = Registry::default();
        let (one, mut other) = (testing::claims("alice"), testing::claims("alice"));
        other.sid = Some(SessionId::fresh(one.tag()));
        let (first, second) = (registry.cell(&one), registry.cell(&other));
        registry.end_session(&one.sid.expect("own"));
        assert!(!first.is_live() && second.is_live());
        assert!(registry.cell(&one).is_live(), "a later lookup asks the store anew");
    }

    #[test]
    fn the_end_of_a_subject_reaches_all_its_cells_own_and_foreign() {
        let registry = Registry::default();
        let (own, mut foreign) = (testing::claims("alice"), testing::claims("alice"));
        foreign.own = false;
        foreign.sid = None;
        let cells = [registry.cell(&own), registry.cell(&foreign), registry.cell(&testing::claims("bob"))];
        registry.end_subject(own.tag());
        assert_eq!(cells.each_ref().map(|cell| cell.is_live()), [false, false, true]);
        assert!(registry.cell(&own).is_live() && registry.cell(&foreign).is_live());
    }

    #[test]
    fn lookups_of_one_session_share_its_cell() {
        let registry = Registry::default();
        let claims = testing::claims("alice");
        assert!(Arc::ptr_eq(&registry.cell(&claims), &registry.cell(&claims)));
    }

    #[test]
    fn the_registry_keeps_no_more_than_twice_what_lives() {
        let registry = Registry::default();
        for n in 0..20_000 {
            registry.cell(&testing::claims(&format!("user{n}")));
        }
        let kept: usize = registry.shards.iter().map(|shard| shard.lock().expect("no panic").sessions.map.len()).sum();
        assert!(kept <= SHARDS * 64, "{kept}");
    }

    // SEC-S6
    #[test]
    fn a_use_is_queued_once_until_it_is_taken() {
        let cell = Registry::default().cell(&testing::claims("alice"));
        assert!(cell.see(Millis(1000)));
        assert!(!cell.see(Millis(1500)) && !cell.see(Millis(2500)));
        assert_eq!(cell.take_note(), Millis(2500));
        assert!(cell.see(Millis(3000)));
    }
}
