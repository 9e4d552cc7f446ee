//! The check plane's door: proxies' words in, decisions out, over HTTP/1, HTTP/2 and gRPC on one listener.
//!
//! The path of the check says which proxy asks, so where the original request is read from is configured, never
//! guessed: `nginx`, `forward`, `envoy_http`, `envoy_grpc`. All share `credential` (what the client showed), `reply`
//! (how a denial is worded), `sign_in` (where browsers are sent) and `tally` (metrics). Answers come from the request's
//! head; a check's body is never waited for. No rule lives here: those are `check`'s.

mod asked;
mod body;
mod credential;
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

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};

use crate::check::checker::Checker;
use crate::check::{CheckRequest, Decision, Denial};
use crate::gate::asked::Asked;
pub use crate::gate::body::Body;
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
    fn header_names(&self) -> Arc<[HeaderName]>;
}

#[async_trait]
impl Checks for Checker {
    fn check_cached(&self, request: &CheckRequest<'_>) -> Option<Decision> {
        self.check_cached(request)
    }
    async fn check(&self, request: &CheckRequest<'_>) -> Decision {
        self.check(request).await
    }
    fn header_names(&self) -> Arc<[HeaderName]> {
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
    pub fn on(
        &self,
        peer: &Peer,
    ) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + use<>
    {
        let link = Link { peer: *peer, trusted: self.0.trusted.trusts(peer) };
        let gate = Arc::clone(&self.0);
        service_fn(move |request| {
            let gate = Arc::clone(&gate);
            async move { Ok(gate.answer(link, request).await) }
        })
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Inner {
    async fn answer(&self, link: Link, request: Request<Incoming>) -> Response<Body> {
        // A body nobody reads would be taken for the next request (contract rule 3).
        let close = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
        let mut response = match endpoint(request.uri().path()) {
            // A 2xx would turn a CONNECT into a tunnel.
            _ if request.method() == Method::CONNECT => reply::unknown_endpoint(),
            Endpoint::Check(Door::EnvoyGrpc) => self.answer_grpc(link, request).await,
            Endpoint::Check(door) => self.answer_http(door, link, &request.into_parts().0).await,
            _ if is_over_limits(request.extensions()) => reply::unknown_endpoint(),
            Endpoint::GrpcHealth => Box::pin(health::answer_grpc(&self.health, request)).await,
            Endpoint::Live => health::live(request.method()),
            Endpoint::Ready => health::ready(&self.health, request.method()),
            Endpoint::Unknown if is_grpc_call(&request) => frame::unimplemented(),
            Endpoint::Unknown => reply::unknown_endpoint(),
        };
        if close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn answer_http(&self, door: Door, link: Link, parts: &Parts) -> Response<Body> {
        let began = Instant::now();
        let asked = match door {
            _ if is_over_limits(&parts.extensions) => None,
            Door::Nginx => nginx::read(parts, link.trusted),
            Door::Forward => forward::read(parts, link.trusted),
            _ => envoy_http::read(parts, link.trusted),
        };
        if !link.trusted && door != Door::EnvoyHttp {
            reply::warn_of_untrusted_peer(&link.peer);
        }
        let client = crate::listen::client::client_address(&link.peer, &self.trusted, &parts.headers);
        let decision = self.decide(asked.as_ref(), &parts.headers, client, None).await;
        self.tally.count(door, &decision, began);

        let names = || self.checks.header_names();
        match (&decision, door) {
            (Decision::Allow(identity), Door::EnvoyHttp) => {
                let cookies = credential::other_cookies(&parts.headers, &self.cookie);
                envoy_http::allow(identity.as_deref(), self.removal.line(names, identity.as_deref()), cookies)
            }
            (Decision::Allow(identity), _) => reply::allow(identity.as_deref()),
            (Decision::Deny(denial), _) => {
                let silent = door == Door::Nginx;
                let sign_in = self.sign_in(*denial, asked.as_ref(), &parts.headers, silent);
                match door {
                    Door::Nginx => nginx::deny(*denial, sign_in),
                    _ => reply::relayed_denial(*denial, sign_in, &parts.method),
                }
            }
        }
    }

    fn sign_in(
        &self,
        denial: Denial,
        asked: Option<&Asked<'_>>,
        headers: &HeaderMap,
        or_silent: bool,
    ) -> Option<HeaderValue> {
        self.sign_in.as_ref()?.location(denial, asked?, headers, or_silent)
    }

    /// Asks, with what the client showed. `budget` is how long the proxy still waits.
    async fn decide(
        &self,
        asked: Option<&Asked<'_>>,
        headers: &HeaderMap,
        client: Option<std::net::IpAddr>,
        budget: Option<Duration>,
    ) -> Decision {
        // The original request is not told, not whole, or told by someone whose word does not count (SEC-P1, P2).
        let Some(asked) = asked else { return Decision::Deny(Denial::BadPath) };
        let shown = credential::read(headers, &self.cookie);
        let request = CheckRequest {
            method: asked.method,
            host: asked.host,
            target: asked.target,
            credential: shown.credential,
            route: asked.route,
            client,
            request_id: asked::request_id(headers),
        };
        let decision = match self.checks.check_cached(&request) {
            Some(decision) => decision,
            None => match budget {
                None => self.checks.check(&request).await,
                Some(budget) => tokio::time::timeout(budget, self.checks.check(&request))
                    .await
                    .unwrap_or(Decision::Deny(Denial::Unavailable)),
            },
        };
        // A browser sends the cookie whoever made the request (SEC-C2). Where no token was asked for, none was abused.
        let forged = shown.by_cookie && !origin::may_use_cookie(asked.method, asked.host, headers);
        match decision {
            Decision::Allow(Some(_)) if forged => Decision::Deny(Denial::Forbidden),
            decision => decision,
        }
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
fn is_grpc_call(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_2 && request.method() == Method::POST && frame::is_grpc(request.headers())
}

/// An answer for people and probes, in plain text.
fn text(status: StatusCode, words: String, method: &Method) -> Response<Body> {
    let mut response = Response::new(if *method == Method::HEAD { Body::empty() } else { Body::from(words) });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
