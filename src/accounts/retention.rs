//! Forgetting: ended sessions and old audit events are removed when their time is over, by one node at a time. The same task
//! remembers whom "everyone out" has ended, since nobody enumerates them then.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::Millis;
use crate::secret::{base64url, random_bytes};
use crate::state::{Cause, Sessions};
use crate::units::Span;
use crate::users::UserError;
use crate::users::audit_tail::AuditTail;
use crate::users::history::{History, Retention};
use crate::users::lease::Leases;

/// How long ended sessions of accounts are remembered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Those that died of age, from their absolute end.
    pub expired: Span,
    /// Those that were ended, from then; and the audit events that administrators can read.
    pub revoked: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self { expired: Span::days(30), revoked: Span::days(90) }
    }
}

/// How often it is looked for something to forget, and how long the node that does so alone may.
const INTERVAL: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_secs(3600 + 600);
const TASK: &str = "retention";

/// The task.
pub struct Retaining {
    history: Arc<dyn History>,
    tail: Arc<dyn AuditTail>,
    leases: Arc<dyn Leases>,
    sessions: Option<Arc<dyn Sessions>>,
    settings: Settings,
    /// Names this process among the nodes.
    holder: String,
}

impl Retaining {
    pub fn new(
        history: Arc<dyn History>,
        tail: Arc<dyn AuditTail>,
        leases: Arc<dyn Leases>,
        settings: Settings,
    ) -> Self {
        Self { history, tail, leases, sessions: None, settings, holder: base64url(&random_bytes::<9>()) }
    }

    /// Remembers also whose sessions the mark of this store has ended.
    #[must_use]
    pub fn heeding(self, sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions: Some(sessions), ..self }
    }

    /// At once, and then each hour, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            if let Err(error) = self.tidy().await {
                tracing::warn!(%error, "old sessions and events are still remembered");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// Forgets all whose time is over, unless another node is at it.
    pub async fn tidy(&self) -> Result<(), UserError> {
        if !self.leases.take(TASK, &self.holder, LEASE).await? {
            return Ok(());
        }
        if let Some(sessions) = &self.sessions {
            match sessions.mark().await {
                Ok(mark) => self.history.all_ended_before(Millis(mark.0), Cause::Admin).await?,
                Err(error) => tracing::warn!(%error, "whether everyone's sessions were ended is not known"),
            }
        }
        let Settings { expired, revoked } = self.settings;
        let retention = Retention { expired: expired.0, revoked: revoked.0 };
        while self.history.forget(retention).await? > 0 {}
        while self.tail.forget_lines(revoked.0).await? > 0 {}
        Ok(())
    }
}

impl std::fmt::Debug for Retaining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retaining").field("settings", &self.settings).finish_non_exhaustive()
    }
}
