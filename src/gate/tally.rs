//! Counts and times the checks, by door. The counters are looked up once: a check only adds to them.

use std::time::Instant;

use prometheus::{Histogram, IntCounter};

use crate::check::{Decision, Denial};
use crate::fault::Fault;
use crate::gate::Door;
use crate::metrics::Metrics;

pub(super) const DENIALS: [Denial; 6] = [
    Denial::NoToken,
    Denial::InvalidToken,
    Denial::Forbidden,
    Denial::InsufficientAuthentication,
    Denial::BadPath,
    Denial::Unavailable,
];

#[derive(Debug)]
pub(super) struct Tally([OfDoor; 4]);

#[derive(Debug)]
struct OfDoor {
    allowed: IntCounter,
    denied: [IntCounter; DENIALS.len()],
    duration: Histogram,
}

impl Tally {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self([Door::Nginx, Door::Forward, Door::EnvoyHttp, Door::EnvoyGrpc].map(|door| {
            let name = name(door);
            OfDoor {
                allowed: metrics.check_requests.with_label_values(&[name, "allow", "ok"]),
                denied: DENIALS.map(|denial| metrics.check_requests.with_label_values(&[name, "deny", denial.code()])),
                duration: metrics.check_duration.with_label_values(&[name]),
            }
        }))
    }

    pub(super) fn count(&self, door: Door, decision: &Decision, began: Instant) {
        let (of_door, took) = (&self.0[door as usize], began.elapsed());
        of_door.duration.observe(took.as_secs_f64());
        let reason = match decision {
            Decision::Allow(_) => {
                of_door.allowed.inc();
                "ok"
            }
            Decision::Deny(denial) => {
                if let Some(at) = DENIALS.iter().position(|known| known == denial) {
                    of_door.denied[at].inc();
                }
                denial.code()
            }
        };
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
