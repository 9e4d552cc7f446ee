//! Tokens that this process has minted itself: known before anybody shows them, so that their first check is a warm one.
//!
//! The issuer says through [`Hears`](crate::state::Hears) that it is about to ask the store for a session, and then which
//! token came of it. In between `Minted` stands where a lookup would: era, header plan and cell are taken before the store
//! is asked, so a session that ends meanwhile, a key that is removed or headers that change leave nothing behind (SEC-S2).

use std::sync::Arc;
use std::time::Duration;

use crate::check::cell::Cell;
use crate::check::checker::Checker;
use crate::check::headers::HeaderPlan;
use crate::check::known::{Era, Known};
use crate::check::lookup::Lookup;
use crate::clock::Millis;
use crate::secret::Digest;
use crate::state::{Entry, Expects, Hears};
use crate::token::{Claims, SessionId};

/// The checker of an issuer that has no check doors: it serves `/authenticate` alone, where few tokens are ever shown, so it
/// hears what ends and leaves the rest.
#[derive(Debug)]
pub struct EndsOnly(pub Arc<Checker>);

impl Hears for EndsOnly {
    fn hear(&self, entry: &Entry) {
        self.0.hear(entry);
    }
}

pub(super) struct Minted<'l> {
    lookup: &'l Lookup,
    era: Era,
    plan: Arc<HeaderPlan>,
    cell: Arc<Cell>,
    /// When the store was asked, or a little before, by the monotonic clock.
    asked: Duration,
}

impl Lookup {
    pub(super) fn expect(&self, session: &SessionId) -> Minted<'_> {
        Minted {
            lookup: self,
            era: self.cache.era(),
            plan: self.plan.load_full(),
            cell: self.cache.cell_of_session(session),
            asked: self.clock.monotonic(),
        }
    }
}

impl Expects for Minted<'_> {
    fn receive(self: Box<Self>, token: &str, claims: Claims, idle_left: Duration, ends: Millis) {
        let Self { lookup, era, plan, cell, asked } = *self;
        cell.lives_until(Some(asked + idle_left), Some(ends));
        // What can't be told to an upstream is denied by its first check, which also says why.
        let Ok(identity) = plan.identify(&claims, cell) else { return };
        let known = Known::new(Digest::of(token.as_bytes()), identity, era, asked);
        lookup.cache.keep(&Arc::new(known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Decision;
    use crate::check::headers::HeaderPlan;
    use crate::check::identity::HeaderSettings;
    use crate::check::policy::Policy;
    use crate::check::testing::{Bench, claims, get};
    use crate::state::Mark;

    const IDLE: Duration = Duration::from_secs(60);
    const ENDS: Millis = Millis(u64::MAX);

    /// What memory alone says of the token, where it says anything.
    fn known(bench: &Bench, token: &str) -> Option<bool> {
        bench.checker.check_cached(&get("/", token)).map(|decision| matches!(decision, Decision::Allow(Some(_))))
    }

    fn mint(bench: &Bench, token: &str, meanwhile: impl FnOnce(&Claims)) {
        let claims = claims(token);
        let expected = bench.checker.expect(&claims.sid.expect("own")).expect("a checker expects all");
        meanwhile(&claims);
        expected.receive(token, claims, IDLE, ENDS);
    }

    #[tokio::test]
    async fn a_minted_token_is_known_before_it_is_shown() {
        let bench = Bench::new(&[]);
        mint(&bench, "alice", |_| {});
        assert_eq!(known(&bench, "alice"), Some(true));
        assert_eq!((bench.store.asked(), bench.cache_requests("hit"), bench.cache_requests("miss")), (0, 1, 0));
    }

    // SEC-S2
    #[tokio::test]
    async fn what_ends_while_a_token_is_minted_ends_the_token() {
        let bench = Bench::new(&[]);
        let ends: [fn(&Claims) -> Entry; 5] = [
            |claims| Entry::Session(claims.sid.expect("own")),
            |claims| Entry::Subject(claims.tag()),
            |claims| Entry::Key(claims.kid.to_string()),
            |_| Entry::Everyone(Mark(1)),
            |_| Entry::Everything,
        ];
        for (n, end) in ends.into_iter().enumerate() {
            let token = format!("user{n}");
            mint(&bench, &token, |claims| bench.checker.hear(&end(claims)));
            assert_eq!(known(&bench, &token), None, "{n}");
        }
    }

    #[tokio::test]
    async fn an_issuer_without_check_doors_keeps_nothing_of_what_it_mints() {
        let bench = Bench::new(&[]);
        let issuer = EndsOnly(bench.checker.clone());
        assert!(issuer.expect(&claims("alice").sid.expect("own")).is_none());
    }

    // SEC-S1
    #[tokio::test]
    async fn a_later_end_reaches_a_minted_token() {
        let bench = Bench::new(&[]);
        let mut sid = None;
        mint(&bench, "alice", |claims| sid = claims.sid);
        bench.checker.hear(&Entry::Session(sid.expect("own")));
        assert_eq!(known(&bench, "alice"), Some(false));
    }

    #[tokio::test]
    async fn headers_that_change_while_a_token_is_minted_leave_no_old_ones_behind() {
        let bench = Bench::new(&[]);
        let other = HeaderSettings::Map([("X-User".to_owned(), "sub".to_owned())].into());
        mint(&bench, "alice", |_| {
            let policy = Policy::compile(&[], false).expect("no rules");
            bench.checker.reload(policy, HeaderPlan::new(&other).expect("a plan"));
        });
        assert_eq!(known(&bench, "alice"), None);
    }

    // SEC-S6
    #[tokio::test]
    async fn a_minted_token_asks_the_store_once_its_session_may_have_been_idle_too_long() {
        let bench = Bench::new(&[]);
        mint(&bench, "alice", |_| {});
        bench.clock.advance(IDLE);
        bench.sync();
        assert_eq!(known(&bench, "alice"), None);
    }

    #[tokio::test]
    async fn claims_that_cannot_become_headers_are_left_to_the_check() {
        let bench = Bench::new(&[]);
        mint(&bench, "a,b", |_| {});
        assert_eq!(known(&bench, "a,b"), None);
    }
}
