//! A gate on a real socket with decisions written by hand, and a plain HTTP/1 client that sees every byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use doorward::check::cell::Registry;
use doorward::check::identity::{HeaderNames, Identity};
use doorward::check::known::Holder;
use doorward::check::{CheckRequest, Credential, Decision, Denial};
use doorward::clock::Timestamp;
use doorward::gate::{Checks, Gate, GateSettings};
use doorward::health::Health;
use doorward::listen::address::Listener;
use doorward::listen::drain::Drain;
use doorward::listen::limits::Limits;
use doorward::listen::peer::TrustedProxies;
use doorward::listen::serve::{Drained, serve};
use doorward::metrics::Metrics;
use doorward::token::{Claims, Epoch};
use http::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
pub(crate) const ROLES: HeaderName = HeaderName::from_static("x-auth-roles");

/// Decides by the token's text, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Book {
    asked: Mutex<Vec<String>>,
    /// The token `slow` is answered after this.
    pub(crate) release: Notify,
    /// Told when `slow` is asked about.
    pub(crate) waiting: Notify,
    /// Told when whoever asked about `slow` is gone before the answer.
    pub(crate) given_up: Notify,
}

/// Tells it when dropped.
struct Untold<'a>(&'a Notify);

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Book {
    /// The last question: `method host target route client request_id`.
    pub(crate) fn last(&self) -> Option<String> {
        self.asked.lock().unwrap().last().cloned()
    }
    pub(crate) fn questions(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
    fn decide(request: &CheckRequest<'_>) -> Decision {
        if request.target.starts_with("/open") {
            return Decision::Allow(None);
        }
        Decision::Deny(match (request.credential, request.route) {
            (Credential::Bearer(_), Some("closed")) | (Credential::Bearer("small"), _) => Denial::Forbidden,
            (Credential::Bearer("good" | "slow"), _) => return Decision::Allow(Some(alice(true))),
            (Credential::Bearer("roleless"), _) => return Decision::Allow(Some(alice(false))),
            (Credential::Bearer("stale"), _) => Denial::InsufficientAuthentication,
            (Credential::Bearer("unknown"), _) => Denial::Unavailable,
            (Credential::None, _) => Denial::NoToken,
            _ => Denial::InvalidToken,
        })
    }
}

#[async_trait]
impl Checks for Book {
    fn check_cached(&self, request: &CheckRequest<'_>) -> Option<Decision> {
        let CheckRequest { method, host, target, route, client, request_id, .. } = request;
        let client = client.address().map(|ip| ip.to_string());
        let line = format!(
            "{method} {host} {target} {} {} {}",
            route.unwrap_or("-"),
            client.as_deref().unwrap_or("-"),
            request_id.unwrap_or("-")
        );
        self.asked.lock().unwrap().push(line);
        match request.credential {
            Credential::Bearer("slow" | "fatal") => None,
            _ => Some(Self::decide(request)),
        }
    }
    async fn check(&self, request: &CheckRequest<'_>) -> Decision {
        let fatal = matches!(request.credential, Credential::Bearer("fatal"));
        assert!(!fatal, "as a fault of ours would");
        self.waiting.notify_one();
        let untold = Untold(&self.given_up);
        self.release.notified().await;
        std::mem::forget(untold);
        Self::decide(request)
    }
    fn header_names(&self) -> HeaderNames {
        HeaderNames::new(vec![SUBJECT, ROLES])
    }
}

fn alice(with_roles: bool) -> Holder {
    let claims = Claims {
        issuer: "doorward".into(),
        own: false,
        subject: "alice".into(),
        expires: Timestamp(u64::MAX),
        issued: None,
        jti: None,
        sid: None,
        epoch: Epoch::default(),
        roles: vec!["admin".into(), "user".into()],
        scope: vec!["read".into(), "write".into()],
        amr: Vec::new(),
        auth_time: None,
        kid: "k".into(),
        payload: serde_json::Map::new(),
    };
    let values = [Some("alice"), with_roles.then_some("admin,user")];
    Identity::new(&claims, Registry::default().cell(&claims), HeaderNames::new(vec![SUBJECT, ROLES]), &values).into()
}

/// A gate that listens.
pub(crate) struct Door {
    pub(crate) book: Arc<Book>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Arc<Health>,
    pub(crate) drain: Drain,
    pub(crate) at: String,
    pub(crate) served: JoinHandle<Drained>,
}

pub(crate) struct Setup {
    pub(crate) listen: String,
    pub(crate) limits: Limits,
    pub(crate) trusted: &'static [&'static str],
    pub(crate) cookie: &'static str,
    pub(crate) sign_in_url: &'static str,
    pub(crate) finish: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            limits: Limits::check(),
            trusted: &["127.0.0.0/8"],
            cookie: "",
            sign_in_url: "",
            finish: Duration::from_secs(10),
        }
    }
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let (book, metrics, health) = (Arc::new(Book::default()), Metrics::new(), Arc::new(Health::new()));
        let settings = GateSettings {
            trusted_proxies: networks(setup.trusted),
            cookie: setup.cookie.into(),
            sign_in_url: setup.sign_in_url.into(),
        };
        let gate = Gate::new(Arc::clone(&book) as Arc<dyn Checks>, &settings, &metrics, Arc::clone(&health));
        let listener = Listener::bind(&setup.listen).await.expect("a free address");
        let at = listener.local_addr().to_string();
        let drain = Drain::new(setup.finish);
        let served = tokio::spawn(serve(listener, setup.limits, move |peer| gate.on(peer), drain.clone()));
        Self { book, metrics, health, drain, at, served }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.at.parse().expect("a TCP address")
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address()).await.expect("a listener"))
    }

    /// One request on a connection of its own: the first line without version, and header lines.
    pub(crate) async fn ask(&self, line: &str, headers: &[&str]) -> Answer {
        self.connect().await.ask(line, headers).await
    }
}

pub(crate) fn networks(texts: &[&str]) -> TrustedProxies {
    TrustedProxies::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The header's value; fails if it came twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} came twice: {self:?}");
        first.map(|(_, value)| value.as_str())
    }
    pub(crate) fn reason(&self) -> &str {
        self.header("x-doorward-reason").unwrap_or("-")
    }
}

/// One HTTP/1 connection.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("an open connection");
    }

    pub(crate) async fn ask(&mut self, line: &str, headers: &[&str]) -> Answer {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(format!("{line} HTTP/1.1\r\n{headers}\r\n")).await;
        self.answer(line.starts_with("HEAD ")).await
    }

    pub(crate) async fn answer(&mut self, to_head: bool) -> Answer {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "closed within an answer's head: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect()).expect("an ASCII head");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().expect("a status");
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").expect("a header line"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while !to_head && self.unread.len() < length {
            assert!(self.more().await, "closed within a body");
        }
        answer.body = String::from_utf8(self.unread.drain(..if to_head { 0 } else { length }).collect()).unwrap();
        answer
    }

    /// Waits for the other side to close; anything it still sends fails the test.
    pub(crate) async fn closed(mut self) {
        assert!(!self.more().await, "more came: {:?}", String::from_utf8_lossy(&self.unread));
    }

    /// Reads some more; false at the end. A reset is an end too.
    async fn more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread);
        let read = tokio::time::timeout(PATIENCE, read).await.expect("an answer or an end in good time");
        read.is_ok_and(|n| n > 0)
    }
}
