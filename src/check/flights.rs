//! Single flight: concurrent misses of one token share one lookup. Only what the lookup found is shared, never a
//! decision (SEC-T18), and nothing is remembered after it. There are never more of them than can be answered in time: who asks
//! more than that hears so at once, so that an overload slows nobody else down. Called by `lookup`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::secret::Digest;

/// Lookups under way, by what they look up.
#[derive(Debug)]
pub struct Flights<T> {
    /// Held for one look-up in the map, never across an await.
    shards: Box<[Mutex<Shard<T>>]>,
    under_way: AtomicUsize,
}

type Shard<T> = HashMap<Digest, Arc<OnceCell<T>>>;

const SHARDS: usize = 32;
/// Lookups at once. Each is some 50 µs of work, so a core is through with all of them within the 100 ms that the store has;
/// were there more, all of them would be given up in the end, and the work be for nothing.
const MOST: usize = 1024;

impl<T: Clone> Flights<T> {
    /// The result of the lookup under way, or of `lookup`; `None` where too many are under way. If whoever runs it is
    /// cancelled, another waiter runs its own.
    pub async fn join(&self, key: Digest, lookup: impl Future<Output = T>) -> Option<T> {
        let flight = self.board(key)?;
        Some(flight.cell().get_or_init(|| lookup).await.clone())
    }

    fn board(&self, key: Digest) -> Option<Seat<'_, T>> {
        let shard = &self.shards[usize::from(key.as_bytes()[0]) % SHARDS];
        let mut listed = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match listed.entry(key) {
            Entry::Occupied(flight) => flight.get().clone(),
            Entry::Vacant(_) if self.under_way.load(Ordering::Relaxed) >= MOST => return None,
            Entry::Vacant(place) => {
                self.under_way.fetch_add(1, Ordering::Relaxed);
                place.insert(Arc::default()).clone()
            }
        };
        Some(Seat { shard, under_way: &self.under_way, key, cell: Some(cell) })
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(), under_way: AtomicUsize::new(0) }
    }
}

/// One waiter's place. The flight is taken off the map when it has landed, or when its last waiter has gone.
struct Seat<'f, T> {
    shard: &'f Mutex<Shard<T>>,
    under_way: &'f AtomicUsize,
    key: Digest,
    /// Taken out only when the seat is given up.
    cell: Option<Arc<OnceCell<T>>>,
}

impl<T> Seat<'_, T> {
    fn cell(&self) -> &OnceCell<T> {
        self.cell.as_ref().expect("a seat has its cell until it is dropped")
    }
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut shard = self.shard.lock().unwrap_or_else(PoisonError::into_inner);
        // Seats take and give up their share of the cell only under this lock, so the count can be trusted.
        let Some(cell) = self.cell.take() else { return };
        let over = cell.initialized() || Arc::strong_count(&cell) == 2; // the map and this seat
        if over && shard.get(&self.key).is_some_and(|listed| Arc::ptr_eq(listed, &cell)) {
            shard.remove(&self.key);
            self.under_way.fetch_sub(1, Ordering::Relaxed);
        }
        drop(cell);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    fn under_way<T>(flights: &Flights<T>) -> usize {
        flights.shards.iter().map(|shard| shard.lock().expect("no panic").len()).sum()
    }

    #[tokio::test]
    async fn waiters_share_one_lookup_and_nothing_stays() {
        let (flights, runs, go) =
            (Arc::new(Flights::default()), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let key = Digest::of(b"token");
        let waiters: Vec<_> = (0..20)
            .map(|_| {
                let (flights, runs, go) = (flights.clone(), runs.clone(), go.clone());
                tokio::spawn(async move {
                    let lookup = async {
                        go.notified().await;
                        runs.fetch_add(1, Ordering::SeqCst)
                    };
                    flights.join(key, lookup).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        go.notify_one();
        for waiter in waiters {
            assert_eq!(waiter.await.expect("no panic"), Some(0));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(under_way(&flights), 0);
    }

    #[tokio::test]
    async fn a_cancelled_leader_leaves_its_place_to_a_waiter() {
        let flights = Arc::new(Flights::default());
        let key = Digest::of(b"token");
        let leader = tokio::spawn({
            let flights = flights.clone();
            async move { flights.join(key, std::future::pending()).await }
        });
        tokio::task::yield_now().await;
        let waiter = tokio::spawn({
            let flights = flights.clone();
            async move { flights.join(key, async { 7 }).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        leader.abort();
        assert_eq!(waiter.await.expect("no panic"), Some(7));
        assert_eq!(under_way(&flights), 0);
    }

    #[tokio::test]
    async fn who_asks_more_than_can_be_answered_hears_so_at_once() {
        let flights: Flights<u8> = Flights::default();
        let seats: Vec<_> = (0..MOST).map(|n| flights.board(Digest::of(&n.to_be_bytes())).expect("a seat")).collect();
        assert_eq!(flights.join(Digest::of(b"one more"), async { 1 }).await, None);
        assert!(flights.board(Digest::of(&0_usize.to_be_bytes())).is_some(), "to share one takes no more work");
        drop(seats);
        assert_eq!(flights.join(Digest::of(b"one more"), async { 1 }).await, Some(1));
        assert_eq!((under_way(&flights), flights.under_way.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn a_flight_that_everybody_left_is_forgotten() {
        let flights: Flights<u8> = Flights::default();
        let waiting = flights.join(Digest::of(b"token"), std::future::pending());
        tokio::select! {
            biased;
            _ = waiting => unreachable!("it never ends"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(under_way(&flights), 0);
    }
}
