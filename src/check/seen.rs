//! Which sessions were used lately: filled by hits, emptied by `activity`.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::check::cell::Cell;
use crate::clock::Millis;

/// Cells used since they were last written, each at most once. Sending takes no lock.
#[derive(Debug)]
pub struct Seen {
    sender: Sender<Arc<Cell>>,
    /// Locked by the writer alone.
    receiver: Mutex<Receiver<Arc<Cell>>>,
}

impl Default for Seen {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Seen {
    /// Notes a use of the cell's session.
    pub fn note(&self, cell: &Arc<Cell>, now: Millis) {
        if cell.see(now) {
            self.queue(cell.clone());
        }
    }

    pub(super) fn queue(&self, cell: Arc<Cell>) {
        // It can't fail while `self` holds the other end.
        let _ = self.sender.send(cell);
    }

    pub(super) fn drain(&self) -> Vec<Arc<Cell>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).try_iter().collect()
    }
}
