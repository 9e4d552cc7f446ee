//! The session plane in this process: its real router over real keys and a real SQLite store, under a clock that stands
//! still, asked without a socket.

#![allow(dead_code, unreachable_pub, reason = "shared by test binaries, each of which uses its part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use doorward::accounts::first_admin::FirstAdmin;
use doorward::check::Denial;
use doorward::check::cell::Registry;
use doorward::check::identity::{HeaderNames, Identity};
use doorward::check::known::Holder;
use doorward::clock::{Clock, FixedClock, Timestamp};
use doorward::issue::record::Records;
use doorward::issue::trusted::TrustedCallers;
use doorward::issue::{Issuer, Parts, Settings};
use doorward::listen::peer::{Peer, TrustedProxies};
use doorward::metrics::Metrics;
use doorward::secret::{MacKey, from_base64url};
use doorward::state::sql::SqlState;
use doorward::state::{Entry, Hears, Lookups, Question, Standing};
use doorward::token::SessionId;
use doorward::token::jwt::{OwnKeys, OwnProfile, Signer, Verifier};
use doorward::token::keys::{self, KeyRing, RingRules};
use doorward::token::refresh::RefreshToken;
use doorward::web::router::router;
use doorward::web::{Authenticates, Desk};
use doorward::{database, issue};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::faulty::Faulty;

pub const PEER: &str = "127.0.0.1:40000";

/// One session plane. Everything it keeps is gone with it.
pub struct Plane {
    pub router: Router,
    pub issuer: Arc<Issuer>,
    pub store: Arc<Faulty>,
    pub clock: Arc<FixedClock>,
    pub metrics: Arc<Metrics>,
    pub heard: Arc<Heard>,
    pub refresh_key: MacKey,
    /// The key that signs.
    pub kid: String,
    pub verifier: Arc<Verifier>,
    _files: TempDir,
}

/// What the check plane beside the issuer was told.
#[derive(Default)]
pub struct Heard(Mutex<Vec<Entry>>);

impl Heard {
    pub fn of(&self, sid: &SessionId) -> bool {
        self.0.lock().expect("unpoisoned").contains(&Entry::Session(*sid))
    }
    pub fn everything(&self) -> Vec<Entry> {
        self.0.lock().expect("unpoisoned").clone()
    }
}

impl Hears for Heard {
    fn hear(&self, entry: &Entry) {
        self.0.lock().expect("unpoisoned").push(entry.clone());
    }
}

/// The way of a check without its cache: signature, claims, standing.
struct Uncached {
    verifier: Arc<Verifier>,
    store: Arc<Faulty>,
    clock: Arc<FixedClock>,
}

#[async_trait]
impl Authenticates for Uncached {
    async fn authenticate(&self, token: &str) -> Result<Holder, Denial> {
        let claims = self.verifier.verify(token, self.clock.now()).map_err(|_| Denial::InvalidToken)?;
        let (Some(sid), Some(jti)) = (claims.sid, claims.jti.clone()) else { return Err(Denial::InvalidToken) };
        match self.store.standing(&Question::Own { sid, jti, epoch: claims.epoch }).await {
            Ok(Standing::Live { .. }) => {
                Ok(Identity::new(&claims, Registry::default().cell(&claims), HeaderNames::default(), &[]).into())
            }
            Ok(Standing::Dead) => Err(Denial::InvalidToken),
            Err(_) => Err(Denial::Unavailable),
        }
    }
}

pub async fn plane() -> Plane {
    plane_with(issue::Settings::default()).await
}

/// Loopback may log in unless caller keys or networks are configured, as under `--dev`.
pub async fn plane_with(settings: Settings) -> Plane {
    let files = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(FixedClock::at(Timestamp(1_800_000_000)));
    let metrics = Arc::new(Metrics::new());
    let database = database::Settings {
        url: format!("sqlite:{}", files.path().join("state.db").display()),
        ..database::Settings::default()
    };
    let database = database::open(&database, clock.clone()).await.expect("a database");
    let store = SqlState::new(database, metrics.clone()).await.expect("a store");
    let store = Arc::new(Faulty::new(Arc::new(store)));
    let keys = keys::Settings { dir: files.path().join("keys").display().to_string(), ..keys::Settings::default() };
    let rules = RingRules { publish_ahead: Duration::from_secs(300), keep_after: Duration::from_secs(900) };
    let ring = Arc::new(KeyRing::load_or_create(&keys, rules, clock.now()).expect("keys"));
    let verifier = Arc::new(own_verifier(&ring, &settings));
    let signer = Arc::new(Signer::new(ring.clone()).heeding(verifier.clone()));
    let kid = ring.signing_key(clock.now()).expect("a key that signs").kid().to_owned();
    let heard = Arc::new(Heard::default());
    let refresh_key = RefreshToken::key(ring.secret());
    let issuer = Arc::new(Issuer::new(Parts {
        cores: 1,
        sessions: store.clone(),
        users: None,
        records: Records::default(),
        signer,
        verifier: verifier.clone(),
        refresh_key: refresh_key.clone(),
        clock: clock.clone(),
        hears: Some(heard.clone()),
        metrics: metrics.clone(),
        settings: settings.clone(),
    }));
    let dev = settings.trusted_login.caller_keys_file.is_empty() && settings.trusted_login.allow_from.is_empty();
    let callers = TrustedCallers::load(&settings.trusted_login, dev).expect("caller keys");
    let now = clock.now();
    let desk = Desk {
        issuer: issuer.clone(),
        accounts: None,
        oauth: None,
        first_admin: FirstAdmin::in_folder(files.path()),
        limits: None,
        authenticates: Arc::new(Uncached { verifier: verifier.clone(), store: store.clone(), clock: clock.clone() }),
        keys: Arc::new(move || ring.jwks(now)),
        callers: ArcSwap::from_pointee(callers),
        proxies: TrustedProxies::new(&["127.0.0.0/8".parse().expect("a network")]),
        graphql: true,
        dev: false,
    };
    let router = router(Arc::new(desk));
    Plane { router, issuer, store, clock, metrics, heard, refresh_key, kid, verifier, _files: files }
}

fn own_verifier(ring: &Arc<KeyRing>, settings: &Settings) -> Verifier {
    let own = OwnProfile { issuer: settings.issuer.clone(), audience: settings.audience.clone() };
    Verifier::new(own, OwnKeys::Ring(ring.clone()), &[]).expect("a verifier")
}

/// A token pair as a client holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

impl Pair {
    /// The access token's claims, read without verifying.
    pub fn claims(&self) -> Value {
        let payload = self.access.split('.').nth(1).and_then(from_base64url).expect("a JWT");
        serde_json::from_slice(&payload).expect("claims")
    }

    pub fn sid(&self) -> SessionId {
        self.claims()["sid"].as_str().expect("a sid").parse().expect("a session id")
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The pair of an answer that has one.
    pub fn pair(&self) -> Pair {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        let body = self.json();
        assert_eq!(body.as_object().expect("an object").len(), 2, "{body}");
        let text = |name: &str| body[name].as_str().expect("a token").to_owned();
        Pair { access: text("access"), refresh: text("refresh") }
    }

    /// Asserts a refusal with this status and code, in the form that all have.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem = self.json();
        let members: Vec<_> = problem.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(members, ["code", "detail", "request_id", "status", "title", "type"]);
        assert_eq!((problem["code"].as_str(), problem["status"].as_u64()), (Some(code), Some(status.into())));
        assert_eq!(problem["request_id"].as_str(), self.headers["x-request-id"].to_str().ok());
        assert_eq!(self.headers.contains_key(header::WWW_AUTHENTICATE), status == 401);
        assert_eq!(self.headers.contains_key(header::RETRY_AFTER), status == 503);
    }
}

impl Plane {
    pub async fn ask(&self, request: Request<Body>) -> Answer {
        self.ask_from(PEER, request).await
    }

    pub async fn ask_from(&self, peer: &str, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Peer::Tcp(peer.parse::<SocketAddr>().expect("an address")));
        let (head, body) = self.router.clone().oneshot(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: head.status, headers: head.headers, body: String::from_utf8(body.into()).expect("UTF-8") }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(post(path, body.to_string())).await
    }

    pub async fn try_login(&self, user_id: Value) -> Answer {
        self.post("/login", &json!({ "user_id": user_id })).await
    }

    pub async fn login(&self, user_id: impl Into<Value>) -> Pair {
        self.try_login(user_id.into()).await.pair()
    }

    pub async fn refresh(&self, pair: &Pair) -> Answer {
        self.post("/refresh", &json!({ "refresh": pair.refresh })).await
    }

    pub async fn logout(&self, token: &str) -> Answer {
        self.ask(bearing("POST", "/logout", token)).await
    }

    pub async fn authenticate(&self, pair: &Pair) -> Answer {
        self.ask(bearing("GET", "/authenticate", &pair.access)).await
    }

    /// The value of one line of the metrics; 0 where there is none.
    pub fn metric(&self, line: &str) -> u64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|l| l.strip_prefix(&format!("doorward_{line} ")));
        value.map_or(0, |value| value.parse().expect("a number"))
    }
}

pub fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    request.body(body.into()).expect("a request")
}

pub fn bearing(method: &str, path: &str, token: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    request.body(Body::empty()).expect("a request")
}

/// Awaits all at once, in one task.
pub async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(Box::pin).map(Some).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        for place in &mut waiting {
            if let Some(future) = place
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                done.push(output);
                *place = None;
            }
        }
        if waiting.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}
