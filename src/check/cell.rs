//! Cells: what the identities of one session share, so that its end reaches all of them in one step.
//!
//! A cell is got before the store is asked, so a revocation that arrives in between finds it and wins over the older
//! answer (SEC-S2). The registry is used only on misses and revocations; a hit looks at its own cell and nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::clock::Millis;
use crate::token::{Claims, SessionId, SubjectTag};

/// One session as this process knows it; for foreign tokens, which have none, only their subject counts.
#[derive(Debug)]
pub struct Cell {
    sid: Option<SessionId>,
    /// [`LIVE`], [`DOUBTED`] or [`OVER`].
    standing: AtomicU8,
    /// Until when the store said the session lives without activity: monotonic milliseconds.
    idle_until: AtomicU64,
    /// The absolute end: Unix milliseconds.
    ends: AtomicU64,
    /// Latest use: Unix milliseconds, moved at most once a second.
    last_seen: AtomicU64,
    /// Whether it waits to have its use written to the store.
    noted: AtomicBool,
}

const LIVE: u8 = 0;
/// Something of its subject was revoked: the store knows whether this too.
const DOUBTED: u8 = 1;
/// A session that ended never lives again.
const OVER: u8 = 2;

impl Default for Cell {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Cell {
    fn new(sid: Option<SessionId>) -> Self {
        Self {
            sid,
            standing: AtomicU8::new(LIVE),
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

/// Finds cells by their subject and session. It holds them weakly: they live as long as an identity or a lookup does.
#[derive(Debug)]
pub struct Registry {
    /// A lock is held for a few look-ups in maps.
    shards: Box<[Mutex<Shard>]>,
}

/// Sweeps out dead cells whenever its subjects have doubled, so it stays in proportion to the living.
#[derive(Debug, Default)]
struct Shard {
    subjects: HashMap<SubjectTag, Cells>,
    sweep_at: usize,
}

/// The cells of one subject: nearly always one.
#[derive(Debug)]
enum Cells {
    One(Weak<Cell>),
    More(Box<Many>),
}

#[derive(Debug, Default)]
struct Many {
    sessions: HashMap<SessionId, Weak<Cell>>,
    /// Of tokens without a session of ours.
    others: Vec<Weak<Cell>>,
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
        let found = sid.and_then(|sid| shard.subjects.get(&tag)?.of_session(&sid));
        found.unwrap_or_else(|| {
            let cell = Arc::new(Cell::new(sid));
            shard.add(tag, Arc::downgrade(&cell));
            cell
        })
    }

    pub fn end_session(&self, sid: &SessionId) {
        if let Some(cell) = self.shard(sid.tag()).subjects.get(&sid.tag()).and_then(|cells| cells.of_session(sid)) {
            cell.become_at_least(OVER);
        }
    }

    pub fn end_subject(&self, tag: SubjectTag) {
        let cells = self.shard(tag).subjects.remove(&tag);
        cells.iter().flat_map(Cells::living).for_each(|cell| cell.become_at_least(DOUBTED));
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

impl Shard {
    fn add(&mut self, tag: SubjectTag, cell: Weak<Cell>) {
        if let Some(cells) = self.subjects.get_mut(&tag) {
            return cells.add(cell);
        }
        if self.subjects.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.subjects.retain(|_, cells| cells.living().next().is_some());
            self.sweep_at = self.subjects.len() * 2;
        }
        self.subjects.insert(tag, Cells::One(cell));
    }
}

impl Cells {
    fn living(&self) -> impl Iterator<Item = Arc<Cell>> {
        let (one, many) = match self {
            Self::One(cell) => (Some(cell), None),
            Self::More(many) => (None, Some(many.sessions.values().chain(&many.others))),
        };
        one.into_iter().chain(many.into_iter().flatten()).filter_map(Weak::upgrade)
    }

    /// One that has ended is no longer its session's: a later lookup asks the store anew.
    fn of_session(&self, sid: &SessionId) -> Option<Arc<Cell>> {
        let cell = match self {
            Self::One(cell) => cell,
            Self::More(many) => many.sessions.get(sid)?,
        };
        cell.upgrade().filter(|cell| cell.sid == Some(*sid) && cell.is_live())
    }

    fn add(&mut self, cell: Weak<Cell>) {
        match self {
            Self::One(one) if one.strong_count() == 0 => *one = cell,
            Self::One(one) => {
                let mut many = Many::default();
                many.add(std::mem::take(one));
                many.add(cell);
                *self = Self::More(Box::new(many));
            }
            Self::More(many) => many.add(cell),
        }
    }
}

impl Many {
    /// Where room has to be made, the dead go first: a subject's tokens may come and go without end.
    fn add(&mut self, cell: Weak<Cell>) {
        let Some(sid) = cell.upgrade().map(|cell| cell.sid) else { return };
        let lives = |cell: &Weak<Cell>| cell.strong_count() > 0;
        if let Some(sid) = sid {
            if self.sessions.len() == self.sessions.capacity() {
                self.sessions.retain(|_, cell| lives(cell));
                self.sessions.reserve(self.sessions.len());
            }
            self.sessions.insert(sid, cell);
        } else {
            if self.others.len() == self.others.capacity() {
                self.others.retain(lives);
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
        let kept: usize = registry.shards.iter().map(|shard| shard.lock().expect("no panic").subjects.len()).sum();
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
        assert!(matches!(&shard.subjects[&claims.tag()], Cells::More(many) if many.others.capacity() <= 8));
        drop(shard);
        registry.end_subject(claims.tag());
        assert!(living.iter().all(|cell| !cell.is_live()));
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
