//! What the clients ask: checks as the shipped NGINX and Envoy files word them, each with the next token in turn, logins
//! and refreshes.

use std::collections::VecDeque;

use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, Metadata, SocketAddress, address};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::google::protobuf::Timestamp;
use prost::Message;

use crate::harness::doorward::Pair;
use crate::load::closed::Script;

/// A GET with a bearer token, for one token after another.
pub struct Bearers<'a> {
    tokens: &'a [String],
    next: usize,
    target: &'static str,
    rest: &'static str,
}

impl<'a> Bearers<'a> {
    /// The check that `nginx/doorward/server.conf` makes.
    pub fn by_nginx(tokens: &'a [String]) -> Self {
        let rest = "Accept: */*\r\nHost: app.example\r\nX-Forwarded-Host: app.example\r\nX-Original-Method: GET\r\n\
            X-Original-URI: /reports/2026/10?page=3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n\
            X-Request-Id: 6f1ed002ab5595859014ebf0951522d9\r\nX-Doorward-Route: api\r\n\r\n";
        Self { tokens, next: 0, target: "/check/nginx", rest }
    }

    /// The check that `envoy/http.yaml` makes.
    pub fn by_envoy(tokens: &'a [String]) -> Self {
        let rest = "Accept: */*\r\nHost: app.example\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Length: 0\r\n\
            X-Request-Id: 6f1ed002-ab55-4598-9014-ebf0951522d9\r\n\r\n";
        Self { tokens, next: 0, target: "/check/envoy/reports/2026/10?page=3", rest }
    }

    /// What a client asks of the proxy.
    pub fn of_clients(tokens: &'a [String]) -> Self {
        let rest = "Accept: */*\r\nHost: app.example\r\nUser-Agent: bench\r\n\r\n";
        Self { tokens, next: 0, target: "/reports/2026/10?page=3", rest }
    }
}

impl Script for Bearers<'_> {
    fn ask(&mut self, into: &mut Vec<u8>) {
        let token = self.tokens[self.next].as_bytes();
        self.next = (self.next + 1) % self.tokens.len();
        for part in [b"GET ", self.target.as_bytes(), b" HTTP/1.1\r\nAuthorization: Bearer ", token, b"\r\n"] {
            into.extend_from_slice(part);
        }
        into.extend_from_slice(self.rest.as_bytes());
    }

    fn hear(&mut self, status: u16, _: &[u8]) -> bool {
        status == 200
    }
}

/// The `CheckRequest` that Envoy makes of the same with `envoy/grpc.yaml`, for one token after another.
pub struct Calls<'a> {
    tokens: &'a [String],
    next: usize,
    before: Vec<u8>,
    after: Vec<u8>,
    /// The last answer.
    pub heard: Vec<u8>,
}

impl<'a> Calls<'a> {
    pub fn new(tokens: &'a [String]) -> Self {
        let whole = check_request(&tokens[0]).encode_to_vec();
        let token = tokens[0].as_bytes();
        let at = whole.windows(token.len()).position(|bytes| bytes == token).expect("the token is in it");
        let (before, after) = (whole[..at].to_vec(), whole[at + token.len()..].to_vec());
        Self { tokens, next: 0, before, after, heard: Vec::new() }
    }
}

impl Script for Calls<'_> {
    fn ask(&mut self, into: &mut Vec<u8>) {
        let token = &self.tokens[self.next];
        assert_eq!(token.len(), self.tokens[0].len(), "the lengths before it stay true");
        into.extend_from_slice(&self.before);
        into.extend_from_slice(token.as_bytes());
        into.extend_from_slice(&self.after);
        self.next = (self.next + 1) % self.tokens.len();
    }

    fn hear(&mut self, _: u16, message: &[u8]) -> bool {
        // A status with code 0, which protobuf does not write, stands first in every yes; an RPC error has no message.
        if self.heard.is_empty() {
            self.heard = message.to_vec();
        }
        message.starts_with(&[0x0a, 0])
    }
}

fn check_request(token: &str) -> CheckRequest {
    let line = |key: &str, value: &str| HeaderValue {
        key: key.into(),
        raw_value: value.as_bytes().to_vec(),
        ..Default::default()
    };
    let headers = vec![
        line("authorization", &format!("Bearer {token}")),
        line("accept", "*/*"),
        line("x-forwarded-for", "192.0.2.7"),
        line("x-request-id", "6f1ed002-ab55-4598-9014-ebf0951522d9"),
    ];
    let http = HttpRequest {
        id: "11446546738243158243".into(),
        method: "GET".into(),
        header_map: Some(HeaderMap { headers }),
        path: "/reports/2026/10?page=3".into(),
        host: "app.example".into(),
        scheme: "http".into(),
        protocol: "HTTP/1.1".into(),
        ..Default::default()
    };
    let peer = |address: &str, port| {
        let port = Some(PortSpecifier::PortValue(port));
        let socket = SocketAddress { address: address.into(), port_specifier: port, ..Default::default() };
        let address = Some(Address { address: Some(address::Address::SocketAddress(socket)) });
        Some(Peer { address, ..Default::default() })
    };
    let time = Some(Timestamp { seconds: 1_792_000_000, nanos: 417_000_000 });
    CheckRequest {
        attributes: Some(AttributeContext {
            source: peer("192.0.2.7", 51_034),
            destination: peer("192.0.2.1", 8000),
            request: Some(Request { time, http: Some(http) }),
            context_extensions: [("doorward.route".into(), "api".into())].into(),
            metadata_context: Some(Metadata::default()),
            route_metadata_context: Some(Metadata::default()),
            ..Default::default()
        }),
    }
}

/// `POST /login` for user after user, keeping what they are given.
pub struct Logins {
    user: usize,
    pub pairs: Vec<Pair>,
}

impl Logins {
    /// For the users after the first so many.
    pub fn after(users: usize) -> Self {
        Self { user: users, pairs: Vec::new() }
    }
}

impl Script for Logins {
    fn ask(&mut self, into: &mut Vec<u8>) {
        // All of one length, so that answers are too.
        post(into, "/login", &format!("{{\"user_id\": {}}}", 10_000_000 + self.user));
        self.user += 1;
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> bool {
        self.pairs.extend(pair(body));
        status == 200
    }
}

/// `POST /refresh` with each pair's newest token in turn.
pub struct Refreshes {
    pub tokens: VecDeque<String>,
}

impl Script for Refreshes {
    fn ask(&mut self, into: &mut Vec<u8>) {
        let token = self.tokens.pop_front().expect("more tokens than connections");
        post(into, "/refresh", &format!("{{\"refresh\": \"{token}\"}}"));
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> bool {
        self.tokens.extend(pair(body).map(|pair| pair.refresh));
        status == 200
    }
}

/// `POST /auth/login` with a wrong password, every second time for an account that there is.
#[derive(Default)]
pub struct Guesses(u64);

impl Script for Guesses {
    fn ask(&mut self, into: &mut Vec<u8>) {
        let who = ["guessed", "nobody"][(self.0 % 2) as usize];
        self.0 += 1;
        post(into, "/auth/login", &format!("{{\"email\": \"{who}@example.com\", \"password\": \"guess {}\"}}", self.0));
    }

    fn hear(&mut self, status: u16, _: &[u8]) -> bool {
        status == 401
    }
}

fn post(into: &mut Vec<u8>, target: &str, body: &str) {
    let head = format!("POST {target} HTTP/1.1\r\nHost: doorward\r\nContent-Type: application/json\r\n");
    into.extend_from_slice(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
}

fn pair(body: &[u8]) -> Option<Pair> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let token = |name: &str| body[name].as_str().map(str::to_owned);
    Some(Pair { access: token("access")?, refresh: token("refresh")? })
}
