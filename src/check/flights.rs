//! Single flight: concurrent misses of one token share one lookup. Only what the lookup found is shared, never a
//! decision (SEC-T18), and nothing is remembered after it. Called by `lookup`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::secret::Digest;

/// Lookups under way, by what they look up.
#[derive(Debug)]
pub struct Flights<T> {
    /// Held for one look-up in the map, never across an await.
    shards: Box<[Mutex<Shard<T>>]>,
}

type Shard<T> = HashMap<Digest, Arc<OnceCell<T>>>;

const SHARDS: usize = 32;

impl<T: Clone> Flights<T> {
    /// The result of the lookup under way, or of `lookup`. If whoever runs it is cancelled, another waiter runs its own.
    pub async fn join(&self, key: Digest, lookup: impl Future<Output = T>) -> T {
        let flight = self.board(key);
        flight.cell().get_or_init(|| lookup).await.clone()
    }

    fn board(&self, key: Digest) -> Seat<'_, T> {
        let shard = &self.shards[usize::from(key.as_bytes()[0]) % SHARDS];
        let cell = shard.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        Seat { shard, key, cell: Some(cell) }
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }
}

/// One waiter's place. The flight is taken off the map when it has landed, or when its last waiter has gone.
struct Seat<'f, T> {
    shard: &'f Mutex<Shard<T>>,
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
        }
        drop(cell);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
            assert_eq!(waiter.await.expect("no panic"), 0);
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
        assert_eq!(waiter.await.expect("no panic"), 7);
        assert_eq!(under_way(&flights), 0);
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
