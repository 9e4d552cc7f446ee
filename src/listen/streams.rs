//! The streams of one HTTP/2 connection, run by the connection's own task, some at a time.
//!
//! On tokio's executor each stream is a task, and the connection's is woken behind all that came in one read: their answers left
//! in one write after the last of them, and a proxy's thread had nothing to do until then. Here the answers of
//! [`AT_ONCE`] streams are written while the next are being worked on, and a stream costs no task.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hyper::rt::Executor;

/// A write costs about as much as two checks; a proxy has that many answers to go on with.
const AT_ONCE: usize = 8;

/// Then other connections have their turn: about a millisecond of warm checks.
const A_TURN: usize = 128;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Held by the connection's task. What is left in it ends with the connection.
pub(super) struct Streams {
    given: Arc<Given>,
    /// Polled with a waker of their own, and not done.
    begun: FuturesUnordered<Stream>,
    /// Empty between two calls.
    taken: Vec<Stream>,
}

/// hyper gives the streams to this, from within the connection's task. Each stream holds a clone, so none may hold the streams.
#[derive(Clone, Debug)]
pub(super) struct Giver(Weak<Given>);

#[derive(Default)]
struct Given {
    /// Not held while a stream is polled or dropped: it may have one for hyper in turn.
    waiting: Mutex<Waiting>,
    /// How many may still be polled in this turn.
    left: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    /// Not yet polled.
    fresh: Vec<Stream>,
    /// Polled once, without a waker.
    touched: Vec<Stream>,
}

/// What came of a look at the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    Nowhere,
    /// There may be something to write.
    On,
    /// And others are to have their turn first.
    Enough,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Giver {
    fn execute(&self, stream: F) {
        let Some(given) = self.0.upgrade() else { return };
        // A fault of ours in one stream is none of the others: hyper resets what is dropped.
        let stream: Stream = Box::pin(AssertUnwindSafe(stream).catch_unwind().map(drop));
        let mut waiting = given.waiting();
        waiting.fresh.push(stream);
        let left = given.left.load(Relaxed);
        if waiting.fresh.len() < AT_ONCE || left < AT_ONCE {
            return;
        }
        // hyper writes what they answer before it takes the next stream.
        given.left.store(left - AT_ONCE, Relaxed);
        let fresh: Vec<_> = waiting.fresh.drain(..).collect();
        drop(waiting);
        let pending: Vec<_> = fresh.into_iter().filter_map(touch).collect();
        given.waiting().touched.extend(pending);
    }
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { given: Arc::default(), begun: FuturesUnordered::new(), taken: Vec::new() }
    }

    pub(super) fn giver(&self) -> Giver {
        Giver(Arc::downgrade(&self.given))
    }

    /// To be called whenever the connection's task is.
    pub(super) fn begin_turn(&self) {
        self.given.left.store(A_TURN, Relaxed);
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Went {
        let Self { given, begun, taken } = self;
        let mut left = given.left.load(Relaxed);
        let more = {
            let mut waiting = given.waiting();
            begun.extend(waiting.touched.drain(..));
            if waiting.fresh.len() <= left {
                mem::swap(taken, &mut waiting.fresh);
            } else {
                taken.extend(waiting.fresh.drain(..left));
            }
            !waiting.fresh.is_empty()
        };
        left -= taken.len();
        let mut went = if taken.is_empty() { Went::Nowhere } else { Went::On };
        begun.extend(taken.drain(..).filter_map(touch));
        while left > 0
            && !begun.is_empty()
            && let Poll::Ready(Some(())) = begun.poll_next_unpin(cx)
        {
            went = Went::On;
            left -= 1;
        }
        given.left.store(left, Relaxed);
        if more || left == 0 {
            cx.waker().wake_by_ref();
            return Went::Enough;
        }
        went
    }
}

impl Given {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most streams are done when they are first polled. Where one is not, the connection's task polls it again, with a waker,
/// before it returns.
fn touch(mut stream: Stream) -> Option<Stream> {
    stream.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending().then_some(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(streams: &mut Streams) -> Went {
        streams.poll(&mut Context::from_waker(Waker::noop()))
    }

    // SEC-D6
    #[test]
    fn a_turn_is_over_after_so_many_streams_and_the_rest_has_another() {
        let (mut streams, done) = (Streams::new(), Arc::new(AtomicUsize::new(0)));
        streams.begin_turn();
        for _ in 0..2 * A_TURN + 1 {
            let done = Arc::clone(&done);
            streams.giver().execute(async move { _ = done.fetch_add(1, Relaxed) });
        }
        let mut turns = Vec::new();
        for _ in 0..3 {
            let went = poll(&mut streams);
            turns.push((done.load(Relaxed), went));
            streams.begin_turn();
        }
        let [first, second] = [A_TURN, 2 * A_TURN].map(|done| (done, Went::Enough));
        assert_eq!(turns, [first, second, (2 * A_TURN + 1, Went::On)]);
        assert_eq!(poll(&mut streams), Went::Nowhere);
    }

    // hyper leaves in each stream what it was given to run it with.
    #[test]
    fn a_stream_that_can_give_others_ends_with_its_connection() {
        let held = Arc::new(());
        for polled in [false, true] {
            let mut streams = Streams::new();
            let (giver, held) = (streams.giver(), Arc::clone(&held));
            streams.giver().execute(async move {
                std::future::pending::<()>().await;
                drop((giver, held));
            });
            if polled {
                streams.begin_turn();
                assert_eq!([poll(&mut streams), poll(&mut streams)], [Went::On, Went::Nowhere]);
            }
        }
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
