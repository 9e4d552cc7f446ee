//! The gate as proxies meet it, over HTTP/2 in memory, with a witness where the checker would be: it notes what it is asked
//! and refuses.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use doorward::check::identity::HeaderNames;
use doorward::check::{CheckRequest, Credential, Decision, Denial};
use doorward::gate::{Checks, Gate, GateSettings};
use doorward::health::Health;
use doorward::listen::peer::{Peer, TrustedProxies};
use doorward::metrics::Metrics;
use http::{HeaderMap, HeaderName, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::Runtime;

/// The cookie that may carry a token.
pub const COOKIE: &str = "door";

/// What a check asked, as plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub host: String,
    pub target: String,
    pub credential: Shown,
    pub route: Option<String>,
    pub client: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    Token(String),
    Unusable,
}

#[derive(Default)]
struct Witness(Mutex<Option<Asked>>);

#[async_trait]
impl Checks for Witness {
    fn check_cached(&self, request: &CheckRequest<'_>) -> Option<Decision> {
        let credential = match request.credential {
            Credential::None => Shown::Nothing,
            Credential::Bearer(token) => Shown::Token(token.to_owned()),
            Credential::Unusable => Shown::Unusable,
        };
        let asked = Asked {
            method: request.method.to_owned(),
            host: request.host.to_owned(),
            target: request.target.to_owned(),
            credential,
            route: request.route.map(str::to_owned),
            client: request.client.address(),
        };
        *self.0.lock().expect("nobody panics with it") = Some(asked);
        Some(Decision::Deny(Denial::NoToken))
    }

    async fn check(&self, _: &CheckRequest<'_>) -> Decision {
        Decision::Deny(Denial::Unavailable)
    }

    fn header_names(&self) -> HeaderNames {
        HeaderNames::new(vec![HeaderName::from_static("x-auth-subject")])
    }
}

/// An answer of the gate, and what it asked before.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    pub trailers: HeaderMap,
    pub asked: Option<Asked>,
}

struct Door {
    runtime: Runtime,
    send: SendRequest<Full<Bytes>>,
    witness: Arc<Witness>,
}

impl Door {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let witness = Arc::new(Witness::default());
        let settings = GateSettings {
            trusted_proxies: TrustedProxies::new(&["127.0.0.0/8".parse().expect("a network")]),
            cookie: COOKIE.into(),
            sign_in_url: String::new(),
        };
        let checks: Arc<dyn Checks> = witness.clone();
        let gate = Gate::new(checks, &settings, &Metrics::new(), Arc::new(Health::new()));
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let peer = Peer::Tcp("127.0.0.1:1".parse().expect("an address"));
        let service = gate.on(&peer);
        let send = runtime.block_on(async move {
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(1 << 20)
                .serve_connection(TokioIo::new(theirs), service);
            tokio::spawn(async move { drop(serving.await) });
            let (send, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .handshake(TokioIo::new(ours))
                .await
                .expect("HTTP/2 in memory");
            tokio::spawn(async move { drop(connection.await) });
            send
        });
        Self { runtime, send, witness }
    }

    fn ask(&mut self, request: Request<Full<Bytes>>) -> Answer {
        *self.witness.0.lock().expect("nobody panics with it") = None;
        let (parts, body) = self.runtime.block_on(async {
            self.send.ready().await.expect("the connection stays");
            let (parts, body) = self.send.send_request(request).await.expect("an answer").into_parts();
            (parts, body.collect().await.expect("a whole body"))
        });
        Answer {
            status: parts.status,
            trailers: body.trailers().cloned().unwrap_or_default(),
            body: body.to_bytes(),
            asked: self.witness.0.lock().expect("nobody panics with it").take(),
        }
    }
}

/// Asks the gate, over one connection for each thread.
pub fn ask(request: Request<Full<Bytes>>) -> Answer {
    thread_local! {
        static DOOR: RefCell<Option<Door>> = const { RefCell::new(None) };
    }
    DOOR.with_borrow_mut(|door| door.get_or_insert_with(Door::open).ask(request))
}
