//! The checker: one question in, one decision out. The doors ask it; `app` makes it; `follower` and `activity` work for it.
//!
//! A warm check is [`Checker::check_cached`]: plain code that waits for nothing and takes no lock that grows with load.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::audit::{self, About, Event};
use crate::check::cache;
use crate::check::headers::HeaderPlan;
use crate::check::identity::{HeaderNames, Identity};
use crate::check::known::Holder;
use crate::check::lookup::{Glance, Lookup, Verifies};
use crate::check::policy::{Asks, Policy};
use crate::check::seen::Seen;
use crate::check::{CheckRequest, Credential, Decision, Denial};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::state::{Entry, Expects, Hears, LogBatch, Lookups, Proof};
use crate::token::SessionId;

const KEYS_BUDGET: Duration = Duration::from_secs(5);

/// What a checker is made of.
#[expect(missing_debug_implementations, reason = "its parts are traits, and there is nothing to see")]
pub struct Parts {
    pub verifier: Arc<dyn Verifies>,
    pub store: Arc<dyn Lookups>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub settings: cache::Settings,
    pub policy: Policy,
    pub plan: HeaderPlan,
}

/// Decides on requests, and knows the identities of tokens it has seen lately.
pub struct Checker {
    policy: ArcSwap<Policy>,
    lookup: Lookup,
    /// How long the store may be out before we are not ready (SEC-N1).
    error_bound: Duration,
}

/// Whether checks can be answered, and if not, what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Our issuer's keys are known.
    pub keys: bool,
    /// The revocation log was read within the error bound.
    pub state: bool,
}

impl Readiness {
    pub const fn is_ready(self) -> bool {
        self.keys && self.state
    }
}

impl Checker {
    pub fn new(parts: Parts) -> Self {
        let Parts { verifier, store, clock, metrics, settings, policy, plan } = parts;
        // Not under 5 s, so that no blip of the store makes all sidecars leave together.
        let error_bound = settings.max_staleness_on_error.0.max(settings.max_staleness.0).max(Duration::from_secs(5));
        let lookup = Lookup::new(verifier, store, clock, plan, &settings, &metrics);
        Self { policy: ArcSwap::from_pointee(policy), lookup, error_bound }
    }

    /// Decides from memory; `None` where the store must be asked.
    pub fn check_cached(&self, request: &CheckRequest<'_>) -> Option<Decision> {
        let policy = self.policy.load();
        let (asks, token) = match ask_rules(&policy, request) {
            Ok(Some(asked)) => asked,
            Ok(None) => return Some(Decision::Allow(None)),
            Err(denial) => return Some(deny(denial, &policy, request, None)),
        };
        match self.lookup.glance(token) {
            Glance::Known(known) => Some(decide(asks, &policy, known.into(), request, self.clock())),
            Glance::Denied(denial) => Some(deny(denial, &policy, request, None)),
            Glance::Ask { .. } => None,
        }
    }

    /// Decides, asking the store where memory does not suffice. Bounded in time.
    pub async fn check(&self, request: &CheckRequest<'_>) -> Decision {
        let policy = self.policy.load_full();
        let (asks, token) = match ask_rules(&policy, request) {
            Ok(Some(asked)) => asked,
            Ok(None) => return Decision::Allow(None),
            Err(denial) => return deny(denial, &policy, request, None),
        };
        match self.authenticate(token).await {
            Ok(holder) => decide(asks, &policy, holder, request, self.clock()),
            Err(denial) => deny(denial, &policy, request, None),
        }
    }

    /// Who bears the token; no rule is asked.
    ///
    /// # Errors
    /// [`Denial::InvalidToken`], or [`Denial::Unavailable`] where that can't be known now.
    pub async fn authenticate(&self, token: &str) -> Result<Holder, Denial> {
        let known = match self.lookup.glance(token) {
            Glance::Known(known) => known,
            Glance::Denied(denial) => return Err(denial),
            Glance::Ask { token: digest, earlier } => self.lookup.ask(token, digest, earlier).await?,
        };
        Ok(known.into())
    }

    /// All identity headers: on `Allow(None)` each is to be removed from the request (SEC-P8).
    pub fn header_names(&self) -> HeaderNames {
        self.lookup.plan.load().names()
    }

    /// Takes over new rules and headers; checks under way end by the old or the new ones, never by a mixture of rules.
    pub fn reload(&self, policy: Policy, plan: HeaderPlan) {
        if **self.lookup.plan.load() != plan {
            self.lookup.plan.store(Arc::new(plan));
            // After the swap: a lookup that still makes the old headers is of the old era.
            self.lookup.cache.clear();
        }
        self.policy.store(Arc::new(policy));
    }

    pub fn ready(&self) -> Readiness {
        let staleness = self.lookup.freshness.staleness(self.lookup.clock.monotonic());
        Readiness {
            keys: self.lookup.verifier.ready(),
            state: staleness.is_some_and(|staleness| staleness <= self.error_bound),
        }
    }

    /// Takes over a batch of the revocation log that was asked for at `asked`, by the monotonic clock.
    pub(super) fn hear_batch(&self, batch: &LogBatch, asked: Duration) {
        for entry in &batch.entries {
            self.hear(entry);
        }
        let Some(Proof { gap, store_began }) = batch.proof else { return };
        if gap {
            self.lookup.cache.clear();
        }
        self.lookup.freshness.began(store_began);
        // Last: a hit that finds us fresh must find all this done (see `glance`).
        if gap || batch.entries.len() < LogBatch::FULL {
            self.lookup.freshness.synced(asked);
        }
    }

    /// Time since the revocation log was last read to its end.
    pub(super) fn staleness(&self) -> Option<Duration> {
        self.lookup.freshness.staleness(self.lookup.clock.monotonic())
    }

    /// Housekeeping of the cache; returns how many identities it holds.
    pub(super) fn tend(&self) -> u64 {
        self.lookup.cache.tend()
    }

    /// Asks the issuers for their keys, soon and not too often.
    pub(super) fn fetch_keys(&self) -> impl Future<Output = ()> + Send + use<> {
        let verifier = self.lookup.verifier.clone();
        async move { verifier.fetch_for_unknown_key(KEYS_BUDGET).await }
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.lookup.seen
    }

    pub(super) fn store(&self) -> &Arc<dyn Lookups> {
        &self.lookup.store
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.lookup.clock
    }
}

impl Hears for Checker {
    fn hear(&self, entry: &Entry) {
        // The key first: what is verified after the cache was emptied must not be verified by it.
        if let Entry::Key(kid) = entry {
            self.lookup.verifier.remove_key(kid);
        }
        self.lookup.cache.forget(entry);
    }

    fn expect(&self, session: &SessionId) -> Option<Box<dyn Expects + '_>> {
        Some(Box::new(self.lookup.expect(session)))
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The matching rule's question and the token to answer it with; `None` where no token is to be read.
fn ask_rules<'p, 'r>(policy: &'p Policy, request: &CheckRequest<'r>) -> Result<Option<(&'p Asks, &'r str)>, Denial> {
    match (policy.find(request)?, request.credential) {
        (Asks::Nothing, _) => Ok(None),
        (_, Credential::None) => Err(Denial::NoToken),
        (_, Credential::Unusable) => Err(Denial::InvalidToken),
        (asks, Credential::Bearer(token)) => Ok(Some((asks, token))),
    }
}

fn decide(asks: &Asks, policy: &Policy, holder: Holder, request: &CheckRequest<'_>, clock: &dyn Clock) -> Decision {
    let weighed = match asks {
        Asks::Nothing | Asks::Token => Ok(()),
        Asks::Holder(requirement) => requirement.weigh(&holder, clock.now()),
    };
    match weighed {
        Ok(()) => {
            tracing::debug!(subject = holder.subject(), request_id = request.request_id, "allowed");
            Decision::Allow(Some(holder))
        }
        Err(denial) => deny(denial, policy, request, Some(&holder)),
    }
}

fn deny(denial: Denial, policy: &Policy, request: &CheckRequest<'_>, identity: Option<&Identity>) -> Decision {
    if denial == Denial::Forbidden {
        let place = policy.place(request);
        let sid = identity.and_then(Identity::sid);
        audit::record(
            Event::AuthzFail,
            About {
                subject: identity.map(Identity::subject),
                sid: sid.as_ref().map(|sid| sid as &dyn fmt::Display),
                client: request.client.address(),
                request_id: request.request_id,
                path: place.as_ref().map(|(path, _)| path.as_str()),
                rule: place.as_ref().and_then(|(_, rule)| *rule),
                outcome: "denied",
            },
        );
    } else {
        tracing::debug!(why = %denial, request_id = request.request_id, "denied");
    }
    Decision::Deny(denial)
}

#[cfg(test)]
mod tests;
