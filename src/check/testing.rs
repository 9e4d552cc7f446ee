//! What the room's unit tests share: claims, a store and a verifier that do as they are told, for interleavings that
//! the real ones can't be made to show.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::check::cache::Settings;
use crate::check::checker::{Checker, Parts};
use crate::check::headers::HeaderPlan;
use crate::check::identity::HeaderSettings;
use crate::check::lookup::Verifies;
use crate::check::policy::Policy;
use crate::check::rules::RuleSettings;
use crate::check::{CheckRequest, Credential};
use crate::clock::{FixedClock, Millis, Timestamp};
use crate::metrics::Metrics;
use crate::state::{Entry, LogBatch, Lookups, Position, Proof, Question, Standing, StateError, StoreHealth};
use crate::token::{Claims, Epoch, SessionId, SubjectTag, TokenError, TokenId};

pub(super) const ISSUER: &str = "https://doorward.test";
pub(super) const START: Timestamp = Timestamp(1_800_000_000);

/// Claims of an own token, good until the year 2100.
pub(super) fn claims(subject: &str) -> Claims {
    let tag = SubjectTag::of(ISSUER, subject);
    Claims {
        issuer: Arc::from(ISSUER),
        own: true,
        subject: subject.into(),
        expires: Timestamp(4_102_444_800),
        issued: Some(START),
        jti: Some(TokenId::fresh()),
        sid: Some(SessionId::fresh(tag)),
        epoch: Epoch::default(),
        roles: Vec::new(),
        scope: Vec::new(),
        amr: Vec::new(),
        auth_time: None,
        kid: Arc::from("k1"),
        payload: serde_json::Map::new(),
    }
}

/// Claims of another issuer's token.
pub(super) fn foreign(subject: &str, issued: Timestamp) -> Claims {
    Claims { own: false, sid: None, issued: Some(issued), issuer: Arc::from("https://other.test"), ..claims(subject) }
}

pub(super) fn get<'a>(target: &'a str, token: &'a str) -> CheckRequest<'a> {
    let credential = Credential::Bearer(token);
    CheckRequest { method: "GET", host: "app.test", target, credential, ..CheckRequest::default() }
}

/// A store whose sessions live until they are ended, and which fails or hangs when told to.
#[derive(Debug)]
pub(super) struct Store {
    ended: Mutex<HashSet<SessionId>>,
    pub(super) failing: AtomicBool,
    pub(super) hanging: AtomicBool,
    pub(super) asked: AtomicUsize,
    /// Each answer takes a permit after it was made up: a lookup is under way while there is none.
    pub(super) gate: Semaphore,
    /// Gets a permit for each question.
    pub(super) entered: Semaphore,
    pub(super) idle_left: AtomicU64,
    pub(super) touched: Mutex<Vec<(SessionId, Millis)>>,
    pub(super) batches: Mutex<Vec<LogBatch>>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            ended: Mutex::default(),
            failing: AtomicBool::default(),
            hanging: AtomicBool::default(),
            asked: AtomicUsize::default(),
            gate: Semaphore::new(1_000_000),
            entered: Semaphore::new(0),
            idle_left: AtomicU64::new(3600),
            touched: Mutex::default(),
            batches: Mutex::default(),
        }
    }
}

impl Store {
    pub(super) fn end(&self, sid: SessionId) {
        self.ended.lock().unwrap().insert(sid);
    }

    pub(super) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    pub(super) fn hang(&self, hanging: bool) {
        self.hanging.store(hanging, Ordering::SeqCst);
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// No lookup is answered until `open`.
    pub(super) async fn shut(&self) {
        self.gate.acquire_many(1_000_000).await.unwrap().forget();
    }

    pub(super) fn open(&self) {
        self.gate.add_permits(1_000_000);
    }

    pub(super) async fn until_asked(&self) {
        let asked = tokio::time::timeout(Duration::from_secs(5), self.entered.acquire());
        asked.await.expect("the store is asked").unwrap().forget();
    }

    async fn well(&self) -> Result<(), StateError> {
        if self.hanging.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.failing.load(Ordering::SeqCst) { Err(StateError::Unreachable("told to".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Lookups for Store {
    async fn standing(&self, question: &Question) -> Result<Standing, StateError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let dead = match question {
            Question::Own { sid, .. } => self.ended.lock().unwrap().contains(sid),
            Question::Foreign { .. } => false,
        };
        let idle_left = Some(Duration::from_secs(self.idle_left.load(Ordering::SeqCst)));
        let answer = if dead { Standing::Dead } else { Standing::Live { idle_left, ends: None } };
        self.entered.add_permits(1);
        drop(self.gate.acquire().await.unwrap());
        self.well().await.map(|()| answer)
    }

    async fn read_log(&self, after: Option<&Position>, _: Duration) -> Result<LogBatch, StateError> {
        self.well().await?;
        let mut batches = self.batches.lock().unwrap();
        Ok(if batches.is_empty() { batch(Vec::new(), after.is_none()) } else { batches.remove(0) })
    }

    async fn touch(&self, seen: &[(SessionId, Millis)], _: Duration) -> Result<(), StateError> {
        self.well().await?;
        self.touched.lock().unwrap().extend(seen);
        Ok(())
    }

    async fn health(&self) -> Result<StoreHealth, StateError> {
        Ok(StoreHealth::default())
    }
}

pub(super) fn batch(entries: Vec<Entry>, gap: bool) -> LogBatch {
    LogBatch { entries, position: Position("1".into()), proof: Some(Proof { gap, store_began: START }) }
}

/// A verifier that knows tokens by heart.
#[derive(Debug, Default)]
pub(super) struct ByHeart {
    tokens: Mutex<HashMap<String, Claims>>,
    /// Known once fetched.
    to_come: Mutex<HashMap<String, Claims>>,
    removed: Mutex<HashSet<String>>,
    pub(super) fetches: AtomicUsize,
    pub(super) unready: AtomicBool,
}

impl ByHeart {
    pub(super) fn learn(&self, token: &str, claims: &Claims) {
        self.tokens.lock().unwrap().insert(token.into(), claims.clone());
    }

    pub(super) fn learn_when_fetched(&self, token: &str, claims: &Claims) {
        self.to_come.lock().unwrap().insert(token.into(), claims.clone());
    }
}

#[async_trait]
impl Verifies for ByHeart {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let claims = self.tokens.lock().unwrap().get(token).cloned().ok_or(TokenError::UnknownKey)?;
        if self.removed.lock().unwrap().contains(&*claims.kid) {
            return Err(TokenError::UnknownKey);
        }
        if claims.expires <= now { Err(TokenError::Expired) } else { Ok(claims) }
    }

    async fn fetch_for_unknown_key(&self, _: Duration) {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        self.tokens.lock().unwrap().extend(self.to_come.lock().unwrap().drain());
    }

    fn remove_key(&self, kid: &str) {
        self.removed.lock().unwrap().insert(kid.into());
    }

    fn ready(&self) -> bool {
        !self.unready.load(Ordering::SeqCst)
    }
    fn knows_all_issuers(&self) -> bool {
        self.ready()
    }
}

/// A checker with all its parts at hand.
pub(super) struct Bench {
    pub(super) checker: Arc<Checker>,
    pub(super) store: Arc<Store>,
    pub(super) verifier: Arc<ByHeart>,
    pub(super) clock: Arc<FixedClock>,
    pub(super) metrics: Arc<Metrics>,
}

impl Bench {
    pub(super) fn new(rules: &[RuleSettings]) -> Self {
        Self::with(rules, Settings::default())
    }

    pub(super) fn with(rules: &[RuleSettings], settings: Settings) -> Self {
        let (store, verifier) = (Arc::new(Store::default()), Arc::new(ByHeart::default()));
        let (clock, metrics) = (Arc::new(FixedClock::at(START)), Arc::new(Metrics::new()));
        let checker = Arc::new(Checker::new(Parts {
            verifier: verifier.clone(),
            store: store.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            settings,
            policy: Policy::compile(rules, false).expect("the rules compile"),
            plan: HeaderPlan::new(&HeaderSettings::default()).expect("the default"),
        }));
        let bench = Self { checker, store, verifier, clock, metrics };
        bench.sync();
        bench
    }

    /// The log was read to its end now, and nothing was in it.
    pub(super) fn sync(&self) {
        use crate::clock::Clock;
        self.checker.hear_batch(&batch(Vec::new(), false), self.clock.monotonic());
    }

    pub(super) fn cache_requests(&self, result: &str) -> u64 {
        let series = format!("doorward_cache_requests_total{{result=\"{result}\"}} ");
        let told = self.metrics.render();
        told.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).expect("a count")
    }
}
