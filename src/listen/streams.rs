//! The streams of one HTTP/2 connection, run by the connection's own task, some at a time.
//!
//! On tokio's executor each stream is a task, and the connection's is woken behind all that came in one read: their answers left
//! in one write after the last of them, and a proxy's thread had nothing to do until then. Here the answers of
//! [`AT_ONCE`] streams are written while the next are being worked on, and a stream costs no task.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hyper::rt::Executor;

/// A write costs about as much as two checks; a proxy has that many answers to go on with.
const AT_ONCE: usize = 8;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// hyper gives its connection's streams to this, from within the connection's task, and that task polls it.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// Not yet polled.
    fresh: Vec<Stream>,
    /// Polled, and not done.
    begun: FuturesUnordered<Stream>,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.fresh.push(Box::pin(stream));
        // hyper writes what they answered before it takes the next stream.
        if waiting.fresh.len() == AT_ONCE {
            waiting.begin();
        }
    }
}

impl Streams {
    /// Whether any stream went on, so that there may be something to write.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut went_on = waiting.begin();
        while let Poll::Ready(Some(())) = waiting.begun.poll_next_unpin(cx) {
            went_on = true;
        }
        went_on
    }
}

impl Waiting {
    /// Most streams are done when they are first polled. The others are polled again with a waker of theirs before the
    /// connection's task returns.
    fn begin(&mut self) -> bool {
        let any = !self.fresh.is_empty();
        for mut stream in self.fresh.drain(..) {
            if stream.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                self.begun.push(stream);
            }
        }
        any
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}
