//! The figures that the documentation quotes, measured on the release build with real processes on one Redis:
//!
//!     cargo bench --bench figures
//!
//! What an idle checker takes, how soon it is ready, and how long after a logout's answer other processes still let the
//! token pass. Figures of one machine at one time: run it on yours.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::time::{Duration, Instant};

use harness::doorward::Doorward;
use harness::http::{Connection, Request};
use harness::redis::RedisServer;
use serde_json::json;

const STARTS: usize = 20;
const LOGOUTS: usize = 500;

fn main() {
    if !harness::redis::available() {
        println!("redis-server is not installed; `./test --tools` installs it");
        return;
    }
    let redis = RedisServer::start();
    let mut config = json!({
        "state": {"url": redis.url()},
        "auth": {"max_sessions_per_user": 0},
        "logging": {"level": "info"},
    });
    let issuer = Doorward::start_as("issuer", config.clone());
    config["check"]["jwks"] = format!("http://{}/.well-known/jwks.json", issuer.public).into();

    let mut ready = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let checker = Doorward::spawn("check", config.clone());
        while !Request::get("/readyz").try_send(checker.ops).is_ok_and(|reply| reply.status == 200) {
            std::thread::sleep(Duration::from_millis(1));
        }
        ready.push(began.elapsed());
    }
    tell("checker, start to ready", ready);

    let checkers = [Doorward::start_as("check", config.clone()), Doorward::start_as("check", config)];
    // Idle: what starting needed has been given back.
    std::thread::sleep(Duration::from_secs(3));
    println!("checker, idle: {:.1} MiB resident", resident_kib(&checkers[0]) as f64 / 1024.0);

    let mut delays = Vec::new();
    let mut doors = checkers.each_ref().map(|checker| Connection::open(checker.check).expect("a connection"));
    for _ in 0..LOGOUTS {
        let pair = issuer.login(1);
        let question = Request::get("/check/nginx").header("X-Original-Method", "GET").header("X-Original-URI", "/");
        let question = question.bearer(&pair.access);
        for door in &mut doors {
            assert_eq!(door.exchange(&question).expect("an answer").status, 200);
        }
        assert_eq!(issuer.logout(&pair.access).status, 200);
        let answered = Instant::now();
        for door in &mut doors {
            while door.exchange(&question).expect("an answer").status == 200 {}
            delays.push(answered.elapsed());
        }
    }
    tell("logout's answer to refusal by another process", delays);
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms ({} measured)", at(50), at(99), at(100), times.len());
}

fn resident_kib(doorward: &Doorward) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", doorward.process.id())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
