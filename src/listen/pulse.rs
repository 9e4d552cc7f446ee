//! The pulse of one connection: what it is doing and since when, in atomics the hot path writes without a lock. The
//! supervisor in `connection` reads it now and then to find clients that are slow, silent or gone (SEC-D2).
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

/// Enough of the HTTP/2 preface (RFC 9113 section 3.4) to know that it is no HTTP/1 request line.
const H2_OPENING: &[u8] = b"PRI * ";
/// `opening` beyond the number of bytes that matched so far.
const HTTP_1: u8 = u8::MAX;
const HTTP_2: u8 = H2_OPENING.len() as u8;

/// What a byte counts while no HTTP/2 request is in flight: then no body is due, so it is of a frame, each of which costs us
/// more than its few bytes. There is room for the body of a request that was answered before it came.
const BODILESS: u64 = 4;

#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
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

/// What the supervisor is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again at this moment at the latest.
    Wait(Instant),
    /// Quiet for long enough: finish politely.
    Finish,
    /// Too slow, or does not let itself be finished.
    Cut,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            opening: AtomicU8::new(0),
            in_flight: AtomicUsize::new(0),
            unasked: AtomicU64::new(0),
            first_byte: Since::default(),
            head: Since::default(),
            idle: Since::default(),
            stalled: Since::default(),
            closing: Since::default(),
        })
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
            self.first_byte.mark(self.born);
            if seen == HTTP_2 {
                self.head.clear();
            }
        }
        // On HTTP/2 bytes may be a ping or an acknowledgement; its slow heads end with the idle time.
        if self.opening.load(Ordering::Relaxed) != HTTP_2 && self.in_flight.load(Ordering::Relaxed) == 0 {
            self.head.mark(self.born);
        }
        let body = self.opening.load(Ordering::Relaxed) != HTTP_2 || self.in_flight.load(Ordering::Relaxed) > 0;
        let weight = if body { 1 } else { BODILESS };
        let unasked = self.unasked.load(Ordering::Relaxed) + weight * bytes.len() as u64;
        self.unasked.store(unasked, Ordering::Relaxed);
        unasked
    }

    pub(super) fn wrote(&self, stalled: bool) {
        if stalled {
            self.stalled.mark(self.born);
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
        self.closing.mark(self.born);
    }

    pub(super) fn verdict(&self, limits: &Limits, now: Instant) -> Verdict {
        let past = |since: Instant, span: Duration| now.saturating_duration_since(since) >= span;
        if self.stalled.at(self.born).is_some_and(|since| past(since, limits.write)) {
            return Verdict::Cut;
        }
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return Verdict::Wait(now + limits.look_again());
        }
        let (deadline, then) = if let Some(since) = self.closing.at(self.born) {
            // The last answer may have been handed over a moment ago.
            (self.idle.at(self.born).map_or(since, |idle| idle.max(since)) + limits.linger, Verdict::Cut)
        } else if self.first_byte.at(self.born).is_none() {
            (self.born + limits.first_byte, Verdict::Cut)
        } else if let Some(since) = self.head.at(self.born) {
            (since + limits.head, Verdict::Cut)
        } else {
            (self.idle.at(self.born).unwrap_or(self.born) + limits.idle, Verdict::Finish)
        };
        if now >= deadline { then } else { Verdict::Wait(deadline.min(now + limits.look_again())) }
    }
}

/// Milliseconds after the connection's birth, plus one; 0 is never.
#[derive(Debug, Default)]
struct Since(AtomicU64);

impl Since {
    /// Sets it to now, unless it is set.
    fn mark(&self, born: Instant) {
        if self.0.load(Ordering::Relaxed) == 0 {
            self.set(born);
        }
    }
    fn set(&self, born: Instant) {
        self.0.store(born.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
    }
    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
    fn at(&self, born: Instant) -> Option<Instant> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(|ms| born + Duration::from_millis(ms))
    }
}

/// One request in flight; the last one to end starts the idle time.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Pulse>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle.set(self.0.born);
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

    fn verdict(pulse: &Pulse, after: u64) -> Verdict {
        pulse.verdict(&Limits::check(), pulse.born + Duration::from_secs(after))
    }

    // SEC-D2
    #[test]
    fn a_connection_that_says_nothing_is_cut() {
        let pulse = Pulse::new();
        assert!(matches!(verdict(&pulse, 9), Verdict::Wait(_)));
        assert_eq!(verdict(&pulse, 10), Verdict::Cut);
    }

    // SEC-D2
    #[test]
    fn a_slow_head_is_cut_and_an_idle_connection_is_kept_longer_than_nginx_keeps_it() {
        let pulse = Pulse::new();
        pulse.read(b"GET / HT");
        assert_eq!(verdict(&pulse, 11), Verdict::Cut);
        let request = pulse.begin();
        assert!(matches!(verdict(&pulse, 3600), Verdict::Wait(_)), "in flight");
        drop(request);
        assert!(matches!(verdict(&pulse, 89), Verdict::Wait(_)), "idle");
        assert_eq!(verdict(&pulse, 91), Verdict::Finish);
    }

    #[test]
    fn pings_of_an_idle_http_2_connection_are_no_slow_head() {
        let pulse = Pulse::new();
        pulse.read(b"PR");
        pulse.read(b"I * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        pulse.begin();
        pulse.read(b"ping");
        assert!(matches!(verdict(&pulse, 80), Verdict::Wait(_)));
        assert_eq!(verdict(&pulse, 91), Verdict::Finish);
    }

    #[test]
    fn a_client_that_does_not_take_its_answer_is_cut() {
        let pulse = Pulse::new();
        pulse.read(b"GET");
        let _request = pulse.begin();
        pulse.wrote(true);
        assert_eq!(verdict(&pulse, 31), Verdict::Cut);
        pulse.wrote(false);
        assert!(matches!(verdict(&pulse, 31), Verdict::Wait(_)));
    }
}
