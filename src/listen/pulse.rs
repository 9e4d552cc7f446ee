//! The pulse of one connection: what it is doing and since when, in atomics the hot path writes without a lock. The
//! `watch` reads it now and then to find clients that are slow, silent or gone (SEC-D2).
//!
//! hyper's own header time-out also runs while a kept-alive connection is idle, and nothing bounds the time before the
//! first byte; so all of it is judged here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body::{Body, Frame, SizeHint};

use crate::listen::limits::Limits;
use crate::listen::order::{Order, Orders};

/// The HTTP/2 preface (RFC 9113 section 3.4), all of it: hyper waits for its end, and so a client may be slow in it.
pub(super) const H2_OPENING: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `opening` beyond the number of bytes that matched so far.
const HTTP_1: u8 = u8::MAX;
const HTTP_2: u8 = H2_OPENING.len() as u8;

/// What a client speaks, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What a byte counts while no HTTP/2 request is in flight: then no body is due, so it is of a frame, each of which costs us
/// more than its few bytes. There is room for the body of a request that was answered before it came.
const BODILESS: u64 = 4;

/// A moment of [`Ticks`]: milliseconds, never 0.
type Tick = u64;

/// A listener's clock, moved on at each round of the watch: reading it is one load, and every request is marked several times.
#[derive(Debug)]
pub(super) struct Ticks {
    start: Instant,
    now: AtomicU64,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { start: Instant::now(), now: AtomicU64::new(1) }
    }
}

impl Ticks {
    pub(super) fn advance(&self) -> Tick {
        let now = millis(self.start.elapsed()) + 1;
        self.now.store(now, Ordering::Relaxed);
        now
    }

    fn now(&self) -> Tick {
        self.now.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) orders: Orders,
    ticks: Arc<Ticks>,
    born: Tick,
    /// How much of the HTTP/2 preface was seen, or [`HTTP_1`].
    opening: AtomicU8,
    /// Requests begun whose answer is not fully handed over yet.
    in_flight: AtomicUsize,
    /// Bytes read since the last request began: bodies, or frames that ask for nothing.
    unasked: AtomicU64,
    first_byte: Since,
    /// HTTP/1: bytes of a request came, its head is not complete yet.
    head: Since,
    idle: Since,
    /// A write the client does not take.
    stalled: Since,
    closing: Since,
}

impl Pulse {
    pub(super) fn new(ticks: Arc<Ticks>) -> Self {
        Self {
            orders: Orders::default(),
            born: ticks.now(),
            ticks,
            opening: AtomicU8::new(0),
            in_flight: AtomicUsize::new(0),
            unasked: AtomicU64::new(0),
            first_byte: Since::default(),
            head: Since::default(),
            idle: Since::default(),
            stalled: Since::default(),
            closing: Since::default(),
        }
    }

    /// Bytes came. Gives how many since the last request began, where those of a body count once.
    pub(super) fn read(&self, bytes: &[u8]) -> u64 {
        if bytes.is_empty() {
            return 0;
        }
        let opening = self.opening.load(Ordering::Relaxed);
        if opening < HTTP_2 {
            let rest = &H2_OPENING[usize::from(opening)..];
            let n = rest.len().min(bytes.len());
            let seen = if rest[..n] == bytes[..n] { opening + n as u8 } else { HTTP_1 };
            self.opening.store(seen, Ordering::Relaxed);
            self.first_byte.mark(&self.ticks);
            if seen == HTTP_2 {
                self.head.clear();
            }
        }
        // On HTTP/2 bytes may be a ping or an acknowledgement; its slow heads end with the idle time.
        if self.opening.load(Ordering::Relaxed) != HTTP_2 && self.in_flight.load(Ordering::Relaxed) == 0 {
            self.head.mark(&self.ticks);
        }
        let body = self.opening.load(Ordering::Relaxed) != HTTP_2 || self.in_flight.load(Ordering::Relaxed) > 0;
        let weight = if body { 1 } else { BODILESS };
        let unasked = self.unasked.load(Ordering::Relaxed) + weight * bytes.len() as u64;
        self.unasked.store(unasked, Ordering::Relaxed);
        unasked
    }

    /// `None` while too little came to tell.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        match self.opening.load(Ordering::Relaxed) {
            HTTP_1 => Some(Protocol::Http1),
            HTTP_2 => Some(Protocol::Http2),
            _ => None,
        }
    }

    pub(super) fn wrote(&self, stalled: bool) {
        if stalled {
            self.stalled.mark(&self.ticks);
        } else {
            self.stalled.clear();
        }
    }

    /// A request's head is complete. Ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.head.clear();
        self.unasked.store(0, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Our side is closed, or the client was told that it will be.
    pub(super) fn close(&self) {
        self.closing.mark(&self.ticks);
    }

    /// What is to become of the connection. Ticks are coarse, so each limit has one tick of grace.
    pub(super) fn verdict(&self, limits: &Limits, now: Tick) -> Order {
        let past = |since: Tick, span: Duration| now.saturating_sub(since) >= millis(span + limits.tick());
        if self.stalled.at().is_some_and(|since| past(since, limits.write)) {
            return Order::Cut;
        }
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return Order::GoOn;
        }
        let (over, then) = if let Some(since) = self.closing.at() {
            // The last answer may have been handed over a moment ago.
            (past(self.idle.at().map_or(since, |idle| idle.max(since)), limits.linger), Order::Cut)
        } else if self.first_byte.at().is_none() {
            (past(self.born, limits.first_byte), Order::Cut)
        } else if let Some(since) = self.head.at() {
            (past(since, limits.head), Order::Cut)
        } else {
            (past(self.idle.at().unwrap_or(self.born), limits.idle), Order::Finish)
        };
        if over { then } else { Order::GoOn }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A tick; 0 is never.
#[derive(Debug, Default)]
struct Since(AtomicU64);

impl Since {
    /// Sets it to now, unless it is set.
    fn mark(&self, ticks: &Ticks) {
        if self.0.load(Ordering::Relaxed) == 0 {
            self.set(ticks);
        }
    }
    fn set(&self, ticks: &Ticks) {
        self.0.store(ticks.now(), Ordering::Relaxed);
    }
    fn clear(&self) {
        // Nearly always clear already, and a store would take the cache line from the other core.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }
    fn at(&self) -> Option<Tick> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }
}

/// One request in flight; the last one to end starts the idle time.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Pulse>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle.set(&self.0.ticks);
        }
    }
}

/// An answer's body that keeps its request in flight until it is sent. Without a body it is empty.
#[derive(Debug)]
pub(super) struct Tracked<B> {
    body: Option<B>,
    _in_flight: InFlight,
}

impl<B> Tracked<B> {
    pub(super) fn new(body: Option<B>, in_flight: InFlight) -> Self {
        Self { body, _in_flight: in_flight }
    }
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Arc<Pulse> {
        Arc::new(Pulse::new(Arc::default()))
    }

    fn verdict(pulse: &Pulse, after: u64) -> Order {
        pulse.verdict(&Limits::check(), pulse.born + after * 1000)
    }

    // SEC-D2
    #[test]
    fn a_connection_that_says_nothing_is_cut() {
        let pulse = pulse();
        assert_eq!(verdict(&pulse, 9), Order::GoOn);
        assert_eq!(verdict(&pulse, 11), Order::Cut);
    }

    // SEC-D2
    #[test]
    fn a_slow_head_is_cut_and_an_idle_connection_is_kept_longer_than_nginx_keeps_it() {
        let half = pulse();
        half.read(b"PRI * HTTP/2.0\r\n\r\nSM");
        assert_eq!(verdict(&half, 11), Order::Cut);
        let pulse = pulse();
        pulse.read(b"GET / HT");
        assert_eq!(verdict(&pulse, 11), Order::Cut);
        let request = pulse.begin();
        assert_eq!(verdict(&pulse, 3600), Order::GoOn, "in flight");
        drop(request);
        assert_eq!(verdict(&pulse, 89), Order::GoOn, "idle");
        assert_eq!(verdict(&pulse, 91), Order::Finish);
    }

    #[test]
    fn pings_of_an_idle_http_2_connection_are_no_slow_head() {
        let pulse = pulse();
        pulse.read(b"PR");
        pulse.read(b"I * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        pulse.begin();
        pulse.read(b"ping");
        assert_eq!(verdict(&pulse, 80), Order::GoOn);
        assert_eq!(verdict(&pulse, 91), Order::Finish);
    }

    #[test]
    fn a_client_that_does_not_take_its_answer_is_cut() {
        let pulse = pulse();
        pulse.read(b"GET");
        let _request = pulse.begin();
        pulse.wrote(true);
        assert_eq!(verdict(&pulse, 31), Order::Cut);
        pulse.wrote(false);
        assert_eq!(verdict(&pulse, 31), Order::GoOn);
    }
}
