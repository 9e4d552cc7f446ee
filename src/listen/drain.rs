//! How all listeners of a process end together (SEC-N2): first *leave* (still accepting, each HTTP/1 answer asks the
//! client to move on), then *close* (no new connections, GOAWAY, requests in flight finish), at last *cut*.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The handle: cloned into every listener, told by `app`.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Phases>);

#[derive(Debug)]
struct Phases {
    finish: Duration,
    leaving: AtomicBool,
    closing: CancellationToken,
}

impl Drain {
    /// `finish`: how long requests in flight have once listeners close.
    pub fn new(finish: Duration) -> Self {
        let phases = Phases { finish, leaving: AtomicBool::new(false), closing: CancellationToken::new() };
        Self(Arc::new(phases))
    }

    /// From now on each HTTP/1 answer carries `Connection: close`, so that clients open their next connection elsewhere
    /// before ours are closed. Nobody is turned away yet.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
    }

    /// Accept no more, finish what is in flight.
    pub fn close(&self) {
        self.leave();
        self.0.closing.cancel();
    }

    /// [`leave`](Self::leave), and after the delay [`close`](Self::close).
    pub async fn begin(&self, delay: Duration) {
        self.leave();
        tokio::time::sleep(delay).await;
        self.close();
    }

    /// Returns once listeners close.
    pub async fn closing(&self) {
        self.0.closing.cancelled().await;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed)
    }

    pub(super) fn finish(&self) -> Duration {
        self.0.finish
    }
}
