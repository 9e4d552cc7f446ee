//! Counts and times the checks, by door.

use std::time::Instant;

use crate::check::{Decision, Denial};
use crate::fault::Fault;
use crate::gate::Door;
use crate::metrics::Metrics;
use crate::metrics::by_thread::{Counters, Histograms};

pub(super) const DENIALS: [Denial; 6] = [
    Denial::NoToken,
    Denial::InvalidToken,
    Denial::Forbidden,
    Denial::InsufficientAuthentication,
    Denial::BadPath,
    Denial::Unavailable,
];

/// The doors in the order of their numbers.
const DOORS: [Door; 4] = [Door::Nginx, Door::Forward, Door::EnvoyHttp, Door::EnvoyGrpc];
/// The ways in which a check of one door ends: allowed, or one of the denials.
const ENDS: usize = 1 + DENIALS.len();

#[derive(Debug)]
pub(super) struct Tally {
    requests: Counters,
    duration: Histograms,
}

impl Tally {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let ends = |door| {
            let denied = DENIALS.iter().map(move |denial| [name(door), "deny", denial.code()]);
            std::iter::once([name(door), "allow", "ok"]).chain(denied)
        };
        let requests: Vec<_> = DOORS.into_iter().flat_map(ends).collect();
        let requests: Vec<&[&str]> = requests.iter().map(<[_; 3]>::as_slice).collect();
        let doors = DOORS.map(|door| [name(door)]);
        let doors = doors.each_ref().map(<[_; 1]>::as_slice);
        Self { requests: metrics.check_requests(&requests), duration: metrics.check_duration(&doors) }
    }

    pub(super) fn count(&self, door: Door, decision: &Decision, began: Instant) {
        let took = began.elapsed();
        let (end, reason) = match decision {
            Decision::Allow(_) => (0, "ok"),
            Decision::Deny(denial) => {
                let index = DENIALS.iter().position(|known| known == denial).expect("all denials are listed");
                (1 + index, denial.code())
            }
        };
        self.requests.inc(door as usize * ENDS + end);
        self.duration.observe(door as usize, took);
        tracing::debug!(gate = name(door), reason, micros = took.as_micros() as u64, "check");
    }
}

pub(super) fn name(door: Door) -> &'static str {
    match door {
        Door::Nginx => "nginx",
        Door::Forward => "forward",
        Door::EnvoyHttp => "envoy_http",
        Door::EnvoyGrpc => "envoy_grpc",
    }
}
