//! The watch over the connections of one listener: it looks at all their pulses together, several times within the shortest
//! limit, and orders the slow, silent and idle ones to end (SEC-D2). `serve` owns it.
//!
//! A timer and two cancellation tokens in each connection would do the same, but they are polled whenever a request comes,
//! the tokens behind locks that all connections share.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::listen::limits::Limits;
use crate::listen::order::Order;
use crate::listen::pulse::{Pulse, Ticks};

#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    ticks: Arc<Ticks>,
    /// Those that have ended are dropped at the next round.
    watched: Vec<Weak<Pulse>>,
    rounds: Interval,
}

impl Watch {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut rounds = interval(limits.tick());
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { limits: limits.clone(), ticks: Arc::default(), watched: Vec::new(), rounds }
    }

    /// The pulse of a new connection.
    pub(super) fn pulse(&mut self) -> Arc<Pulse> {
        if self.watched.is_empty() {
            self.rounds.reset();
        }
        self.ticks.advance();
        let pulse = Arc::new(Pulse::new(Arc::clone(&self.ticks)));
        self.watched.push(Arc::downgrade(&pulse));
        pulse
    }

    /// Waits for the next round and makes it; without connections there is none.
    pub(super) async fn round(&mut self) {
        if self.watched.is_empty() {
            return std::future::pending().await;
        }
        self.rounds.tick().await;
        let now = self.ticks.advance();
        self.watched.retain(|pulse| {
            let Some(pulse) = pulse.upgrade() else { return false };
            pulse.orders.give(pulse.verdict(&self.limits, now));
            true
        });
        // After a crowd has gone.
        if self.watched.capacity() > 1024 && self.watched.len() < self.watched.capacity() / 4 {
            self.watched.shrink_to_fit();
        }
    }

    pub(super) fn order_all(&self, order: Order) {
        self.watched.iter().filter_map(Weak::upgrade).for_each(|pulse| pulse.orders.give(order));
    }
}

impl Limits {
    /// Between two rounds of the watch, and how late a connection may be ended.
    pub(super) fn tick(&self) -> Duration {
        let shortest = [self.first_byte, self.head, self.idle, self.write, self.linger].into_iter().min();
        (shortest.unwrap_or_default() / 8).max(Duration::from_millis(5))
    }
}
