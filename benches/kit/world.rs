//! What the rows share: one Redis, one issuer, and tokens that it issued, each made when it is first asked for.

use std::cell::OnceCell;
use std::time::Duration;

use serde_json::{Value, json};

use super::questions::{Checks, Logins};
use crate::harness::doorward::{Doorward, merge};
use crate::harness::redis::RedisServer;
use crate::load::http1::{self, Script};
use crate::load::{Address, Until};

pub struct World {
    pub quick: bool,
    redis: OnceCell<RedisServer>,
    issuer: OnceCell<Doorward>,
    tokens: OnceCell<Vec<String>>,
}

impl World {
    pub fn new(quick: bool) -> Self {
        Self { quick, redis: OnceCell::new(), issuer: OnceCell::new(), tokens: OnceCell::new() }
    }

    /// How many pairs of turns a comparison takes.
    pub fn rounds(&self) -> usize {
        if self.quick { 3 } else { 15 }
    }

    /// How long one turn takes.
    pub fn turn(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 1000 })
    }

    /// How many distinct tokens the warm rows go through.
    pub fn many(&self) -> usize {
        if self.quick { 10_000 } else { 100_000 }
    }

    pub fn redis(&self) -> &RedisServer {
        self.redis.get_or_init(RedisServer::start)
    }

    pub fn issuer(&self) -> &Doorward {
        self.issuer.get_or_init(|| Doorward::start_as("issuer", self.config()))
    }

    /// A sidecar on the issuer's keys and the same Redis, with more of a configuration.
    pub fn checker(&self, more: Value) -> Doorward {
        Doorward::start_as("check", self.checks(more))
    }

    /// A sidecar's configuration.
    pub fn checks(&self, more: Value) -> Value {
        let mut config = self.config();
        config["check"]["jwks"] = format!("http://{}/.well-known/jwks.json", self.issuer().public).into();
        merge(&mut config, more);
        config
    }

    /// Tokens of as many users, who all have a session in Redis.
    pub fn tokens(&self) -> &[String] {
        self.tokens.get_or_init(|| {
            let mut logins = Logins::default();
            let tally =
                http1::run(&Address::Tcp(self.issuer().public), 32, Until::Asked(self.many() as u64), &mut logins);
            assert_eq!(tally.others, 0, "all logins must work");
            logins.tokens
        })
    }

    /// Asks about each token once, so that the checker knows them all.
    pub fn warm(&self, checker: &Address, tokens: &[String]) {
        let tally = http1::run(checker, 32, Until::Asked(tokens.len() as u64 + 32), &mut Checks::new(tokens));
        assert_eq!(tally.others, 0, "all tokens must pass");
    }

    fn config(&self) -> Value {
        json!({
            "state": {"url": self.redis().url()},
            // Longer than the bench.
            "auth": {"max_sessions_per_user": 0, "access_lifetime": "12h"},
            "logging": {"level": "warn"},
            // Room for all tokens; by default the oldest of 100 000 would have to go.
            "check": {"cache": {"max_entries": 2_000_000, "max_bytes": "2GiB"}},
        })
    }
}

/// The head of a server's answer to the next question, without the lines that every server of ours adds.
pub fn headers_of(to: &Address, script: &mut impl Script) -> Vec<(String, String)> {
    use std::io::{BufReader, Write};
    let mut stream = to.connect().expect("a listener");
    let mut question = Vec::new();
    script.ask(&mut question);
    stream.write_all(&question).expect("an open connection");
    let mut reader = BufReader::new(stream);
    let status = crate::harness::http::line(&mut reader).expect("an answer");
    assert!(status.contains(" 200"), "{status}");
    let mut headers = crate::harness::http::read_headers(&mut reader).expect("header lines");
    headers.retain(|(name, _)| !["date", "content-length"].contains(&name.to_ascii_lowercase().as_str()));
    headers
}
