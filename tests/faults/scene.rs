//! What the faults happen to: nodes of both roles that share a store and a folder of keys, with bounds that are short, so
//! that the tests need not wait long for them.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::doorward::{Doorward, Pair, merge};
use crate::harness::history::Terms;
use crate::harness::redis::{self, RedisServer};
use crate::harness::users::Users;
use crate::harness::wait::{answered, wait_for};

/// `max_staleness` and `max_staleness_on_error` of every node here.
pub(crate) const STALENESS: Duration = Duration::from_millis(500);
pub(crate) const ON_ERROR: Duration = Duration::from_secs(3);

/// For a busy machine, on top of a bound.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

/// Longer than any fault here, so that no retry comes after its window.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// A store that keeps what it acknowledged, away from some nodes for a while.
pub(crate) const TERMS: Terms = Terms { bound: Duration::from_millis(3_000 + 1_000), grace: GRACE, forgets: false };

/// So many users at once; few, since many tests share two processors.
const USERS: usize = 4;

pub(crate) fn redis() -> Option<RedisServer> {
    redis::available().then(RedisServer::start)
}

pub(crate) fn config(redis: &RedisServer) -> Value {
    config_of(&redis.url())
}

pub(crate) fn config_of(url: &str) -> Value {
    json!({
        "state": {"url": url},
        "check": {"cache": {"max_staleness": "500ms", "max_staleness_on_error": "3s"}},
    })
}

/// Nodes of one deployment, each with its own way to the store.
pub(crate) struct Scene {
    pub(crate) nodes: Vec<Doorward>,
    pub(crate) keys: TempDir,
    more: Value,
}

impl Scene {
    pub(crate) fn of(urls: &[&str]) -> Self {
        Self::with(urls, json!({}))
    }

    pub(crate) fn with(urls: &[&str], more: Value) -> Self {
        let mut scene = Self { nodes: Vec::new(), keys: tempfile::tempdir().expect("a folder"), more };
        for url in urls {
            let node = scene.another(url, json!({}));
            scene.nodes.push(node);
        }
        scene
    }

    /// The configuration of a node that has this way to the store.
    pub(crate) fn config(&self, url: &str) -> Value {
        let mut config = config_of(url);
        let ours = json!({
            "keys": {"dir": self.keys.path().join("keys")},
            "logging": {"level": "info"},
            "auth": {"refresh_grace": format!("{}s", GRACE.as_secs()), "max_sessions_per_user": 0},
        });
        merge(&mut config, ours);
        merge(&mut config, self.more.clone());
        config
    }

    pub(crate) fn another(&self, url: &str, more: Value) -> Doorward {
        let mut config = self.config(url);
        merge(&mut config, more);
        Doorward::start(config)
    }

    /// Users over all nodes, who have begun.
    pub(crate) fn users(&self, terms: Terms) -> Users {
        let users = Users::start(USERS, &self.nodes, terms);
        goes_on(&users);
        users
    }
}

/// Waits until users get answers again.
pub(crate) fn goes_on(users: &Users) {
    let before = users.tally().answers();
    wait_for("users to be answered", || users.tally().answers() > before + 200);
}

/// As a client does, who asks again where an outage is told: a node has several connections, and each finds its way back by itself.
pub(crate) fn refreshed(node: &Doorward, refresh: &str) -> Pair {
    Pair::of(&answered(|| node.refresh(refresh)))
}
