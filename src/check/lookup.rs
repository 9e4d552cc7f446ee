//! From a token to a known identity: from memory where that is fresh enough, else by signature and one question to the
//! store. Called by `checker`; this is steps 2 to 4 of "the way of a check".

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::time::timeout;

use crate::check::Denial;
use crate::check::breaker::Breaker;
use crate::check::cache::{Cache, Found, Settings};
use crate::check::flights::Flights;
use crate::check::freshness::Freshness;
use crate::check::headers::HeaderPlan;
use crate::check::known::Known;
use crate::check::seen::Seen;
use crate::clock::{Clock, Timestamp};
use crate::metrics::Metrics;
use crate::metrics::by_thread::Counters;
use crate::secret::Digest;
use crate::state::{Lookups, Question, Standing};
use crate::token::jwt::Verifier;
use crate::token::{Claims, TokenError, jws};
use crate::turns::Turns;

/// What fetching keys may take.
const KEYS_BUDGET: Duration = Duration::from_millis(100);
/// The store gives up by itself after 100 ms, and takes note of it. This is for a store that does not.
const STORE_BUDGET: Duration = Duration::from_millis(150);
/// What a whole lookup may take, whoever runs it.
const WAIT: Duration = Duration::from_millis(300);
/// Lookups at once. Each is some 50 µs of work, so even a tenth of a core is through with all of them within what the store
/// has; were there more, all would be given up in the end, and the work be for nothing.
const AT_WORK: usize = 128;
/// The rest waits before its signature is looked at, as long as leaves time for the lookup itself.
const WAITING: usize = 4096;
const PATIENCE: Duration = Duration::from_millis(100);
/// How often a lookup is begun anew because something ended it on its way.
const TRIES: usize = 3;

/// How a look-up ended: the series of its counter.
const HIT: usize = 0;
const MISS: usize = 1;
const STALE: usize = 2;
const OUTAGE: usize = 3;

/// Who can tell a true token: the real verifier, or in unit tests one that says what they need.
#[async_trait]
pub trait Verifies: Send + Sync {
    /// # Errors
    /// Why the token does not count.
    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError>;

    /// After [`TokenError::UnknownKey`]: returns when new keys are in or the budget is spent.
    async fn fetch_for_unknown_key(&self, budget: Duration);

    /// A removed key never verifies again.
    fn remove_key(&self, kid: &str);

    /// Whether our own keys are known.
    fn ready(&self) -> bool;

    /// Whether any key may be one of an issuer whose keys are not known: then an unknown key says nothing (SEC-N4).
    fn knows_all_issuers(&self) -> bool;
}

#[async_trait]
impl Verifies for Verifier {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        Self::verify(self, token, now)
    }

    async fn fetch_for_unknown_key(&self, budget: Duration) {
        Self::fetch_for_unknown_key(self, budget).await;
    }

    fn remove_key(&self, kid: &str) {
        Self::remove_key(self, kid);
    }

    fn ready(&self) -> bool {
        Self::ready(self)
    }

    fn knows_all_issuers(&self) -> bool {
        Verifier::ready(self) && self.unknown_issuers().is_empty()
    }
}

/// What a look into memory says.
#[derive(Debug)]
pub(super) enum Glance {
    Known(Arc<Known>),
    Denied(Denial),
    /// The store is to be asked; `earlier` may be answered if that fails.
    Ask {
        token: Digest,
        earlier: Option<Arc<Known>>,
    },
}

pub(super) struct Lookup {
    pub(super) cache: Cache,
    pub(super) freshness: Freshness,
    pub(super) seen: Seen,
    pub(super) verifier: Arc<dyn Verifies>,
    pub(super) store: Arc<dyn Lookups>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) plan: ArcSwap<HeaderPlan>,
    flights: Flights<Result<Arc<Known>, Denial>>,
    turns: Turns,
    breaker: Breaker,
    max_staleness: Duration,
    max_staleness_on_error: Duration,
    results: Counters,
}

impl Lookup {
    pub(super) fn new(
        verifier: Arc<dyn Verifies>,
        store: Arc<dyn Lookups>,
        clock: Arc<dyn Clock>,
        plan: HeaderPlan,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Self {
        Self {
            cache: Cache::new(settings, clock.clone()),
            freshness: Freshness::default(),
            seen: Seen::default(),
            verifier,
            store,
            clock,
            plan: ArcSwap::from_pointee(plan),
            flights: Flights::default(),
            turns: Turns::of(AT_WORK, WAITING, PATIENCE),
            breaker: Breaker::default(),
            max_staleness: settings.max_staleness.0,
            max_staleness_on_error: settings.max_staleness_on_error.0,
            results: metrics.cache_requests(&[&["hit"], &["miss"], &["stale"], &["outage"]]),
        }
    }

    /// Looks into memory only.
    pub(super) fn glance(&self, token: &str) -> Glance {
        if token.len() > jws::MAX_LENGTH {
            return Glance::Denied(Denial::InvalidToken); // not even hashed
        }
        let digest = Digest::of(token.as_bytes());
        let (monotonic, now) = (self.clock.monotonic(), self.clock.now_millis());
        // Read before the cell is looked at: the follower writes in the other order, so what counts as fresh here has
        // ended all it had to.
        let log = self.freshness.staleness(monotonic).unwrap_or(Duration::MAX);
        let known = match self.cache.find(&digest, now) {
            Found::Live(known) => known,
            Found::Over => {
                self.results.inc(HIT);
                return Glance::Denied(Denial::InvalidToken);
            }
            Found::Nothing => return Glance::Ask { token: digest, earlier: None },
        };
        if known.is_expired(now) {
            self.results.inc(HIT);
            return Glance::Denied(Denial::InvalidToken);
        }
        if known.identity.cell.is_due(monotonic, now) {
            return Glance::Ask { token: digest, earlier: None };
        }
        let staleness = log.min(monotonic.saturating_sub(known.confirmed()));
        // The clock is coarse, and a bound of zero means that every check asks the store.
        if staleness > self.max_staleness || self.max_staleness.is_zero() {
            return Glance::Ask { token: digest, earlier: Some(known) };
        }
        self.results.inc(HIT);
        self.seen.note(&known.identity.cell, now);
        Glance::Known(known)
    }

    /// Asks anew. `token` is the digest of `text`.
    pub(super) async fn ask(
        &self,
        text: &str,
        token: Digest,
        earlier: Option<Arc<Known>>,
    ) -> Result<Arc<Known>, Denial> {
        for _ in 0..TRIES {
            match timeout(WAIT, self.flights.join(token, self.learn(text, token))).await {
                Ok(Ok(known)) if self.cache.is_live(&known) => {
                    self.results.inc(if earlier.is_some() { STALE } else { MISS });
                    self.seen.note(&known.identity.cell, self.clock.now_millis());
                    return Ok(known);
                }
                // A revocation came while it was looked up. It wins; what remains true the store knows (SEC-S2).
                Ok(Ok(_)) => {}
                Ok(Err(Denial::Unavailable)) | Err(_) => return self.remember(earlier),
                Ok(Err(denial)) => {
                    self.results.inc(MISS);
                    return Err(denial);
                }
            }
        }
        Err(Denial::Unavailable)
    }

    /// While the store gives no answer: what it confirmed earlier counts on until the error bound (SEC-F1).
    fn remember(&self, earlier: Option<Arc<Known>>) -> Result<Arc<Known>, Denial> {
        let (monotonic, now) = (self.clock.monotonic(), self.clock.now_millis());
        let Some(known) = earlier else { return Err(Denial::Unavailable) };
        let staleness = self.freshness.staleness_of(known.confirmed(), monotonic);
        if known.is_expired(now) {
            Err(Denial::InvalidToken)
        } else if staleness > self.max_staleness_on_error
            || known.identity.cell.is_due(monotonic, now)
            || !self.cache.is_live(&known)
        {
            Err(Denial::Unavailable)
        } else {
            self.results.inc(OUTAGE);
            self.seen.note(&known.identity.cell, now);
            Ok(known)
        }
    }

    /// One lookup: the signature first, so that junk never reaches the store.
    async fn learn(&self, text: &str, token: Digest) -> Result<Arc<Known>, Denial> {
        let _turn = self.turns.take().await.map_err(|why| {
            tracing::debug!(%why, "not looked up");
            Denial::Unavailable
        })?;
        let era = self.cache.era();
        let plan = self.plan.load_full();
        let claims = self.verify(text).await?;
        let question = self.question(&claims)?;
        let cell = self.cache.cell(&claims);
        let identity = plan.identify(&claims, Arc::clone(&cell)).map_err(|why| {
            tracing::debug!(%why, "token denied");
            Denial::InvalidToken
        })?;
        let asked = self.clock.monotonic();
        match self.standing(&question, asked).await? {
            Standing::Dead => {
                tracing::debug!("token denied: its session has ended, or it was revoked");
                self.cache.drop_one(&token);
                Err(Denial::InvalidToken)
            }
            Standing::Live { idle_left, ends } => {
                cell.lives_until(idle_left.map(|left| asked + left), ends);
                let known = Arc::new(Known::new(token, identity, era, asked));
                self.cache.keep(&known);
                Ok(known)
            }
        }
    }

    async fn verify(&self, text: &str) -> Result<Claims, Denial> {
        let mut verified = self.verifier.verify(text, self.clock.now());
        if let Err(TokenError::UnknownKey) = verified {
            self.verifier.fetch_for_unknown_key(KEYS_BUDGET).await;
            verified = self.verifier.verify(text, self.clock.now());
        }
        verified.map_err(|why| {
            tracing::debug!(%why, "token denied");
            match why {
                // Ours to know the key, and we don't yet (SEC-N4).
                TokenError::UnknownKey if !self.verifier.knows_all_issuers() => Denial::Unavailable,
                _ => Denial::InvalidToken,
            }
        })
    }

    fn question(&self, claims: &Claims) -> Result<Question, Denial> {
        if claims.own {
            let (sid, jti) = claims.sid.zip(claims.jti.clone()).ok_or(Denial::InvalidToken)?;
            return Ok(Question::Own { sid, jti, epoch: claims.epoch });
        }
        // A token of another issuer says nothing that lost state could contradict, so its age must (SEC-T20). One
        // without `iat` tells no age and passes; issuers that leave it out can't be held to this.
        let began = self.freshness.store_began().ok_or(Denial::Unavailable)?;
        if claims.issued.is_some_and(|issued| issued < began) {
            tracing::debug!("token denied: it is older than the token store's state");
            return Err(Denial::InvalidToken);
        }
        Ok(Question::Foreign { tag: claims.tag(), jti: claims.jti.clone(), issued: claims.issued })
    }

    async fn standing(&self, question: &Question, asked: Duration) -> Result<Standing, Denial> {
        if !self.breaker.permits(asked) {
            return Err(Denial::Unavailable);
        }
        match timeout(STORE_BUDGET, self.store.standing(question)).await {
            Ok(Ok(standing)) => {
                self.breaker.succeeded();
                return Ok(standing);
            }
            Ok(Err(why)) => tracing::debug!(%why, "the token store was asked in vain"),
            Err(_) => tracing::debug!("the token store did not answer within {STORE_BUDGET:?}"),
        }
        self.breaker.failed(self.clock.monotonic());
        Err(Denial::Unavailable)
    }
}
