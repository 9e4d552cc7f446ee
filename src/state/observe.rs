//! How long each call of a store took, and whether it answered: what both stores tell `metrics`.

use std::sync::Arc;
use std::time::Instant;

use prometheus::Histogram;

use super::StateError;
use crate::metrics::Metrics;

/// The operations of a store, as the label `op` of `state_op_duration_seconds` names them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Standing,
    ReadLog,
    Touch,
    Health,
    Open,
    Rotate,
    End,
    EndSubject,
    EndEveryone,
    Outdate,
    DenyToken,
    Announce,
    List,
    Spend,
}

const LABELS: [&str; 14] = [
    "standing",
    "read_log",
    "touch",
    "health",
    "open",
    "rotate",
    "end",
    "end_subject",
    "end_everyone",
    "outdate",
    "deny_token",
    "announce",
    "list",
    "spend",
];

/// The histograms, resolved once.
#[derive(Debug)]
pub(super) struct Observer {
    metrics: Arc<Metrics>,
    durations: [Histogram; LABELS.len()],
}

impl Observer {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let durations = LABELS.map(|op| metrics.state_op(op));
        Self { metrics, durations }
    }

    /// Awaits a call of the store and notes its time and whether the store answered.
    pub(super) async fn watch<T>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        let start = Instant::now();
        let answer = call.await;
        self.durations[op as usize].observe(start.elapsed().as_secs_f64());
        match &answer {
            // Too few replicas is an answer too: the store is up.
            Ok(_) | Err(StateError::NotReplicated { .. }) => self.metrics.state_up.set(1),
            Err(_) => self.metrics.state_up.set(0),
        }
        answer
    }
}
