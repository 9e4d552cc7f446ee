//! What befalls the nodes, one after another with peace between.

use std::fmt;
use std::time::{Duration, Instant};

use crate::harness::doorward::{Doorward, program};
use crate::harness::redis::RedisServer;
use crate::harness::relay::{Relay, Who};

/// From the end of one to the next.
const PEACE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Freeze,
    /// One node's way to Redis goes silent.
    Silence,
    /// Or is reset.
    Cut,
    Reload,
    RotateKeys,
}

/// Keys are rotated once in a while: each stays until no token of it is left.
const ROUND: [Fault; 12] = [
    Fault::Reload,
    Fault::Freeze,
    Fault::Silence,
    Fault::Kill,
    Fault::RotateKeys,
    Fault::Cut,
    Fault::Freeze,
    Fault::Reload,
    Fault::Kill,
    Fault::Silence,
    Fault::Freeze,
    Fault::Cut,
];

#[derive(Default)]
pub(crate) struct Faults {
    done: usize,
    since: Option<Instant>,
    kills: usize,
    freezes: usize,
    cuts: usize,
    reloads: usize,
    rotations: usize,
}

impl Faults {
    /// The next one, where it is time for it. Returns when it is over.
    pub(crate) fn next(&mut self, redis: &mut RedisServer, relay: &Relay, nodes: &[Doorward; 2]) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() < PEACE {
            return;
        }
        let fault = ROUND[self.done % ROUND.len()];
        let node = &nodes[self.done % 2];
        match fault {
            Fault::Kill => {
                redis.kill();
                std::thread::sleep(Duration::from_secs(2));
                redis.restart();
                self.kills += 1;
            }
            // Sometimes longer than the nodes trust their cache.
            Fault::Freeze => {
                redis.freeze();
                std::thread::sleep(Duration::from_millis(if self.done.is_multiple_of(3) { 5000 } else { 1500 }));
                redis.thaw();
                self.freezes += 1;
            }
            Fault::Silence | Fault::Cut => {
                if fault == Fault::Cut {
                    relay.cut()
                } else {
                    relay.hold(Who::Everyone)
                }
                std::thread::sleep(Duration::from_secs(4));
                relay.mend();
                self.cuts += 1;
            }
            Fault::Reload => {
                node.process.signal("HUP");
                self.reloads += 1;
            }
            Fault::RotateKeys => {
                let config = node.folder().join("doorward.yaml");
                let done = program().args(["key", "rotate", "-c"]).arg(&config).output().expect("it runs");
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                self.rotations += 1;
            }
        }
        self.done += 1;
        self.since = Some(Instant::now());
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, freezes, cuts, reloads, rotations, .. } = self;
        write!(
            f,
            "Redis killed {kills}, frozen {freezes} and cut off {cuts} times, {reloads} reloads, {rotations} key rotations"
        )
    }
}
