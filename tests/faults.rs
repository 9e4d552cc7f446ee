//! The failure table (SEC-F), line by line, on the real binary and real servers: Redis killed, frozen, cut off, emptied, full,
//! failed over; and how a process ends, restarts and reloads (SEC-N). While most faults last, users go on over all nodes, and
//! the history of each session is judged (SEC-U3). What is promised stands in `docs/reliability.md`.
//!
//! F1 outage, F2 outage, F3 cut, F4 cut, F5 failover and cluster, F6 refusals and cluster, F7 loss, F8 refusals, F10 sqlite,
//! F11 clocks, F12 loss and sqlite, F13 outage, F14 failover, R4 replies, N1 outage and lifecycle, N2 lifecycle, N4 versions.

mod harness;

#[path = "faults/clocks.rs"]
mod clocks;
#[path = "faults/cluster.rs"]
mod cluster;
#[path = "faults/cut.rs"]
mod cut;
#[path = "faults/failover.rs"]
mod failover;
#[path = "faults/judging.rs"]
mod judging;
#[path = "faults/lifecycle.rs"]
mod lifecycle;
#[path = "faults/loss.rs"]
mod loss;
#[path = "faults/outage.rs"]
mod outage;
#[path = "faults/refusals.rs"]
mod refusals;
#[path = "faults/reload.rs"]
mod reload;
#[path = "faults/replies.rs"]
mod replies;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/sqlite.rs"]
mod sqlite;
#[path = "faults/versions.rs"]
mod versions;
