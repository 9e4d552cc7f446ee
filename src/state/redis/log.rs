//! The revocation log: a Redis Stream, read forward by every checker. Besides reading on, each answer proves that nothing
//! was missed, or says that it cannot (SEC-S3).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use fred::types::Value;
use tokio::sync::Mutex;

use super::super::record::entry_from;
use super::super::{Entry, LogBatch, Mark, Position, Proof, StateError};
use super::codec::Reply;
use super::keys::{BEGAN, LOG, LOG_LENGTH, MARK, slot};
use super::link::Link;
use crate::clock::Timestamp;
use crate::secret::{base64url, random_bytes};

/// How long an answer may be overdue. A silent connection proves nothing, so past this it is given up.
const SLACK: Duration = Duration::from_millis(500);

/// Thousands of entries take longer to tell than one.
const BACK: Duration = Duration::from_secs(2);

/// While entries come, so often is asked whether any is missing before them. To look costs the server more than to tell an
/// entry, and there may be hundreds of checkers.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The most entries of one answer.
const AT_ONCE: i64 = 1000;

/// The log's reader: on a connection of its own, since a waiting `XREAD` holds up whatever is sent after it.
#[derive(Debug)]
pub(super) struct Log {
    link: Link,
    /// When the log was last looked at. Two readers of one connection would wait for each other unseen.
    looked: Mutex<Option<Instant>>,
}

/// The id of a stream entry: milliseconds and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(pub(super) u64, pub(super) u64);

/// Where a reader stands: in which life of the store, on which server process, after which entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) began: String,
    pub(super) server: String,
    /// Up to here nothing is missing.
    pub(super) proven: EntryId,
    pub(super) last: EntryId,
}

/// What the log looked like just after reading.
pub(super) struct Sight {
    /// `id:seconds`, made by whoever first found it missing.
    pub(super) began: String,
    /// Replication id and run id: after a failover or a restart, what was acknowledged may be lost.
    pub(super) server: String,
    pub(super) newest: EntryId,
    /// Whether the entry up to which nothing was missing is still there.
    pub(super) anchored: bool,
    pub(super) length: u64,
    pub(super) mark: Mark,
}

impl Log {
    pub(super) fn new(link: Link) -> Self {
        Self { link, looked: Mutex::new(None) }
    }

    pub(super) async fn read(&self, after: Option<&Position>, wait: Duration) -> Result<LogBatch, StateError> {
        let mut looked = self.looked.lock().await;
        let answer = self.read_on(after.and_then(|position| position.0.parse().ok()), wait, &mut looked).await;
        self.or_abandon(answer)
    }

    /// What was written after `last`, unproven: [`Self::sight`] tells whether something is missing before it.
    pub(super) async fn news(&self, last: EntryId, wait: Duration) -> Result<Vec<(EntryId, Entry)>, StateError> {
        self.or_abandon(self.entries_after(last, wait).await)
    }

    pub(super) async fn sight(&self, anchor: EntryId) -> Result<Sight, StateError> {
        self.or_abandon(self.look(anchor).await)
    }

    /// The newest entries, oldest first.
    pub(super) async fn newest(&self, most: usize) -> Result<Vec<(EntryId, Entry)>, StateError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let args: Vec<Value> = vec![LOG.into(), "+".into(), "-".into(), "COUNT".into(), most.into()];
        let answer = self.link.run(BACK, |wire| async move { wire.send("XREVRANGE", slot(LOG), args).await }).await;
        let mut entries = parse(Reply::new(self.or_abandon(answer)?)?)?;
        entries.reverse();
        Ok(entries)
    }

    fn or_abandon<T>(&self, answer: Result<T, StateError>) -> Result<T, StateError> {
        if matches!(answer, Err(StateError::TimedOut(_))) {
            // Its connection may wait for ever on a frozen server.
            self.link.abandon();
        }
        answer
    }

    async fn read_on(
        &self,
        place: Option<Place>,
        wait: Duration,
        looked: &mut Option<Instant>,
    ) -> Result<LogBatch, StateError> {
        let fresh = match &place {
            Some(place) => self.entries_after(place.last, wait).await?,
            None => Vec::new(),
        };
        let last = fresh.last().map(|(id, _)| *id);
        let entries = fresh.into_iter().map(|(_, entry)| entry).collect();
        let soon = !wait.is_zero() && looked.is_some_and(|at| at.elapsed() < LOOK_EVERY);
        if let (Some(place), Some(last), true) = (&place, last, soon) {
            // An end is an end, whatever may be missing before it: it is told without a second round trip.
            let position = Place { last, ..place.clone() }.position();
            return Ok(LogBatch { entries, position, proof: None });
        }
        // Looked at after the reading, never before: what it shows covers all that was read, and a store that was flushed
        // while we waited is not taken for a quiet one.
        let sight = self.look(place.as_ref().map_or(EntryId::default(), |place| place.proven)).await?;
        *looked = Some(Instant::now());
        let gap = place.as_ref().is_none_or(|place| place.missed_something(&sight));
        let last = match (&place, last) {
            (Some(place), last) if !gap => last.unwrap_or(place.last),
            // After a gap the reader begins anew, so it goes on from the log's end.
            _ => sight.newest,
        };
        let seconds = sight.began.rsplit(':').next().and_then(|seconds| seconds.parse().ok());
        let store_began = seconds.map(Timestamp).ok_or_else(|| StateError::Corrupt("the store's epoch".into()))?;
        let position = Place { began: sight.began, server: sight.server, proven: last, last }.position();
        Ok(LogBatch { entries, position, proof: Some(Proof { gap, store_began }) })
    }

    async fn entries_after(&self, last: EntryId, wait: Duration) -> Result<Vec<(EntryId, Entry)>, StateError> {
        let mut args: Vec<Value> = vec!["COUNT".into(), AT_ONCE.into()];
        if !wait.is_zero() {
            let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).max(1);
            args.extend(["BLOCK".into(), millis.into()]);
        }
        args.extend(["STREAMS".into(), LOG.into(), last.to_string().into()]);
        let value =
            self.link.run(wait + SLACK, |wire| async move { wire.send("XREAD", slot(LOG), args).await }).await?;
        if value.is_null() {
            return Ok(Vec::new());
        }
        let mut stream = Reply::new(value)?.array()?;
        stream.next()?;
        parse(stream.array()?)
    }

    async fn look(&self, anchor: EntryId) -> Result<Sight, StateError> {
        let id = anchor.to_string();
        let results = self
            .link
            .run(SLACK, |wire| async move {
                let commands = [
                    ("GET", vec![BEGAN.into()]),
                    ("XREVRANGE", vec![LOG.into(), "+".into(), "-".into(), "COUNT".into(), 1.into()]),
                    ("XRANGE", vec![LOG.into(), id.as_str().into(), id.as_str().into()]),
                    ("XLEN", vec![LOG.into()]),
                    ("INFO", vec!["replication".into()]),
                    ("INFO", vec!["server".into()]),
                    ("GET", vec![MARK.into()]),
                ];
                wire.send_all(commands.map(|(name, args)| (name, slot(LOG), args)).into()).await
            })
            .await?;
        let mut results = Reply::new(results)?;
        let began = results.next()?.as_string();
        let mut newest = results.array()?;
        let newest = if newest.is_empty() { EntryId::default() } else { newest.array()?.parsed()? };
        let anchored = !results.array()?.is_empty();
        let length = results.unsigned()?;
        let (replication, server) = (results.text()?, results.text()?);
        let mark = results.next()?.as_string().map_or(Ok(0), |mark| mark.parse());
        let mark = Mark(mark.map_err(|_| StateError::Corrupt("the mark is no number".into()))?);
        let server = [(&replication, "master_replid"), (&server, "run_id")]
            .map(|(text, name)| info(text, name).unwrap_or_default().to_owned())
            .join(".");
        let began = match began {
            Some(began) => began,
            None => self.begin().await?,
        };
        Ok(Sight { began, server, newest, anchored, length, mark })
    }

    /// Marks the beginning of a store's life, by its own clock. Whoever comes second takes the first one's mark.
    async fn begin(&self) -> Result<String, StateError> {
        let id = base64url(&random_bytes::<12>());
        self.link
            .run(SLACK, |wire| async move {
                let time: Vec<String> = wire.send("TIME", slot(LOG), vec![]).await?.convert()?;
                let mark = format!("{id}:{}", time.first().map_or("0", String::as_str));
                wire.send("SETNX", slot(LOG), vec![BEGAN.into(), mark.into()]).await?;
                wire.send("GET", slot(LOG), vec![BEGAN.into()]).await
            })
            .await?
            .as_string()
            .ok_or_else(|| StateError::Corrupt("the store forgets its epoch at once".into()))
    }
}

impl Place {
    fn position(&self) -> Position {
        Position(self.to_string().into())
    }

    /// Whether entries between this place and what is seen now may have gone by unread.
    pub(super) fn missed_something(&self, sight: &Sight) -> bool {
        let unread_were_trimmed = if self.proven == EntryId::default() {
            // There was no entry yet, so none to hold on to; but a log shorter than its limit was never trimmed.
            sight.length >= LOG_LENGTH
        } else {
            // Trimming goes from the oldest on: while our entry is there, all after it are.
            !sight.anchored
        };
        sight.began != self.began || sight.server != self.server || sight.newest < self.last || unread_were_trimmed
    }
}

fn parse(mut entries: Reply) -> Result<Vec<(EntryId, Entry)>, StateError> {
    let mut found = Vec::new();
    while !entries.is_empty() {
        let mut entry = entries.array()?;
        let id = entry.parsed()?;
        let fields = entry.array()?.texts()?;
        found.push((
            id,
            match fields.as_slice() {
                [kind, name] => entry_from(kind, name),
                _ => Entry::Everything,
            },
        ));
    }
    Ok(found)
}

/// The value of one line of `INFO`.
pub(super) fn info<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (millis, number) = text.split_once('-').ok_or(())?;
        Ok(Self(millis.parse().map_err(drop)?, number.parse().map_err(drop)?))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.began, self.server, self.proven, self.last)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(' ');
        let mut next = || parts.next().ok_or(());
        let (began, server) = (next()?.into(), next()?.into());
        let (proven, last) = (next()?.parse()?, next()?.parse()?);
        if parts.next().is_some() { Err(()) } else { Ok(Self { began, server, proven, last }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { began: "a:1".into(), server: "r.s".into(), proven: EntryId(7, 1), last: EntryId(7, 1) }
    }

    fn sight() -> Sight {
        Sight {
            began: "a:1".into(),
            server: "r.s".into(),
            newest: EntryId(7, 2),
            anchored: true,
            length: 2,
            mark: Mark(0),
        }
    }

    #[test]
    fn a_place_reads_as_written() {
        assert_eq!(place().to_string().parse(), Ok(place()));
        assert!(EntryId(9, 0) < EntryId(10, 0) && EntryId(9, 2) < EntryId(9, 10));
    }

    // SEC-S3
    #[test]
    fn every_kind_of_gap_is_seen() {
        assert!(!place().missed_something(&sight()));
        for (what, seen) in [
            ("flushed", Sight { began: "b:2".into(), ..sight() }),
            ("failover or restart", Sight { server: "r2.s".into(), ..sight() }),
            ("lower last id", Sight { newest: EntryId(6, 0), ..sight() }),
            ("trimmed", Sight { anchored: false, ..sight() }),
        ] {
            assert!(place().missed_something(&seen), "{what}");
        }
        let new = Place { proven: EntryId::default(), ..place() };
        assert!(!new.missed_something(&Sight { anchored: false, ..sight() }));
        assert!(new.missed_something(&Sight { anchored: false, length: LOG_LENGTH, ..sight() }));
    }
}
