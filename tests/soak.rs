//! A soak: users that log in, are checked, refresh and log out on two nodes of one Redis, while Redis is killed, frozen
//! and cut off, configurations are reloaded and keys rotated. No answer may be wrong, and memory, descriptors and threads stay flat.
//!
//!     ./soak 20        twenty minutes, on the release build
//!
//! `./test soak` runs the same for seconds, to see that it works. What it holds, and what it cannot: `docs/soak.md`.

#[path = "soak/faults.rs"]
mod faults;
mod harness;
#[path = "soak/samples.rs"]
mod samples;

use std::time::{Duration, Instant};

use faults::Faults;
use harness::doorward::Doorward;
use harness::history::Terms;
use harness::redis::RedisServer;
use harness::relay::Relay;
use harness::users::Users;
use samples::Samples;
use serde_json::json;

const USERS: usize = 8;

/// Two nodes of both roles, on one Redis and one folder of keys, the second behind a relay. Bounds are short, so that each is
/// met often.
fn nodes(redis: &RedisServer, relay: &Relay, keys: &std::path::Path) -> [Doorward; 2] {
    let config = json!({
        "state": {"url": redis.url()},
        "keys": {"dir": keys.join("keys")},
        "logging": {"level": "error"},
        "check": {"cache": {"max_staleness": "1s", "max_staleness_on_error": "3s"}},
        "auth": {"access_lifetime": "1m", "refresh_grace": format!("{}s", GRACE.as_secs()), "max_sessions_per_user": 0},
    });
    let mut behind = config.clone();
    behind["state"]["url"] = redis.url_by(relay.address).into();
    [Doorward::start(config), Doorward::start(behind)]
}

/// From a logout's answer until no node may let its token pass: the longest that a node trusts its cache, and a second for
/// a machine that is busy.
const BOUND: Duration = Duration::from_secs(4);

/// Longer than any fault: within it, clients that retry are promised the pair that they missed.
const GRACE: Duration = Duration::from_secs(30);

#[test]
#[expect(clippy::print_stdout, reason = "what it shows is what it is for")]
fn under_load_and_faults_no_answer_is_wrong_and_nothing_grows() {
    if !harness::redis::available() {
        return;
    }
    let minutes = std::env::var("DOORWARD_SOAK_MINUTES").ok().and_then(|text| text.parse::<f64>().ok());
    let span = minutes.map_or(Duration::from_secs(20), |minutes| Duration::from_secs_f64(60.0 * minutes));
    let mut redis = RedisServer::start();
    let keys = tempfile::tempdir().expect("a folder");
    let relay = Relay::to(redis.address());
    let nodes = nodes(&redis, &relay, keys.path());

    let users = Users::start(USERS, &nodes, Terms { bound: BOUND, grace: GRACE, forgets: false });
    let mut samples = Samples::of(&nodes, span);
    let mut faults = Faults::default();
    let end = Instant::now() + span;
    while Instant::now() < end {
        faults.next(&mut redis, &relay, &nodes);
        samples.take_when_due(users.tally());
        std::thread::sleep(Duration::from_millis(200).min(end.saturating_duration_since(Instant::now())));
    }
    println!("{faults}");
    let tally = users.judge();
    samples.take(&tally);
    samples.judge();
}
