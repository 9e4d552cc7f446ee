//! Listeners: bind TCP or a Unix socket, accept, limit, time out, drain. Every plane's door stands on this.
//!
//! `address` binds, `serve` accepts, `cores` are the threads that serve, `connection` looks after one client, `watch` after all that are slow
//! or idle, `drain` ends it all. `protocol` tells HTTP/1 from HTTP/2, whose `streams` a connection runs itself. `peer` and `client` say
//! who is asking; `routed` lets an axum router stand behind a listener.

pub mod address;
pub mod client;
mod connection;
pub mod cores;
mod crowd;
pub mod drain;
pub mod limits;
pub mod networks;
mod order;
pub mod peer;
mod protocol;
mod pulse;
pub mod routed;
pub mod serve;
mod socket;
mod streams;
mod watch;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where each plane listens, and whose word about the client counts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The session plane: login, refresh, logout, JWKS.
    pub public: String,
    /// The check plane: auth_request, ext_authz HTTP and gRPC; `host:port` or `unix:/run/doorward/check.sock`.
    pub check: String,
    /// `/livez`, `/readyz`, `/metrics`.
    pub ops: String,
    /// Whose `X-Forwarded-*` and `X-Original-*` count: addresses or networks. A Unix socket's peer always does.
    #[serde(deserialize_with = "networks::networks")]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public: "127.0.0.1:8080".into(),
            check: "127.0.0.1:9191".into(),
            ops: "127.0.0.1:9192".into(),
            trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network"), "::1/128".parse().expect("a network")],
        }
    }
}
