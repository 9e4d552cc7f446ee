//! Cells: what the identities of one session share, so that its end reaches all of them in one step.
//!
//! A cell is got before the store is asked, so a revocation that arrives in between finds it and wins over the older
//! answer (SEC-S2). The registry is used only on misses and revocations; a hit looks at its own cell and nothing else.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::clock::Millis;
use crate::token::{Claims, SessionId, SubjectTag};

/// One session as this process knows it; for foreign tokens, which have none, only their subject counts. There is one beside
/// each identity, so its parts are no wider than they need be: with the counts of its `Arc` it takes 64 bytes.
#[derive(Debug)]
pub struct Cell {
    of: Of,
    /// [`LIVE`], [`DOUBTED`] or [`OVER`].
    standing: AtomicU8,
    /// Whether it waits to have its use written to the store.
    noted: AtomicBool,
    /// The absolute end: Unix seconds, begun ones cut off, so in its last second the store is asked anew.
    ends: AtomicU32,
    /// Until when the store said the session lives without activity: monotonic milliseconds.
    idle_until: AtomicU64,
    /// Latest use: Unix milliseconds, moved at most once a second.
    last_seen: AtomicU64,
}

const LIVE: u8 = 0;
/// Something of its subject was revoked: the store knows whether this too.
const DOUBTED: u8 = 1;
/// A session that ended never lives again.
const OVER: u8 = 2;

const _: () = assert!(size_of::<Cell>() <= 48, "64 bytes are a size that the allocator has");

#[derive(Debug)]
enum Of {
    Session(SessionId),
    Subject(SubjectTag),
}

/// One that no registry knows.
impl Default for Cell {
    fn default() -> Self {
        Self::new(SubjectTag::from_bytes([0; SubjectTag::BYTES]), None)
    }
}

impl Cell {
    fn new(tag: SubjectTag, sid: Option<SessionId>) -> Self {
        Self {
            of: sid.map_or(Of::Subject(tag), Of::Session),
            standing: AtomicU8::new(LIVE),
            noted: AtomicBool::new(false),
            ends: AtomicU32::new(u32::MAX),
            idle_until: AtomicU64::new(u64::MAX),
            last_seen: AtomicU64::new(0),
        }
    }

    pub const fn sid(&self) -> Option<SessionId> {
        match self.of {
            Of::Session(sid) => Some(sid),
            Of::Subject(_) => None,
        }
    }

    fn tag(&self) -> SubjectTag {
        match self.of {
            Of::Session(sid) => sid.tag(),
            Of::Subject(tag) => tag,
        }
    }

    /// Whether no revocation has reached it.
    pub fn is_live(&self) -> bool {
        self.standing.load(Ordering::Acquire) == LIVE
    }

    /// Whether its session has ended, which no store has to be asked about again.
    pub fn is_over(&self) -> bool {
        self.standing.load(Ordering::Acquire) == OVER
    }

    fn become_at_least(&self, standing: u8) {
        self.standing.fetch_max(standing, Ordering::Release);
    }

    /// Whether the session's times are over, so that the store must be asked again (SEC-S6).
    pub fn is_due(&self, monotonic: Duration, now: Millis) -> bool {
        millis(monotonic) >= self.idle_until.load(Ordering::Relaxed)
            || now.seconds().0 >= u64::from(self.ends.load(Ordering::Relaxed))
    }

    /// Takes over the store's word on how long the session lives.
    pub fn lives_until(&self, idle_until: Option<Duration>, ends: Option<Millis>) {
        self.idle_until.store(idle_until.map_or(u64::MAX, millis), Ordering::Relaxed);
        let ends = ends.and_then(|at| u32::try_from(at.seconds().0).ok());
        self.ends.store(ends.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Moves the idle end on to `until` where it lies after `near`.
    pub fn extend_idle(&self, near: Duration, until: Duration) {
        if self.idle_until.load(Ordering::Relaxed) > millis(near) {
            self.idle_until.fetch_max(millis(until), Ordering::Relaxed);
        }
    }

    /// Notes a use; true where the caller is to queue the cell for writing.
    pub fn see(&self, now: Millis) -> bool {
        if matches!(self.of, Of::Subject(_)) || now.0 / 1000 == self.last_seen.load(Ordering::Relaxed) / 1000 {
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

/// Finds cells by their subject and session. One that no identity and no lookup holds any more may stay until it is swept out.
#[derive(Debug)]
pub struct Registry {
    /// A lock is held for a few look-ups in maps.
    shards: Box<[Mutex<Shard>]>,
}

/// Sweeps out what is over whenever its subjects have doubled, so it stays in proportion to the living.
#[derive(Debug, Default)]
struct Shard {
    /// Of subjects with one cell, as nearly all are. The cell says whose it is, so a place is a pointer and no more.
    lone: HashTable<Arc<Cell>>,
    /// Where a cell stands in `lone`: no subject can choose it.
    places: RandomState,
    /// The other subjects'.
    more: HashMap<SubjectTag, Many>,
    sweep_at: usize,
}

/// The cells of one subject.
#[derive(Debug, Default)]
struct Many {
    sessions: HashMap<SessionId, Arc<Cell>>,
    /// Of tokens without a session of ours.
    others: Vec<Arc<Cell>>,
}

const SHARDS: usize = 32;
const FIRST_SWEEP: usize = 64;

impl Registry {
    /// The cell that a lookup of these claims has to hold before it asks the store.
    pub fn cell(&self, claims: &Claims) -> Arc<Cell> {
        self.cell_of(claims.tag(), claims.sid.filter(|_| claims.own))
    }

    /// The cell of one of our own sessions, or of a token of a subject whose tokens have none.
    pub fn cell_of(&self, tag: SubjectTag, sid: Option<SessionId>) -> Arc<Cell> {
        let mut shard = self.shard(tag);
        // One that has ended is no longer its session's: a later lookup asks the store anew.
        let found = sid.and_then(|sid| shard.of_session(&sid)).filter(|cell| cell.is_live()).cloned();
        found.unwrap_or_else(|| {
            let cell = Arc::new(Cell::new(tag, sid));
            shard.add(Arc::clone(&cell));
            cell
        })
    }

    pub fn end_session(&self, sid: &SessionId) {
        if let Some(cell) = self.shard(sid.tag()).of_session(sid) {
            cell.become_at_least(OVER);
        }
    }

    pub fn end_subject(&self, tag: SubjectTag) {
        self.shard(tag).end_subject(&tag);
    }

    fn shard(&self, tag: SubjectTag) -> MutexGuard<'_, Shard> {
        // The tag is a hash, so any byte of it spreads evenly.
        let shard = &self.shards[usize::from(tag.as_bytes()[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self { shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }
}

/// Whether somebody may still ask it. Shares are given out under the shard's lock, so one that only the registry holds
/// stays its own.
fn counts(cell: &Arc<Cell>) -> bool {
    Arc::strong_count(cell) > 1 && cell.is_live()
}

impl Shard {
    fn of_session(&self, sid: &SessionId) -> Option<&Arc<Cell>> {
        let tag = sid.tag();
        match self.more.get(&tag) {
            Some(many) => many.sessions.get(sid),
            None => {
                let lone = self.lone.find(self.places.hash_one(tag), |cell| cell.tag() == tag);
                lone.filter(|cell| cell.sid() == Some(*sid))
            }
        }
    }

    fn add(&mut self, cell: Arc<Cell>) {
        let tag = cell.tag();
        if let Some(many) = self.more.get_mut(&tag) {
            return many.add(cell);
        }
        if self.subjects() >= self.sweep_at.max(FIRST_SWEEP) {
            self.lone.retain(|cell| counts(cell));
            self.more.retain(|_, many| many.sessions.values().chain(&many.others).any(counts));
            self.sweep_at = self.subjects() * 2;
        }
        let place = |cell: &Arc<Cell>| self.places.hash_one(cell.tag());
        match self.lone.entry(place(&cell), |other| other.tag() == tag, place) {
            Entry::Vacant(vacant) => drop(vacant.insert(cell)),
            Entry::Occupied(mut lone) if !counts(lone.get()) => *lone.get_mut() = cell,
            Entry::Occupied(lone) => {
                let many = self.more.entry(tag).or_default();
                many.add(lone.remove().0);
                many.add(cell);
            }
        }
    }

    fn end_subject(&mut self, tag: &SubjectTag) {
        if let Some(many) = self.more.remove(tag) {
            many.sessions.values().chain(&many.others).for_each(|cell| cell.become_at_least(DOUBTED));
        } else if let Ok(lone) = self.lone.find_entry(self.places.hash_one(tag), |cell| cell.tag() == *tag) {
            lone.remove().0.become_at_least(DOUBTED);
        }
    }

    fn subjects(&self) -> usize {
        self.lone.len() + self.more.len()
    }
}

impl Many {
    /// Where room has to be made, what is over goes first: a subject's tokens may come and go without end.
    fn add(&mut self, cell: Arc<Cell>) {
        if let Some(sid) = cell.sid() {
            if self.sessions.len() == self.sessions.capacity() {
                self.sessions.retain(|_, cell| counts(cell));
                self.sessions.reserve(self.sessions.len());
            }
            self.sessions.insert(sid, cell);
        } else {
            if self.others.len() == self.others.capacity() {
                self.others.retain(counts);
                self.others.reserve(self.others.len());
            }
            self.others.push(cell);
        }
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
        let kept: usize = registry.shards.iter().map(|shard| shard.lock().expect("no panic").subjects()).sum();
        assert!(kept <= SHARDS * FIRST_SWEEP, "{kept}");
    }

    #[test]
    fn a_subject_whose_tokens_come_and_go_takes_no_more_room_than_the_living() {
        let registry = Registry::default();
        let mut claims = testing::claims("alice");
        (claims.own, claims.sid) = (false, None);
        let living: Vec<_> = (0..3).map(|_| registry.cell(&claims)).collect();
        for _ in 0..10_000 {
            registry.cell(&claims);
        }
        let shard = registry.shard(claims.tag());
        assert!(shard.more[&claims.tag()].others.capacity() <= 8);
        drop(shard);
        registry.end_subject(claims.tag());
        assert!(living.iter().all(|cell| !cell.is_live()));
    }

    #[test]
    fn a_session_takes_the_place_of_one_of_its_subject_that_is_over() {
        let registry = Registry::default();
        let claims = testing::claims("alice");
        let next = || Claims { sid: Some(SessionId::fresh(claims.tag())), ..testing::claims("alice") };
        registry.cell(&claims);
        let ended = registry.cell(&next());
        registry.end_session(&ended.sid().expect("own"));
        let living = registry.cell(&next());
        assert!(registry.shard(claims.tag()).more.is_empty());
        registry.end_subject(claims.tag());
        assert!(!living.is_live());
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
