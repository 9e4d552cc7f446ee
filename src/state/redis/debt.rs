//! What an end on a cluster still owes the revocation log. `steps` pays it at once; what could not be paid is tried again here.
//!
//! On a cluster the log lies in another slot, where no script of a subject's slot may write. So the script that ends something
//! leaves a debt beside it, and a second step writes the log and clears the debt; only then is the end answered. Where it
//! fails the caller hears so, nothing was promised, and the debt stays: it is paid by the repeated call, by any other step on
//! this subject, or by this process a little later. Checkers that cannot be told meanwhile cannot read the log either: its
//! slot is down, so they stop trusting their caches by themselves.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::{Entry, StateError};
use super::keys;
use super::link::Link;
use super::steps::{command, deadline, tell};
use crate::token::SubjectTag;

const AGAIN_EVERY: Duration = Duration::from_secs(1);
/// For about five minutes; a log that is away for longer comes back as a gap or is paid by the next step.
const TIMES: u32 = 300;
/// Subjects at once. Beyond that, debts wait for the next step on their subject.
const AT_MOST: usize = 1000;

/// The debts that this process tries to pay in the background.
#[derive(Clone, Debug, Default)]
pub(super) struct Debts(Arc<Mutex<HashSet<SubjectTag>>>);

impl Debts {
    /// Pays by the deadline; where that fails, goes on trying after the caller has been told so.
    pub(super) async fn pay(&self, link: &Arc<Link>, tag: SubjectTag, deadline: Instant) -> Result<(), StateError> {
        let paid = pay(link, tag, deadline).await;
        if paid.is_err() && self.take(tag) {
            let (debts, link) = (self.clone(), Arc::clone(link));
            tokio::spawn(async move {
                debts.keep_trying(&link, tag).await;
                debts.open().remove(&tag);
            });
        }
        paid
    }

    async fn keep_trying(&self, link: &Link, tag: SubjectTag) {
        for _ in 0..TIMES {
            tokio::time::sleep(AGAIN_EVERY).await;
            if pay(link, tag, deadline()).await.is_ok() {
                return;
            }
        }
        tracing::warn!(%tag, "the revocation log could not be told of an end; the next step on this subject tells it");
    }

    /// Whether to begin trying: not where it is being tried already, nor beyond the limit.
    fn take(&self, tag: SubjectTag) -> bool {
        let mut open = self.open();
        open.len() < AT_MOST && open.insert(tag)
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashSet<SubjectTag>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pay(link: &Link, tag: SubjectTag, deadline: Instant) -> Result<(), StateError> {
    tell(link, &Entry::Subject(tag), deadline).await?;
    command(link, "DEL", vec![keys::debt(tag)], deadline).await
}
