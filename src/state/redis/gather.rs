//! Look-ups of one moment go to Redis together: fred's work for a command is most of what a look-up costs, and so they
//! share what they can. Called by `lookups`.
//!
//! A question that comes alone is sent at once. Whoever asks between that and the moment it is written, which on a busy
//! checker is everyone whose request came in the same turn of the runtime, goes with it. Nobody waits for an answer to
//! others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fred::types::Value;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::super::StateError;
use super::codec::Reply;
use super::link::Link;

/// Questions sent together, at most; as many as a checker looks up at once.
const TOGETHER: usize = 128;

#[derive(Debug)]
pub(super) struct Gather {
    link: Arc<Link>,
    together: usize,
    budget: Duration,
    /// Where those are put who ask now. Closed when they are sent. Held only to put one there.
    next: Mutex<mpsc::Sender<Ask>>,
}

/// One question: what is to be read, and who waits for it.
struct Ask {
    /// Whose time to live is asked, if any.
    key: Option<String>,
    names: Vec<String>,
    answer: oneshot::Sender<Result<Reply, StateError>>,
}

impl Gather {
    /// Each question is answered within `budget` of being sent, or has failed.
    pub(super) fn new(link: Arc<Link>, budget: Duration) -> Self {
        // On a cluster each subject's keys may lie elsewhere, so there each question goes by itself.
        let together = if link.is_clustered() { 1 } else { TOGETHER };
        Self { link, together, budget, next: Mutex::new(mpsc::channel(1).0) }
    }

    /// What is left of the key's life, as `PTTL` tells it, where one is named; then the mark, and then plain values.
    pub(super) async fn ask(&self, key: Option<String>, names: Vec<String>) -> Result<Reply, StateError> {
        let (answer, answered) = oneshot::channel();
        self.put(Ask { key, names, answer });
        // It is dropped where the runtime that was to send it ends.
        answered.await.unwrap_or_else(|_| Err(StateError::Unreachable("the process is ending".into())))
    }

    fn put(&self, ask: Ask) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // Those before are sent, or are enough: this one begins anew.
        let Err(TrySendError::Closed(ask) | TrySendError::Full(ask)) = next.try_send(ask) else { return };
        let (sender, asks) = mpsc::channel(self.together);
        let _ = sender.try_send(ask);
        *next = sender;
        drop(next);
        // A task of its own, so that a caller who gives up takes nobody's answer away.
        tokio::spawn(send(Arc::clone(&self.link), asks, self.budget));
    }
}

/// Sends all who have asked by now. The budget counts from here: were it spent by a process that is late itself, a good
/// connection would be given up for a deaf one. Who can't wait that long sets a limit of his own.
async fn send(link: Arc<Link>, mut asks: mpsc::Receiver<Ask>, budget: Duration) {
    asks.close();
    let (mut keys, mut names, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(ask) = asks.recv().await {
        if ask.answer.is_closed() {
            continue; // gave up already
        }
        waiting.push((ask.key.is_some(), ask.names.len(), ask.answer));
        keys.extend(ask.key);
        names.extend(ask.names);
    }
    if waiting.is_empty() {
        return;
    }
    let read = link.run(budget, |wire| async move { wire.lives_mark_and_values(keys, names).await }).await;
    let mut read = read.and_then(|(lives, values)| {
        let (lives, mut values) = (Reply::new(lives)?, Reply::new(values)?);
        Ok((lives, values.next()?, values))
    });
    for (has_key, count, answer) in waiting {
        let share = match &mut read {
            Ok((lives, mark, values)) => share(has_key.then_some(lives), mark, values, count),
            Err(error) => Err(error.clone()),
        };
        let _ = answer.send(share); // who gave up meanwhile needs none
    }
}

/// What is one question's: the mark is everybody's, and the rest stands in the order of the questions.
fn share(lives: Option<&mut Reply>, mark: &Value, values: &mut Reply, count: usize) -> Result<Reply, StateError> {
    let mut items = Vec::with_capacity(2 + count);
    if let Some(lives) = lives {
        items.push(lives.next()?);
    }
    items.push(mark.clone());
    for _ in 0..count {
        items.push(values.next()?);
    }
    Reply::new(Value::Array(items))
}
