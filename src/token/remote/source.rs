//! Keeps one issuer's keys fresh: fetched in the background, with some jitter, and sooner where a token names a key we do
//! not know. The last good set is kept while the issuer can't be reached, for a day at most (SEC-K7).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::secret::{Digest, random_bytes};
use crate::token::keys::set::KeySet;
use crate::token::keys::{Algorithm, jwk};
use crate::token::remote::Place;
use crate::token::remote::fetch::{self, FetchError, Fetcher};

/// However many unknown key ids come, they cause at most one fetch in this time (SEC-T5).
pub const ASK_EVERY: Duration = Duration::from_secs(30);

/// How often, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long after a good fetch the next one is made, give or take a tenth.
    pub every: Duration,
    /// How long the last good set is kept when no fetch succeeds.
    pub keep: Duration,
}

impl Pace {
    /// Our own issuer's keys, for the check role: a removed key must be noticed soon (SEC-K3).
    pub const OWN: Self = Self { every: Duration::from_secs(60), keep: Duration::from_secs(24 * 3600) };
    pub const FOREIGN: Self = Self { every: Duration::from_secs(5 * 60), keep: Duration::from_secs(24 * 3600) };
    /// A file is looked at often: it costs nothing.
    const FILE: Duration = Duration::from_secs(2);
}

/// One issuer's keys.
#[derive(Debug)]
pub struct Source {
    issuer: Arc<str>,
    place: Place,
    allowed: Vec<Algorithm>,
    pace: Pace,
    fetcher: Fetcher,
    keys: ArcSwap<KeySet>,
    progress: Mutex<Progress>,
    /// A token named an unknown key.
    wanted: Notify,
    fetching: AtomicBool,
    /// How many fetches have ended, well or not.
    rounds: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Progress {
    last_good: Option<Instant>,
    /// Of the bytes of the last good set: nothing is done for an unchanged one.
    seen: Option<Digest>,
    failures: u32,
    problem: Option<String>,
    asked: Option<Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    /// The fetch that answers it has ended when so many have.
    answered_after: u64,
}

/// How a source stands, for `doctor` and `/readyz`.
#[derive(Clone, Debug)]
pub struct SourceView {
    pub issuer: Arc<str>,
    pub keys: usize,
    /// How long ago the last good set came.
    pub age: Option<Duration>,
    /// Why the last fetch gave none.
    pub problem: Option<String>,
}

impl Source {
    /// A file is read at once; other places when [`Self::run`] runs.
    pub fn new(issuer: Arc<str>, place: Place, allowed: Vec<Algorithm>, pace: Pace) -> Self {
        let source = Self {
            issuer,
            place,
            allowed,
            pace,
            fetcher: Fetcher::default(),
            keys: ArcSwap::default(),
            progress: Mutex::default(),
            wanted: Notify::new(),
            fetching: AtomicBool::new(false),
            rounds: watch::Sender::new(0),
        };
        if let Place::File(file) = &source.place {
            source.take(fetch::read_file(file));
        }
        source
    }

    pub fn keys(&self) -> Guard<Arc<KeySet>> {
        self.keys.load()
    }

    pub fn view(&self) -> SourceView {
        let progress = self.progress();
        SourceView {
            issuer: Arc::clone(&self.issuer),
            keys: self.keys.load().len(),
            age: progress.last_good.map(|at| at.elapsed()),
            problem: progress.problem.clone(),
        }
    }

    /// Fetches until it is told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            self.fetching.store(true, Ordering::SeqCst);
            let fetched = tokio::select! {
                fetched = self.fetcher.fetch(&self.place) => fetched,
                () = stop.cancelled() => return,
            };
            self.take(fetched);
            self.fetching.store(false, Ordering::SeqCst);
            self.rounds.send_modify(|rounds| *rounds += 1);
            let pause = self.pause();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Has the keys fetched because a token names one that is not known; waits until that is done or `budget` is spent.
    /// Callers at the same time share one fetch and its budget, and within [`ASK_EVERY`] there is no second one: once a
    /// fetch hangs, nobody waits for it any more.
    pub async fn fetch_for_unknown_key(&self, budget: Duration) {
        let mut rounds = self.rounds.subscribe();
        let asked = {
            let mut progress = self.progress();
            match progress.asked {
                Some(asked) if asked.at.elapsed() < ASK_EVERY => asked,
                _ => {
                    // A fetch under way may have been answered before the key was published: wait for the one after it.
                    let under_way = u64::from(self.fetching.load(Ordering::SeqCst));
                    let answered_after = *rounds.borrow() + 1 + under_way;
                    self.wanted.notify_one();
                    *progress.asked.insert(Asked { at: Instant::now(), answered_after })
                }
            }
        };
        // Out of time is no error: the caller then knows as much as before.
        let answered = rounds.wait_for(|ended| *ended >= asked.answered_after);
        let _ = tokio::time::timeout_at(asked.at + budget, answered).await;
    }

    /// Takes a fetched set in, or notes why there is none.
    fn take(&self, fetched: Result<Vec<u8>, FetchError>) {
        let digest = fetched.as_ref().ok().map(|bytes| Digest::of(bytes));
        let unchanged = digest.is_some() && self.progress().seen == digest;
        let read = match fetched {
            Ok(_) if unchanged => Ok(None),
            Ok(bytes) => jwk::read_set(&bytes, &self.allowed).map(Some).map_err(FetchError::from),
            Err(error) => Err(error),
        };
        let mut progress = self.progress();
        match read {
            Ok(set) => {
                if let Some(set) = set {
                    tracing::info!(issuer = %self.issuer, keys = set.len(), "took in the issuer's keys");
                    self.keys.store(Arc::new(set));
                }
                let asked = progress.asked;
                *progress = Progress { last_good: Some(Instant::now()), seen: digest, asked, ..Progress::default() };
            }
            Err(error) => {
                let problem = error.to_string();
                if progress.problem.as_ref() != Some(&problem) {
                    tracing::warn!(issuer = %self.issuer, %problem, "the issuer's keys can't be had; the last good ones stay for a while");
                }
                progress.failures += 1;
                progress.problem = Some(problem);
                if progress.last_good.is_some_and(|at| at.elapsed() >= self.pace.keep) {
                    tracing::error!(issuer = %self.issuer, "the issuer's keys are too old to go on with");
                    self.keys.store(Arc::default());
                    progress.last_good = None;
                    progress.seen = None;
                }
            }
        }
    }

    /// Until the next fetch. After failures it is short at first, since keys are missing; jitter keeps a fleet from
    /// asking all at once.
    fn pause(&self) -> Duration {
        let every = match self.place {
            Place::File(_) => Pace::FILE.min(self.pace.every),
            _ => self.pace.every,
        };
        let failures = self.progress().failures;
        // Without any key nothing can be verified: then it is worth asking often.
        let longest = if self.keys.load().is_empty() { every.min(Duration::from_secs(5)) } else { every };
        let pause = match failures {
            0 => every,
            _ => longest.min(Duration::from_millis(500) * 2_u32.saturating_pow(failures.min(16))),
        };
        let [random] = random_bytes::<1>();
        pause.mul_f64(0.9 + f64::from(random) / 1280.0)
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        // Held for a few assignments, never across an await; a panic in between leaves nothing half done.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
