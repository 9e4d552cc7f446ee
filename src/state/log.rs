//! The revocation log in words: what its entries mean, how far a reader has got, and who hears of an end in the same process.
//! Each store keeps the log in its own way.

use std::sync::Arc;
use std::time::Duration;

use super::mark::Mark;
use crate::clock::{Millis, Timestamp};
use crate::token::{Claims, SessionId, SubjectTag};

/// One line of the revocation log. Every entry means the same to a checker: forget what you know of this, and ask anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Session(SessionId),
    /// Everything of one subject: its epoch rose, or one of its tokens was denied.
    Subject(SubjectTag),
    /// Everyone's sessions from before this mark have ended.
    Everyone(Mark),
    /// A signing key was removed: its tokens are refused from now on.
    Key(String),
    /// Everything there is.
    Everything,
}

/// Where a reader stands in the revocation log; opaque outside the store that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(pub Arc<str>);

/// One answer of the revocation log.
#[derive(Clone, Debug)]
pub struct LogBatch {
    /// All there were when the store answered; only where that is [`LogBatch::FULL`] or more may some be left for the
    /// next call.
    pub entries: Vec<Entry>,
    /// Where to go on from.
    pub position: Position,
    /// `None` where entries come in quick succession: they are told at once, and a later answer says whether any is missing.
    /// What the answers prove until then stays what it was.
    pub proof: Option<Proof>,
}

/// What the store says of its log beside the entries.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Entries may have been missed since the given position (trimmed log, failover, flush, restored backup, or no
    /// position was given): the reader empties its cache before its next hit (SEC-S3).
    pub gap: bool,
    /// When this store's state began: after a flush it is younger. Foreign tokens issued before it are refused (SEC-T20).
    pub store_began: Timestamp,
}

impl LogBatch {
    /// A batch shorter than this has reached the log's end, so its reader knows all that was revoked before it asked.
    pub const FULL: usize = 100;

    /// Whether the reader is known to have missed something.
    pub fn gap(&self) -> bool {
        self.proof.is_some_and(|proof| proof.gap)
    }
}

/// The check plane beside the issuer in one process, as the issuer knows it: it must know of an end before that is answered
/// (SEC-S1), and may know a new token before anybody shows it.
pub trait Hears: Send + Sync {
    fn hear(&self, entry: &Entry);

    /// To be called before the store is asked for a session that a token is about to be minted for: whatever ends the
    /// session from now on ends what becomes of this too (SEC-S2). `None` where nobody cares.
    fn expect(&self, _session: &SessionId) -> Option<Box<dyn Expects + '_>> {
        None
    }
}

/// Waits for the token of a session that the store is being asked for.
pub trait Expects: Send {
    /// The store has said that the session is live, for `idle_left` without activity and never past `ends`, and this token
    /// was signed for it.
    fn receive(self: Box<Self>, token: &str, claims: Claims, idle_left: Duration, ends: Millis);
}
