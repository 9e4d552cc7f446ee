//! A refresh token family as table R has it, small enough to be tried in every order of events: `family::judge`, what a
//! store keeps around it, and nothing else. `interleavings` explores it, `sequences` holds the real stores to it.

use std::time::Duration;

use doorward::clock::Millis;
use doorward::state::family::{Verdict, judge, judge_in_place};
use doorward::token::Generation;
use doorward::token::refresh::Manner;

/// What a store knows of one family. Moments are milliseconds of its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Family {
    pub(crate) live: bool,
    pub(crate) generation: u32,
    pub(crate) rotated_at: u64,
    /// The last calls that were given a successor, newest first.
    calls: [Option<u8>; 4],
    /// When it dies unused, and when in any case.
    pub(crate) expires: u64,
    pub(crate) ends: u64,
}

/// One call of a node, as often as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(crate) shown: u32,
    pub(crate) attempt: u8,
    /// When its caller stops waiting: later it has no effect.
    pub(crate) by: u64,
}

/// What the store answers to a token whose MAC and salt are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Rotated(u32),
    Repeated(u32),
    CaughtUp(u32),
    Kept,
    Reused,
    Lost,
    Unknown,
    /// Nobody waits for it any more.
    TooLate,
}

impl Answer {
    /// The generation of the refresh token that the client gets.
    pub(crate) fn successor(self) -> Option<u32> {
        match self {
            Self::Rotated(next) | Self::Repeated(next) | Self::CaughtUp(next) => Some(next),
            Self::Kept | Self::Reused | Self::Lost | Self::Unknown | Self::TooLate => None,
        }
    }
}

/// The times that rule a family, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) grace: u64,
    pub(crate) idle: u64,
    pub(crate) lifetime: u64,
}

impl Family {
    pub(crate) fn opened(now: u64, times: Times) -> Self {
        let ends = now + times.lifetime;
        let expires = ends.min(now + times.idle);
        Self { live: true, generation: 0, rotated_at: now, calls: [None; 4], expires, ends }
    }

    /// Whether it counts at this moment.
    pub(crate) fn stands(&self, now: u64) -> bool {
        self.live && now < self.expires
    }

    pub(crate) fn rotate(&mut self, call: Call, now: u64, times: Times) -> Answer {
        self.refresh(Manner::Rotating, call, now, times)
    }

    pub(crate) fn renew(&mut self, call: Call, now: u64, times: Times) -> Answer {
        self.refresh(Manner::InPlace, call, now, times)
    }

    fn refresh(&mut self, manner: Manner, call: Call, now: u64, times: Times) -> Answer {
        if now > call.by {
            return Answer::TooLate;
        }
        if !self.stands(now) {
            return Answer::Unknown;
        }
        // The node's own call once more, whose answer was lost (SEC-R4).
        if self.calls.contains(&Some(call.attempt)) {
            return match manner {
                Manner::Rotating => Answer::Rotated(call.shown + 1),
                Manner::InPlace => Answer::Kept,
            };
        }
        let judge = match manner {
            Manner::Rotating => judge,
            Manner::InPlace => judge_in_place,
        };
        let verdict = judge(
            Generation(self.generation),
            Millis(self.rotated_at),
            Generation(call.shown),
            Millis(now),
            Duration::from_millis(times.grace),
        );
        let answer = match verdict {
            Verdict::Rotate(next) => Answer::Rotated(next.0),
            Verdict::CatchUp(next) => Answer::CaughtUp(next.0),
            Verdict::Repeat(next) => Answer::Repeated(next.0),
            Verdict::Keep => Answer::Kept,
            Verdict::Lost => Answer::Lost,
            Verdict::Reuse => Answer::Reused,
        };
        if answer.successor().is_some() || answer == Answer::Kept {
            self.calls.rotate_right(1);
            self.calls[0] = Some(call.attempt);
        }
        match answer {
            Answer::Rotated(next) | Answer::CaughtUp(next) => {
                self.generation = next;
                self.rotated_at = now;
                self.expires = self.ends.min(now + times.idle);
            }
            Answer::Kept => self.expires = self.ends.min(now + times.idle),
            Answer::Reused => self.live = false,
            _ => {}
        }
        answer
    }

    /// Logout; whether it stood.
    pub(crate) fn end(&mut self, now: u64) -> bool {
        let stood = self.stands(now);
        self.live = false;
        stood
    }
}
