//! Leases: one row a task.

use std::time::Duration;

use async_trait::async_trait;

use super::super::UserError;
use super::super::lease::Leases;
use super::{SqlUsers, within};
use crate::database::query;

#[async_trait]
impl Leases for SqlUsers {
    async fn take(&self, task: &str, holder: &str, span: Duration) -> Result<bool, UserError> {
        let made = query("INSERT INTO lease (task, holder, until) VALUES (?, '', 0) {or_keep task}");
        within(made.bind(task).run(&self.database)).await?;
        // One statement, so one of several takers.
        let taken =
            query("UPDATE lease SET holder = ?, until = {now} + ? WHERE task = ? AND (holder = ? OR until <= {now})")
                .bind(holder)
                .bind(span.as_millis() as i64)
                .bind(task)
                .bind(holder);
        Ok(within(taken.run(&self.database)).await? == 1)
    }
}
