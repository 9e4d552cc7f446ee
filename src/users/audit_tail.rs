//! The last audit events, for administrators to read. The log is the record; this is a bounded copy of what concerns accounts.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::UserError;
use crate::clock::Millis;

/// One event as it is kept; texts are cut at 256 bytes, and what is not known is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// Rises with each event; where to go on from.
    pub number: u64,
    /// By the database's clock.
    pub at: Millis,
    pub event: NewLine,
}

/// An event about to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewLine {
    /// Its name in the log, such as `authn_login_fail`.
    pub kind: String,
    pub user: String,
    pub sid: String,
    pub client: Option<IpAddr>,
    pub request_id: String,
    pub outcome: String,
}

#[async_trait]
pub trait AuditTail: Send + Sync {
    async fn note(&self, lines: &[NewLine]) -> Result<(), UserError>;

    /// The newest first, of one user where one is given, before the number `before` where one is given.
    async fn tail(&self, user: Option<&str>, before: Option<u64>, limit: u32) -> Result<Vec<AuditLine>, UserError>;

    /// Forgets what is older than that; how many. Some at a time, so that no lock is held for long.
    async fn forget_lines(&self, older_than: Duration) -> Result<u64, UserError>;
}
