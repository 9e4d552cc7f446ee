//! Who of several nodes does a task now: a lease, a row with an end. `accounts` asks before it cleans up.

use std::time::Duration;

use async_trait::async_trait;

use super::UserError;

#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes or prolongs the lease on `task` for `span`, by the database's clock; `false` where another `holder` has it. A
    /// holder that dies loses it when its time is over.
    async fn take(&self, task: &str, holder: &str, span: Duration) -> Result<bool, UserError>;
}
