//! Turns within this process: the steps of one subject wait here, before they take a connection. Otherwise one subject's flood
//! of calls would hold the whole pool, each waiting for the same row.

use tokio::sync::{Mutex, MutexGuard};

use super::step::Lock;

/// Subjects that share a turn wait for each other now and then; the database has the say in any case.
const TURNS: usize = 64;

#[derive(Debug)]
pub(super) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    pub(super) async fn take(&self, lock: Lock) -> Option<MutexGuard<'_, ()>> {
        let (Lock::Subject(tag) | Lock::NewSubject(tag)) = lock else { return None };
        Some(self.0[usize::from(tag.as_bytes()[0]) % TURNS].lock().await)
    }
}
