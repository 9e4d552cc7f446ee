//! The history of a session: what its clients asked, when, of which node, and what they were told. Judged once the session is
//! over, against what is promised whatever breaks (SEC-U3): one successor a token, no word for a session after its end, and
//! no honest client logged out outside the documented cases.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is promised in the run that a history is of.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// From an end's acknowledgement until no other node may let its tokens pass.
    pub bound: Duration,
    /// `auth.refresh_grace`: asked again after it, a refresh whose answer was lost logs its client out.
    pub grace: Duration,
    /// Whether the store may forget acknowledged writes, so that live sessions may be refused.
    pub forgets: bool,
}

#[derive(Clone, Debug)]
pub enum Deed {
    Login,
    Check,
    /// With the newest refresh token.
    Refresh(String),
    /// With one that was spent long ago, as a thief would.
    Replay(String),
    Logout,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Passed,
    /// A pair with this refresh token.
    Given(String),
    /// For good: the credential does not count.
    Refused(String),
    /// 503, or a connection that was cut: nobody knows.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub node: usize,
    pub asked: Instant,
    pub answered: Instant,
    pub deed: Deed,
    pub outcome: Outcome,
}

impl Event {
    fn given(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Given(refresh) => Some(refresh),
            _ => None,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(_))
    }

    fn ends(&self) -> bool {
        matches!(self.deed, Deed::Logout | Deed::Replay(_))
    }

    /// Whether it told its client that the session has ended: a logout that was answered, a replay that was caught.
    fn has_ended(&self) -> bool {
        matches!((&self.deed, &self.outcome), (Deed::Logout, Outcome::Passed) | (Deed::Replay(_), Outcome::Refused(_)))
    }
}

/// One session's events, in no order.
#[derive(Debug, Default)]
pub struct History {
    pub events: Vec<Event>,
}

/// What came of judging.
#[derive(Debug, Default)]
pub struct Judgement {
    pub broken: Vec<String>,
    /// Refusals that the docs announce: a store that forgets, a retry after the grace window.
    pub excused: u64,
}

impl History {
    pub fn judge(&self, terms: Terms) -> Judgement {
        let mut judgement = Judgement::default();
        judgement.broken.extend(self.forks());
        judgement.broken.extend(self.after_the_end(terms));
        for event in &self.events {
            match (&event.deed, &event.outcome) {
                (Deed::Replay(_), Outcome::Given(_)) if terms.forgets => judgement.excused += 1,
                (Deed::Replay(_), Outcome::Given(_)) => judgement.broken.push(format!("a thief was let in: {event:?}")),
                (Deed::Logout | Deed::Login, Outcome::Refused(_)) => {
                    judgement.broken.push(format!("refused what can't be wrong: {event:?}"));
                }
                (Deed::Check | Deed::Refresh(_), Outcome::Refused(_)) if self.was_live(event) => {
                    if terms.forgets || self.asked_too_late(event, terms.grace) {
                        judgement.excused += 1;
                    } else {
                        judgement.broken.push(format!("an honest client was refused: {event:?}"));
                    }
                }
                _ => {}
            }
        }
        if !judgement.broken.is_empty() {
            judgement.broken.push(format!("in {self}"));
        }
        judgement
    }

    /// Never two live successors: whoever shows a token, and whenever, gets the same one.
    fn forks(&self) -> Vec<String> {
        let mut successors: BTreeMap<&str, &str> = BTreeMap::new();
        let mut forks = Vec::new();
        for event in &self.events {
            if let (Deed::Refresh(shown) | Deed::Replay(shown), Some(given)) = (&event.deed, event.given())
                && *successors.entry(shown).or_insert(given) != given
            {
                forks.push(format!("a second successor of one token: {event:?}"));
            }
        }
        forks
    }

    /// Never an allow after an acknowledged end and the bound; on the node that acknowledged it, at once. Never a refresh.
    fn after_the_end(&self, terms: Terms) -> Vec<String> {
        let mut wrong = Vec::new();
        for end in self.events.iter().filter(|event| event.has_ended()) {
            for event in &self.events {
                let bound = match (&event.deed, &event.outcome) {
                    (Deed::Check, Outcome::Passed) if event.node == end.node => Duration::ZERO,
                    (Deed::Check, Outcome::Passed) => terms.bound,
                    // A replay is refused though nobody could confirm the end that it brought: a store that forgets may have to
                    // be told of it again.
                    (Deed::Refresh(_) | Deed::Replay(_), Outcome::Given(_))
                        if terms.forgets && matches!(end.deed, Deed::Replay(_)) =>
                    {
                        terms.bound
                    }
                    (Deed::Refresh(_) | Deed::Replay(_), Outcome::Given(_)) => Duration::ZERO,
                    _ => continue,
                };
                if event.asked > end.answered + bound {
                    let late = event.asked - end.answered;
                    wrong.push(format!("{late:?} after {end:?} answered this: {event:?}"));
                }
            }
        }
        wrong
    }

    /// Whether nobody had begun to end the session when this was answered.
    fn was_live(&self, event: &Event) -> bool {
        !self.events.iter().any(|other| other.ends() && other.asked <= event.answered)
    }

    /// Whether a refresh was asked again after its window, before this or as this.
    fn asked_too_late(&self, event: &Event, grace: Duration) -> bool {
        let refreshes = |of: &str| {
            let of = of.to_owned();
            self.events.iter().filter(move |other| matches!(&other.deed, Deed::Refresh(shown) if *shown == of))
        };
        self.events.iter().any(|late| {
            let Deed::Refresh(shown) = &late.deed else { return false };
            let first = refreshes(shown).map(|other| other.asked).min();
            late.asked <= event.answered && first.is_some_and(|first| late.answered - first >= grace)
        })
    }
}

impl fmt::Display for History {
    /// In order, with times since its first event; tokens by their last letters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut events: Vec<&Event> = self.events.iter().collect();
        events.sort_by_key(|event| event.asked);
        let Some(begun) = events.first().map(|event| event.asked) else { return Ok(()) };
        writeln!(f)?;
        for Event { node, asked, answered, deed, outcome } in events {
            let (asked, answered) = (*asked - begun, *answered - begun);
            let line = format!("{deed:?} -> {outcome:?}");
            let short: String = line.split('"').map(tail).collect::<Vec<_>>().join("\"");
            writeln!(f, "  {asked:>12.3?} to {answered:>12.3?} node {node}: {short}")?;
        }
        Ok(())
    }
}

fn tail(word: &str) -> &str {
    if word.starts_with("dwr_") { &word[word.len().saturating_sub(6)..] } else { word }
}

/// What has come of many sessions so far.
#[derive(Debug, Default)]
pub struct Tally {
    right: AtomicU64,
    unknown: AtomicU64,
    excused: AtomicU64,
    sessions: AtomicU64,
    broken: Mutex<Vec<String>>,
}

impl Tally {
    pub fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Unknown => &self.unknown,
            _ => &self.right,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    pub fn close(&self, history: &History, terms: Terms) {
        let Judgement { broken, excused } = history.judge(terms);
        self.excused.fetch_add(excused, Ordering::Relaxed);
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).extend(broken);
    }

    /// Answers that settled something.
    pub fn answers(&self) -> u64 {
        self.right.load(Ordering::Relaxed)
    }

    pub fn excused(&self) -> u64 {
        self.excused.load(Ordering::Relaxed)
    }

    /// Fails the test where a promise was broken, or nothing was judged.
    pub fn judge(&self) {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let some: Vec<_> = broken.iter().take(6).map(String::as_str).collect();
        assert!(broken.is_empty(), "{self}\n{}", some.join("\n"));
        assert!(self.sessions.load(Ordering::Relaxed) > 0, "no session was lived to its end: {self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).len();
        let (sessions, right, unknown, excused) =
            (of(&self.sessions), of(&self.right), of(&self.unknown), of(&self.excused));
        write!(f, "{sessions} sessions, {right} answers, {unknown} unavailable, {excused} excused, {broken} wrong")
    }
}
