//! Ends that Redis forgot, written again. A restart from an older dump, a power cut or a failover takes the store back to an
//! earlier moment: sessions that had ended since would live again (SEC-F5, F12). Each issuer follows the revocation log and
//! remembers its latest entries. Where the log is no longer the one it followed, it ends once more what the log has lost.
//!
//! What it cannot know: ends from before it started that the log had lost already, and a store that goes back while no issuer
//! runs. After a flush nothing is left that could live again, so nothing is written.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::super::{Cause, Entry, Mark, Sessions, StateError};
use super::RedisState;
use super::log::{EntryId, Place, Sight};

/// How many entries are remembered: about a megabyte.
const REMEMBERED: usize = 10_000;

/// How long one read waits for news, and how soon a failed one is tried again.
const WAIT: Duration = Duration::from_secs(1);
/// While news come, so often is asked whether they are of the log that was followed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(200);

/// Tokens of another issuer's subject are denied again for this long: how long they live is not in the log.
const FOREIGN: Duration = Duration::from_secs(24 * 3600);

/// What an issuer remembers of the log.
#[derive(Debug, Default)]
struct Vigil {
    place: Option<Place>,
    heard: BTreeMap<EntryId, Entry>,
    /// Read after `place`, and not yet known to be of the log that it is a place in.
    unproven: BTreeMap<EntryId, Entry>,
    /// When that was asked.
    looked: Option<Instant>,
    /// What the log has lost, the oldest first.
    lost: VecDeque<Entry>,
    /// The highest mark of this store's life; of any life on a cluster.
    mark: Mark,
}

impl RedisState {
    /// Follows the log until `shutdown`.
    pub(super) async fn keep_vigil(&self, shutdown: CancellationToken) {
        let mut vigil = Vigil::default();
        let watch = async {
            loop {
                if let Err(error) = self.follow(&mut vigil).await {
                    debug!(%error, "the revocation log can't be followed");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = watch => {}
        }
    }

    async fn follow(&self, vigil: &mut Vigil) -> Result<(), StateError> {
        // What is owed comes before anything new.
        while let Some(entry) = vigil.lost.front() {
            self.end_again(entry).await?;
            vigil.lost.pop_front();
        }
        if let Some(place) = &vigil.place {
            // Remembered before anything else is asked: the next answer may be that of a store that has lost it. Or this one
            // is already, and has ends of its own.
            let (last, wait) = match vigil.unproven.last_key_value() {
                Some((last, _)) => (*last, LOOK_EVERY),
                None => (place.last, WAIT),
            };
            let news = self.vigil_log.news(last, wait).await?;
            let more_may_come = !news.is_empty();
            let marks =
                news.iter().filter_map(|(_, entry)| if let Entry::Everyone(mark) = entry { Some(*mark) } else { None });
            vigil.mark = marks.fold(vigil.mark, Mark::max);
            vigil.unproven.extend(news);
            if more_may_come && vigil.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
                return Ok(());
            }
        }
        let sight = self.vigil_log.sight(vigil.last()).await?;
        vigil.looked = Some(Instant::now());
        if let Some(mark) = vigil.compare_mark(&sight, self.clustered) {
            warn!("the token store has lost the mark that everyone's sessions had ended by: it is set again");
            self.end_again(&Entry::Everyone(mark)).await?;
        }
        if vigil.place.as_ref().is_some_and(|place| !place.missed_something(&sight)) {
            vigil.prove();
        } else {
            vigil.compare(self.vigil_log.newest(REMEMBERED).await?, sight);
            if !vigil.lost.is_empty() {
                let lost = vigil.lost.len();
                warn!(lost, "the token store has gone back in time: the ends that it lost are written again");
            }
        }
        Ok(())
    }

    /// Where replicas don't confirm it now it is in effect all the same, and remembered for the next time.
    async fn end_again(&self, entry: &Entry) -> Result<(), StateError> {
        match entry {
            Entry::Session(sid) => self.end(sid, Cause::Admin).await.map(drop),
            Entry::Subject(tag) => self.end_subject(*tag, Cause::Admin, FOREIGN).await.map(drop),
            Entry::Everyone(mark) => self.raise_mark(*mark).await.map(drop),
            Entry::Key(_) | Entry::Everything => self.announce(entry).await.map(drop),
        }
    }
}

impl Vigil {
    /// The mark to be set again, where the store has lost it: by going back, or by eviction, which the log does not tell.
    /// The other servers of a cluster keep their sessions when the log's own has lost everything.
    fn compare_mark(&mut self, sight: &Sight, clustered: bool) -> Option<Mark> {
        let same_life = clustered || self.place.as_ref().is_none_or(|place| place.began == sight.began);
        let lost = same_life && sight.mark < self.mark;
        if !lost {
            self.mark = sight.mark;
        }
        lost.then_some(self.mark)
    }

    fn last(&self) -> EntryId {
        self.place.as_ref().map_or_else(EntryId::default, |place| place.last)
    }

    /// What was read since is of the same log.
    fn prove(&mut self) {
        let news = std::mem::take(&mut self.unproven);
        self.hear(news);
    }

    fn hear(&mut self, news: BTreeMap<EntryId, Entry>) {
        if let (Some(place), Some((last, _))) = (&mut self.place, news.last_key_value()) {
            (place.proven, place.last) = (*last, *last);
        }
        self.heard.extend(news);
        while self.heard.len() > REMEMBERED {
            self.heard.pop_first();
        }
    }

    /// At the beginning and after a gap. A store that went back has a log that ends earlier than what was heard of it, and
    /// may have gone on from there: lost is what was heard after the latest entry that both know. A log that was trimmed
    /// meanwhile has lost its beginning, not its end. What was read last may be of either log, so it tells nothing of where
    /// they part, and is lost where it is not in this one.
    fn compare(&mut self, log: Vec<(EntryId, Entry)>, sight: Sight) {
        let (heard, unproven) = (std::mem::take(&mut self.heard), std::mem::take(&mut self.unproven));
        let log: BTreeMap<_, _> = log.into_iter().collect();
        let same_life = self.place.as_ref().is_some_and(|place| place.began == sight.began);
        if same_life {
            let common = log.keys().rev().find(|id| heard.contains_key(id)).copied();
            // A full answer that begins after all we heard: we were away for that long, and nothing tells of a loss.
            let away = log.len() >= REMEMBERED && common.is_none();
            let after = common.unwrap_or_default();
            let parted = heard.into_iter().filter(|(id, _)| !away && *id > after);
            let missing = unproven.into_iter().filter(|(id, entry)| log.get(id) != Some(entry));
            self.lost.extend(parted.chain(missing).map(|(_, entry)| entry));
        }
        self.place = Some(Place {
            began: sight.began,
            server: sight.server,
            proven: EntryId::default(),
            last: EntryId::default(),
        });
        self.hear(log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(number: u64) -> EntryId {
        EntryId(1, number)
    }

    fn log(numbers: std::ops::Range<u64>) -> Vec<(EntryId, Entry)> {
        numbers.map(|number| (id(number), Entry::Key(number.to_string()))).collect()
    }

    fn sight(began: &str) -> Sight {
        Sight { began: began.into(), server: "s".into(), newest: id(0), anchored: true, length: 0, mark: Mark(0) }
    }

    fn lost(heard: std::ops::Range<u64>, now: Vec<(EntryId, Entry)>, began: &str) -> Vec<Entry> {
        let mut vigil = Vigil::default();
        vigil.compare(log(heard), sight("a:1"));
        assert!(vigil.lost.is_empty(), "nothing is known to be lost at the beginning");
        vigil.compare(now, sight(began));
        vigil.lost.into()
    }

    fn names(numbers: std::ops::Range<u64>) -> Vec<Entry> {
        log(numbers).into_iter().map(|(_, entry)| entry).collect()
    }

    // SEC-F5: else every failover of a busy store would hide what it lost.
    #[test]
    fn ends_that_the_new_primary_wrote_meanwhile_hide_no_loss() {
        let mut vigil = Vigil::default();
        vigil.compare(log(1..5), sight("a:1"));
        // The old primary's last answer, and then the new one's.
        vigil.unproven.extend(log(5..9));
        vigil.unproven.extend(log(20..22));
        let new_primary = [log(1..3), log(20..23)].concat();
        vigil.compare(new_primary, sight("a:1"));
        assert_eq!(vigil.lost, names(3..9));
        assert_eq!(vigil.last(), id(22));
    }

    #[test]
    fn what_is_read_counts_as_heard_once_it_is_proven() {
        let mut vigil = Vigil::default();
        vigil.compare(log(1..5), sight("a:1"));
        vigil.unproven.extend(log(5..9));
        assert_eq!(vigil.last(), id(4));
        vigil.prove();
        assert_eq!(vigil.last(), id(8));
        vigil.compare(log(1..7), sight("a:1"));
        assert_eq!(vigil.lost, names(7..9));
    }

    // SEC-F12
    #[test]
    fn what_was_heard_after_the_last_common_entry_is_lost() {
        assert_eq!(lost(1..9, log(1..5), "a:1"), names(5..9), "restored");
        let mut went_on = log(1..5);
        went_on.extend(log(20..22));
        assert_eq!(lost(1..9, went_on, "a:1"), names(5..9), "restored, and written since");
        assert_eq!(lost(1..9, vec![], "a:1"), names(1..9), "from before any end");
        assert_eq!(lost(1..9, log(1..9), "a:1"), [], "restarted with all it had");
        assert_eq!(lost(1..9, log(7..12), "a:1"), [], "trimmed");
        assert_eq!(lost(1..9, vec![], "b:2"), [], "flushed: nothing is left that could live again");
        assert_eq!(lost(1..9, log(10..10 + REMEMBERED as u64), "a:1"), [], "away for long");
    }

    #[test]
    fn no_more_is_remembered_than_the_limit() {
        let mut vigil = Vigil::default();
        vigil.compare(vec![], sight("a:1"));
        vigil.hear(log(1..2 * REMEMBERED as u64).into_iter().collect());
        assert_eq!((vigil.heard.len(), vigil.last()), (REMEMBERED, id(2 * REMEMBERED as u64 - 1)));
    }
}
