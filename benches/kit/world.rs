//! What the rows share: one Redis, an issuer for each algorithm, and tokens that they issued, each made when it is first
//! asked for.

use std::cell::{Cell, OnceCell};
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::questions::{Bearers, Logins};
use crate::harness::doorward::{Doorward, merge};
use crate::harness::redis::RedisServer;
use crate::load::closed::{Script, Until};
use crate::load::{Address, http1};

pub struct World {
    pub quick: bool,
    redis: OnceCell<RedisServer>,
    issuers: [OnceCell<Doorward>; ALGORITHMS.len()],
    tokens: OnceCell<Vec<String>>,
    users: Cell<usize>,
    folder: TempDir,
    sockets: Cell<usize>,
}

const ALGORITHMS: [&str; 4] = ["EdDSA", "ES256", "RS256", "HS256"];

impl World {
    pub fn new(quick: bool) -> Self {
        Self {
            quick,
            redis: OnceCell::new(),
            issuers: Default::default(),
            tokens: OnceCell::new(),
            users: Cell::new(0),
            folder: tempfile::tempdir().expect("a temporary folder"),
            sockets: Cell::new(0),
        }
    }

    /// How many pairs of turns a comparison takes.
    pub fn rounds(&self) -> usize {
        if self.quick { 3 } else { 11 }
    }

    /// How long one turn takes.
    pub fn turn(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 1000 })
    }

    /// How many distinct tokens the warm rows go through.
    pub fn many(&self) -> usize {
        self.of(10_000, 100_000)
    }

    /// One number for short runs, one for whole ones.
    pub fn of<T>(&self, quick: T, whole: T) -> T {
        if self.quick { quick } else { whole }
    }

    pub fn redis(&self) -> &RedisServer {
        self.redis.get_or_init(RedisServer::start)
    }

    pub fn issuer(&self, algorithm: &str) -> &Doorward {
        let place = ALGORITHMS.iter().position(|known| *known == algorithm).expect("an algorithm of ours");
        self.issuers[place].get_or_init(|| {
            let more = json!({"keys": {"algorithm": algorithm}, "workers": 1});
            Doorward::start_as("issuer", self.config(more))
        })
    }

    /// A sidecar on the EdDSA issuer's keys and the same Redis, with more of a configuration.
    pub fn checker(&self, more: Value) -> Doorward {
        self.checker_of("EdDSA", more)
    }

    pub fn checker_of(&self, algorithm: &str, more: Value) -> Doorward {
        Doorward::start_as("check", self.checks(algorithm, more))
    }

    /// A sidecar's configuration.
    pub fn checks(&self, algorithm: &str, more: Value) -> Value {
        let mut config = self.config(json!({}));
        if algorithm == "HS256" {
            config["check"]["hs256_secret_file"] = self.secret_file().display().to_string().into();
        } else {
            config["check"]["jwks"] = format!("http://{}/.well-known/jwks.json", self.issuer(algorithm).public).into();
        }
        merge(&mut config, more);
        config
    }

    /// What the HS256 issuer signs with.
    pub fn secret_file(&self) -> PathBuf {
        let keys = std::fs::read_dir(self.issuer("HS256").folder().join("keys")).expect("its key folder");
        let mut files = keys.flatten().map(|file| file.path());
        files.find(|file| file.extension().is_some_and(|kind| kind == "hs256")).expect("its key")
    }

    /// A path for a Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.sockets.set(self.sockets.get() + 1);
        self.folder.path().join(format!("{}.sock", self.sockets.get()))
    }

    /// EdDSA tokens of as many users, who all have a session in Redis.
    pub fn tokens(&self) -> &[String] {
        self.tokens.get_or_init(|| self.new_tokens("EdDSA", self.many()))
    }

    /// Tokens that nobody has seen, each of a user of its own.
    pub fn new_tokens(&self, algorithm: &str, count: usize) -> Vec<String> {
        let issuer = Address::Tcp(self.issuer(algorithm).public);
        let mut logins = Logins::after(self.next_user());
        // Where the machine is busy, Redis may take longer than an issuer waits for it: then some more.
        for _ in 0..5 {
            let missing = count.saturating_sub(logins.pairs.len());
            if missing == 0 {
                break;
            }
            http1::run(&issuer, 32, Until::Asked(missing as u64), &mut logins);
        }
        assert!(logins.pairs.len() >= count, "logins must work");
        let mut tokens: Vec<String> = logins.pairs.into_iter().map(|pair| pair.access).collect();
        tokens.truncate(count);
        tokens
    }

    /// The first of two million users whom nobody has logged in yet.
    pub fn next_user(&self) -> usize {
        self.users.replace(self.users.get() + 2_000_000)
    }

    /// Asks about each token, so that the checker knows them all. Where the machine is busy, a lookup may take longer than a
    /// checker waits for it: then once more.
    pub fn warm(&self, checker: &Address, tokens: &[String]) {
        let until = Until::Asked(tokens.len() as u64 + 32);
        let ask = |_| http1::run(checker, 32, until, &mut Bearers::by_nginx(tokens)).others;
        assert!((0..5).map(ask).any(|others| others == 0), "all tokens must pass");
    }

    /// A configuration on the common Redis, with more.
    pub fn config(&self, more: Value) -> Value {
        let mut config = json!({
            "state": {"url": self.redis().url()},
            // Longer than the bench.
            "auth": {"max_sessions_per_user": 0, "access_lifetime": "12h"},
            "logging": {"level": "warn"},
            // Room for all tokens; by default the oldest of 100 000 would have to go.
            "check": {"cache": {"max_entries": 2_000_000, "max_bytes": "2GiB"}},
        });
        merge(&mut config, more);
        config
    }
}

/// The head of a server's answer to the next question, without the lines that every server of ours adds.
pub fn headers_of(to: &Address, script: &mut impl Script) -> Vec<(String, String)> {
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
