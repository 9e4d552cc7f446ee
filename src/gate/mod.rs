//! The check plane's door: proxies' words in, decisions out, over HTTP/1, HTTP/2 and gRPC on one listener.
//!
//! The path of the check says which proxy asks, so where the original request is read from is configured, never
//! guessed: `nginx`, `forward`, `envoy_http`, `envoy_grpc`. All share `caller` (one connection, as hyper sees it),
//! `credential` (what the client showed), `decide` (the checker's word), `reply` (how a denial is worded), `sign_in` (where
//! browsers are sent) and `tally` (metrics). Answers come from the request's head; a check's body is never waited for. No
//! rule lives here: those are `check`'s.

mod asked;
mod body;
mod caller;
mod check_request;
mod credential;
mod decide;
mod envoy_grpc;
mod envoy_http;
mod forward;
mod frame;
mod health;
mod nginx;
mod origin;
mod removal;
mod reply;
mod sign_in;
mod tally;
mod trace;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use crate::check::checker::Checker;
use crate::check::identity::HeaderNames;
use crate::check::{CheckRequest, Decision, Denial};
use crate::gate::asked::Head;
pub use crate::gate::body::Body;
pub use crate::gate::caller::{Answer, Caller};
use crate::gate::decide::{Told, Visit};
use crate::gate::removal::Removal;
use crate::gate::sign_in::SignIn;
use crate::gate::tally::Tally;
use crate::health::Health;
use crate::listen::limits::OverLimits;
use crate::listen::peer::{Peer, TrustedProxies};
use crate::metrics::Metrics;

/// Who decides. `check_cached` is the hot path: from memory, without a runtime; `None` sends the question to `check`.
#[async_trait]
pub trait Checks: Send + Sync + 'static {
    fn check_cached(&self, request: &CheckRequest<'_>) -> Option<Decision>;
    async fn check(&self, request: &CheckRequest<'_>) -> Decision;
    /// All configured identity headers: removed where an allowed request has no identity.
    fn header_names(&self) -> HeaderNames;
}

#[async_trait]
impl Checks for Checker {
    fn check_cached(&self, request: &CheckRequest<'_>) -> Option<Decision> {
        self.check_cached(request)
    }
    async fn check(&self, request: &CheckRequest<'_>) -> Decision {
        self.check(request).await
    }
    fn header_names(&self) -> HeaderNames {
        self.header_names()
    }
}

/// What the configuration says about the door.
#[derive(Clone, Debug, Default)]
pub struct GateSettings {
    pub trusted_proxies: TrustedProxies,
    /// `check.cookie`: a cookie that may carry the access token; empty: none.
    pub cookie: String,
    /// `check.sign_in_url`; empty: browsers get a bare 401.
    pub sign_in_url: String,
}

/// The check plane of one process. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    checks: Arc<dyn Checks>,
    trusted: TrustedProxies,
    cookie: String,
    sign_in: Option<SignIn>,
    removal: Removal,
    tally: Tally,
    health: Arc<Health>,
}

/// The connection a request came over.
#[derive(Clone, Copy, Debug)]
struct Link {
    peer: Peer,
    /// Whether this peer's word about the original request and the client counts (SEC-P2).
    trusted: bool,
}

/// The four ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Nginx,
    Forward,
    EnvoyHttp,
    EnvoyGrpc,
}

/// What came in.
enum Arrival {
    Check(Visit),
    Elsewhere(Endpoint),
}

/// What a path of the check listener leads to.
enum Endpoint {
    Check(Door),
    GrpcHealth,
    Live,
    Ready,
    Unknown,
}

impl Gate {
    pub fn new(checks: Arc<dyn Checks>, settings: &GateSettings, metrics: &Metrics, health: Arc<Health>) -> Self {
        Self(Arc::new(Inner {
            removal: Removal::of(checks.header_names()),
            checks,
            trusted: settings.trusted_proxies.clone(),
            cookie: settings.cookie.clone(),
            sign_in: SignIn::at(&settings.sign_in_url),
            tally: Tally::new(metrics),
            health,
        }))
    }

    /// The service of one connection; hand `|peer| gate.on(peer)` to [`crate::listen::serve::serve`].
    pub fn on(&self, peer: &Peer) -> Caller {
        let link = Link { peer: *peer, trusted: self.0.trusted.trusts(peer) };
        Caller::new(Arc::clone(&self.0), link)
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Inner {
    fn receive<B>(&self, link: Link, request: &Request<B>) -> Arrival {
        match endpoint(request.uri().path()) {
            // A 2xx would turn a CONNECT into a tunnel.
            _ if request.method() == Method::CONNECT => Arrival::Elsewhere(Endpoint::Unknown),
            Endpoint::Check(door) => Arrival::Check(Visit::begin(door, link, request.headers())),
            _ if is_over_limits(request.extensions()) => Arrival::Elsewhere(Endpoint::Unknown),
            endpoint => Arrival::Elsewhere(endpoint),
        }
    }

    /// Answers from memory; `None` where the store must be asked, or the request's body read.
    fn answer_now<B>(&self, arrival: &Arrival, request: &Request<B>) -> Option<Response<Body>> {
        Some(match arrival {
            Arrival::Check(visit) if visit.door == Door::EnvoyGrpc => return None,
            Arrival::Check(visit) => {
                let told = self.told(visit, request);
                let decision = self.decide_now(visit, &told)?;
                self.word(visit, &told, &decision, request.method())
            }
            Arrival::Elsewhere(Endpoint::GrpcHealth) => return None,
            Arrival::Elsewhere(Endpoint::Live) => health::live(request.method()),
            Arrival::Elsewhere(Endpoint::Ready) => health::ready(&self.health, request.method()),
            Arrival::Elsewhere(_) if is_grpc_call(request) => frame::unimplemented(),
            Arrival::Elsewhere(_) => reply::unknown_endpoint(),
        })
    }

    async fn answer(&self, arrival: Arrival, request: Request<Incoming>) -> Response<Body> {
        match arrival {
            Arrival::Check(visit) if visit.door == Door::EnvoyGrpc => self.answer_grpc(&visit, request).await,
            Arrival::Check(visit) => {
                let told = self.told(&visit, &request);
                let decision = self.decide(&visit, &told, None).await;
                self.word(&visit, &told, &decision, request.method())
            }
            Arrival::Elsewhere(_) => health::answer_grpc(&self.health, request).await,
        }
    }

    /// What the proxy of an HTTP door tells.
    fn told<'a, B>(&'a self, visit: &Visit, request: &'a Request<B>) -> Told<'a> {
        let Link { peer, trusted } = visit.link;
        let head = Head::of(request);
        let asked = match visit.door {
            _ if is_over_limits(request.extensions()) => None,
            Door::Nginx => nginx::read(&head, trusted),
            Door::Forward => forward::read(&head, trusted),
            _ => envoy_http::read(&head, trusted),
        };
        if !trusted && visit.door != Door::EnvoyHttp {
            reply::warn_of_untrusted_peer(&peer);
        }
        Told { asked, headers: head.headers, source: peer, trusted: &self.trusted }
    }

    /// The answer over HTTP.
    fn word(&self, visit: &Visit, told: &Told<'_>, decision: &Decision, method: &Method) -> Response<Body> {
        match (decision, visit.door) {
            (Decision::Allow(identity), Door::EnvoyHttp) => {
                let cookies = credential::other_cookies(told.headers, &self.cookie);
                let names = || self.checks.header_names();
                envoy_http::allow(identity.as_ref(), self.removal.line(names, identity.as_deref()), cookies)
            }
            (Decision::Allow(identity), _) => reply::allow(identity.as_ref()),
            (Decision::Deny(denial), Door::Nginx) => nginx::deny(*denial, self.sign_in(*denial, told, true)),
            (Decision::Deny(denial), _) => reply::relayed_denial(*denial, self.sign_in(*denial, told, false), method),
        }
    }

    /// Where a browser is sent that may not pass yet.
    fn sign_in(&self, denial: Denial, told: &Told<'_>, or_silent: bool) -> Option<HeaderValue> {
        self.sign_in.as_ref()?.location(denial, told.asked.as_ref()?, told.headers, or_silent)
    }
}

fn endpoint(path: &str) -> Endpoint {
    if let Some(rest) = path.strip_prefix("/check/") {
        // As a prefix: proxies append the original path, or their own (contract rule 14).
        let (first, _) = rest.split_once('/').unwrap_or((rest, ""));
        return match first {
            "nginx" => Endpoint::Check(Door::Nginx),
            "forward" => Endpoint::Check(Door::Forward),
            "envoy" => Endpoint::Check(Door::EnvoyHttp),
            _ => Endpoint::Unknown,
        };
    }
    match path {
        envoy_grpc::PATH => Endpoint::Check(Door::EnvoyGrpc),
        "/livez" => Endpoint::Live,
        "/readyz" => Endpoint::Ready,
        _ if path.starts_with(health::GRPC_PREFIX) => Endpoint::GrpcHealth,
        _ => Endpoint::Unknown,
    }
}

/// Such a head is denied unread, as one that tells no whole request.
fn is_over_limits(extensions: &Extensions) -> bool {
    extensions.get::<OverLimits>().is_some()
}

/// A client's own content type makes no gRPC call: a proxy that asks in HTTP at a wrong path must be denied.
fn is_grpc_call<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2 && request.method() == Method::POST && frame::is_grpc(request.headers())
}

/// An answer for people and probes, in plain text.
fn text(status: StatusCode, words: String, method: &Method) -> Response<Body> {
    let mut response = Response::new(if *method == Method::HEAD { Body::empty() } else { Body::from(words) });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
