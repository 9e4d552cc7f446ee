//! What each node holds, over time, and whether it grows.

use std::time::{Duration, Instant};

use crate::harness::doorward::Doorward;
use crate::harness::history::Tally;

/// In a soak of minutes, the first part is for caches and pools to fill.
const SETTLED: f64 = 0.3;

/// Growth that is noise: of an allocator's pages, and of connections that come and go.
const MEMORY_SLACK: u64 = 8 << 20;
const DESCRIPTOR_SLACK: usize = 40;
const THREAD_SLACK: usize = 8;

#[derive(Clone, Copy)]
struct Held {
    memory: u64,
    descriptors: usize,
    threads: usize,
}

pub(crate) struct Samples<'a> {
    nodes: &'a [Doorward; 2],
    begun: Instant,
    every: Duration,
    taken: Vec<(Duration, [Held; 2])>,
}

impl<'a> Samples<'a> {
    pub(crate) fn of(nodes: &'a [Doorward; 2], span: Duration) -> Self {
        Self { nodes, begun: Instant::now(), every: span / 40, taken: Vec::new() }
    }

    pub(crate) fn take_when_due(&mut self, tally: &Tally) {
        let due = self.taken.last().map_or(Duration::ZERO, |(at, _)| *at + self.every);
        if self.begun.elapsed() >= due {
            self.take(tally);
        }
    }

    #[expect(clippy::print_stdout, reason = "what it shows is what it is for")]
    pub(crate) fn take(&mut self, tally: &Tally) {
        let at = self.begun.elapsed();
        let held = self.nodes.each_ref().map(|node| Held {
            memory: node.process.memory(),
            descriptors: node.process.descriptors(),
            threads: node.process.threads(),
        });
        if self.taken.is_empty() {
            println!("   time  | MiB  files threads | MiB  files threads | answers");
        }
        let [one, other] = held.map(|held| {
            let mib = held.memory as f64 / f64::from(1 << 20);
            format!("{mib:5.1} {:5} {:6} ", held.descriptors, held.threads)
        });
        println!("{:7.0}s |{one}|{other}| {}", at.as_secs_f64(), tally);
        self.taken.push((at, held));
    }

    /// The end is held against what was there once all had settled.
    pub(crate) fn judge(&self) {
        let whole = self.taken.last().map_or(Duration::ZERO, |(at, _)| *at);
        let settled = self.taken.iter().filter(|(at, _)| at.as_secs_f64() >= SETTLED * whole.as_secs_f64());
        let later: Vec<_> = settled.map(|(_, held)| held).collect();
        let (before, after) = later.split_at(later.len() / 2);
        for node in 0..2 {
            let most = |part: &[&[Held; 2]], of: fn(&Held) -> u64| part.iter().map(|held| of(&held[node])).max();
            let grew = |of: fn(&Held) -> u64, slack: u64| {
                let (first, second) = (most(before, of).unwrap_or(u64::MAX), most(after, of).unwrap_or(0));
                assert!(
                    second <= first.saturating_add(slack + first / 10),
                    "node {node} grows: at most {first} in the first half, {second} in the second"
                );
            };
            grew(|held| held.memory, MEMORY_SLACK);
            grew(|held| held.descriptors as u64, DESCRIPTOR_SLACK as u64);
            grew(|held| held.threads as u64, THREAD_SLACK as u64);
        }
    }
}
