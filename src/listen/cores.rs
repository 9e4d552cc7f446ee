//! The cores: threads that each serve their share of a plane's connections, every connection on one of them for its life.
//! Made by `app`, asked by `serve` for each new connection.
//!
//! A runtime that moves work between threads pays for it at every wake, and what a thread has just read is in its own
//! core's memory. Connections are handed out by one accepting task to whoever has the fewest, which spreads them evenly,
//! on Unix sockets too; `SO_REUSEPORT` would leave that to a hash, and let a second doorward take the same port unseen.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where connections are served.
#[derive(Debug)]
pub struct Cores {
    cores: Box<[Core]>,
    /// Ends the threads.
    _stop: DropGuard,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) runtime: Handle,
    /// Whether it is the runtime that accepts.
    pub(super) here: bool,
    open: Arc<AtomicUsize>,
}

/// One connection's place on a core, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<AtomicUsize>);

impl Cores {
    /// The runtime that this is called on, and nothing besides.
    pub fn here() -> Self {
        Self { cores: [Core::new(Handle::current(), true)].into(), _stop: CancellationToken::new().drop_guard() }
    }

    /// The runtime that this is called on, as one of so many. The others are threads with a runtime each.
    ///
    /// # Errors
    /// When a thread can't be had.
    pub fn here_and_beside(cores: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let mut all = vec![Core::new(Handle::current(), true)];
        for number in 1..cores {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            all.push(Core::new(runtime.handle().clone(), false));
            let stopped = stop.clone();
            let thread = std::thread::Builder::new().name(format!("core-{number}"));
            thread.spawn(move || runtime.block_on(stopped.cancelled_owned()))?;
        }
        Ok(Self { cores: all.into(), _stop: stop.drop_guard() })
    }

    /// The core with the fewest connections, and a seat there.
    pub(super) fn seat(&self) -> (&Core, Seat) {
        let core = self.cores.iter().min_by_key(|core| core.open.load(Ordering::Relaxed)).expect("there is one");
        core.open.fetch_add(1, Ordering::Relaxed);
        (core, Seat(Arc::clone(&core.open)))
    }
}

impl Core {
    fn new(runtime: Handle, here: bool) -> Self {
        Self { runtime, here, open: Arc::default() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_evenly_and_fill_up_who_lost_some() {
        let cores = Cores::here_and_beside(3).expect("threads");
        let at = |core: &Core| cores.cores.iter().position(|other| std::ptr::eq(other, core)).expect("one of them");
        let mut seats: Vec<_> = (0..6).map(|_| cores.seat()).map(|(core, seat)| (at(core), seat)).collect();
        assert_eq!(seats.iter().map(|(core, _)| *core).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        seats.retain(|(core, _)| *core != 1);
        assert_eq!([cores.seat(), cores.seat()].map(|(core, _)| at(core)), [1, 1]);
    }

    #[tokio::test]
    async fn each_core_serves_on_a_thread_of_its_own() {
        let cores = Cores::here_and_beside(2).expect("threads");
        let thread = |core: &Core| core.runtime.spawn(async { std::thread::current().id() });
        let (own, other) = (thread(&cores.cores[0]), thread(&cores.cores[1]));
        assert_eq!(own.await.expect("no panic"), std::thread::current().id());
        assert_ne!(other.await.expect("no panic"), std::thread::current().id());
    }
}
