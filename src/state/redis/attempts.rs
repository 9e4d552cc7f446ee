//! Names of calls that end something. The store remembers under its name what a call has done, so that the call sent again
//! after its answer was lost gets the same answer, and the end is told once (SEC-R4, G3).
//!
//! A call whose every answer was lost is answered UNAVAIL, and its client asks again: that is another call, which takes the
//! lost one's name here. It is kept in this process only; asked of another node, the end is found to be there already.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::StateError;
use crate::secret::{base64url, random_bytes};
use crate::token::{Generation, SessionId};

/// How long the store remembers what a call has done.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

/// Calls at once whose outcome is not known. Beyond that, ends are found to be there already.
const AT_MOST: usize = 1000;

/// What a call may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    Session(SessionId),
    /// By a replay of this generation.
    Replay(SessionId, Generation),
}

/// The calls whose outcome this process does not know.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<Ending, (String, Instant)>>);

/// A name that no other call has.
pub(super) fn fresh() -> String {
    base64url(&random_bytes::<9>())
}

impl Attempts {
    /// The name for this call: that of the one before, where its outcome is not known. One call alone gets it.
    pub(super) fn name(&self, what: Ending) -> String {
        let lost = self.open().remove(&what);
        lost.filter(|(_, at)| at.elapsed() < REMEMBERED).map_or_else(fresh, |(name, _)| name)
    }

    /// Keeps the name of a call that was not answered.
    pub(super) fn note<T>(&self, what: Ending, name: String, answer: &Result<T, StateError>) {
        if answer.is_ok() {
            return;
        }
        let mut open = self.open();
        if open.len() >= AT_MOST {
            open.retain(|_, (_, at)| at.elapsed() < REMEMBERED);
        }
        if open.len() < AT_MOST {
            open.insert(what, (name, Instant::now()));
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Ending, (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::SubjectTag;

    fn ending() -> Ending {
        Ending::Session(SessionId::fresh(SubjectTag::of("doorward", "alice")))
    }

    #[test]
    fn a_name_is_taken_over_once_and_only_from_a_call_without_an_answer() {
        let (attempts, what) = (Attempts::default(), ending());
        let lost: Result<(), StateError> = Err(StateError::TimedOut(REMEMBERED));
        attempts.note(what, "answered".into(), &Ok(()));
        assert_ne!(attempts.name(what), "answered");
        attempts.note(what, "lost".into(), &lost);
        assert_eq!(attempts.name(what), "lost");
        assert_ne!(attempts.name(what), "lost");
    }

    #[test]
    fn no_more_names_are_kept_than_the_limit() {
        let attempts = Attempts::default();
        for _ in 0..2 * AT_MOST {
            attempts.note(ending(), fresh(), &Err::<(), _>(StateError::TimedOut(REMEMBERED)));
        }
        assert_eq!(attempts.open().len(), AT_MOST);
    }
}
