//! From what a proxy told to the checker's decision, timed, traced and counted: the same for every door.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::audit::{self, About, Event};
use crate::check::identity::Identity;
use crate::check::path::CanonicalPath;
use crate::check::{CheckRequest, Client, Decision, Denial, TellsClient};
use crate::gate::asked::{self, Asked};
use crate::gate::{Door, Inner, Link, credential, origin, trace};
use crate::listen::client::client_address;
use crate::listen::peer::{Peer, TrustedProxies};

/// One check, from its head's arrival to its decision.
pub(super) struct Visit {
    pub(super) door: Door,
    pub(super) link: Link,
    pub(super) began: Instant,
    span: Span,
}

impl Visit {
    /// `headers` are the check's own: proxies that trace put their span there.
    pub(super) fn begin(door: Door, link: Link, headers: &HeaderMap) -> Self {
        Self { door, link, began: Instant::now(), span: trace::begin(door, link, headers) }
    }
}

/// What a proxy told about one request.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// `None` where the original request is not told, not whole, or told by someone whose word does not count (SEC-P1, P2).
    pub(super) asked: Option<Asked<'a>>,
    /// What the original client sent, as far as it is told.
    pub(super) headers: &'a HeaderMap,
    /// The nearest hop whose word about the client may count: our peer, or what a trusted Envoy saw as its own.
    pub(super) source: Peer,
    pub(super) trusted: &'a TrustedProxies,
}

impl TellsClient for Told<'_> {
    fn client(&self) -> Option<IpAddr> {
        client_address(&self.source, self.trusted, self.headers)
    }
}

impl Inner {
    /// Decides from memory; `None` where that does not suffice.
    pub(super) fn decide_now(&self, visit: &Visit, told: &Told<'_>) -> Option<Decision> {
        let decision = match self.question(told) {
            None => Decision::Deny(Denial::BadPath),
            Some(question) => {
                let decided = visit.span.in_scope(|| self.checks.check_cached(&question.request))?;
                question.heed_origin(decided, told.headers)
            }
        };
        self.close(visit, &decision);
        Some(decision)
    }

    /// Decides. `budget` is how long the proxy still waits.
    pub(super) async fn decide(&self, visit: &Visit, told: &Told<'_>, budget: Option<Duration>) -> Decision {
        let decision = match self.question(told) {
            None => Decision::Deny(Denial::BadPath),
            Some(question) => {
                let check = self.checks.check(&question.request).instrument(visit.span.clone());
                let decided = match budget {
                    None => check.await,
                    Some(budget) => timeout(budget, check).await.unwrap_or(Decision::Deny(Denial::Unavailable)),
                };
                question.heed_origin(decided, told.headers)
            }
        };
        self.close(visit, &decision);
        decision
    }

    fn question<'a>(&self, told: &'a Told<'a>) -> Option<Question<'a>> {
        let asked = told.asked?;
        let shown = credential::read(told.headers, &self.cookie);
        let request = CheckRequest {
            method: asked.method,
            host: asked.host,
            target: asked.target,
            credential: shown.credential,
            route: asked.route,
            client: Client::told_by(told),
            request_id: asked::request_id(told.headers),
        };
        Some(Question { request, by_cookie: shown.by_cookie })
    }

    fn close(&self, visit: &Visit, decision: &Decision) {
        trace::end(&visit.span, decision);
        self.tally.count(visit.door, decision, visit.began);
    }
}

struct Question<'a> {
    request: CheckRequest<'a>,
    by_cookie: bool,
}

impl Question<'_> {
    /// A browser sends the cookie whoever made the request (SEC-C2). Where no token was asked for, none was abused.
    fn heed_origin(&self, decision: Decision, headers: &HeaderMap) -> Decision {
        let CheckRequest { method, host, .. } = self.request;
        match decision {
            Decision::Allow(Some(identity)) if self.by_cookie && !origin::may_use_cookie(method, host, headers) => {
                self.record_abuse(&identity);
                Decision::Deny(Denial::Forbidden)
            }
            decision => decision,
        }
    }

    /// The checker knows nothing of cookies, and has let it pass.
    fn record_abuse(&self, identity: &Identity) {
        let CheckRequest { target, client, request_id, .. } = self.request;
        let path = CanonicalPath::of(target).ok();
        audit::record(
            Event::AuthzFail,
            About {
                subject: Some(identity.subject()),
                sid: identity.sid().as_ref().map(|sid| sid as &dyn std::fmt::Display),
                client: client.address(),
                request_id,
                path: path.as_ref().map(CanonicalPath::as_str),
                outcome: "cross_site",
                ..About::default()
            },
        );
    }
}
