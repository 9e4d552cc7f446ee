//! How long a revoked token still passes on another node, against a bare PUBLISH and its arrival at a subscriber.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use doorward::clock::SystemClock;
use doorward::metrics::Metrics;
use doorward::state::redis::RedisState;
use doorward::state::{Cause, Sessions, Settings};
use doorward::token::SessionId;
use serde_json::json;

use crate::harness::doorward::question;
use crate::harness::http::{Connection, Request};
use crate::kit::compare::percentile;
use crate::kit::world::World;
use crate::load::{nanos, redis};
use crate::table::{Line, Mark};

/// Ends that don't count: connections are made, and scripts are taught.
const WARM_UP: usize = 5;
const PAUSE: Duration = Duration::from_millis(3);

pub fn measure(world: &World) -> Vec<Line> {
    let times = world.of(100, 1000);
    let first = WARM_UP + times;
    let issuer = world.issuer("EdDSA");
    let tokens = world.new_tokens("EdDSA", 2 * first);
    let checker = world.checker(json!({"workers": 1}));
    let mut door = Connection::open(checker.check).expect("a listener");
    let mut passes = |token: &Request| door.exchange(token).expect("an answer").status == 200;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let settings = Settings { url: world.redis().url(), ..Settings::default() };
    let connect = RedisState::connect(&settings, Arc::new(SystemClock), Arc::new(Metrics::new()));
    let state = runtime.block_on(connect).expect("settings are fine");
    let (mut publisher, mut subscriber) = (redis::Client::open(world.redis()), redis::Client::open(world.redis()));
    subscriber.ask(&redis::command(&["SUBSCRIBE", "bench"]), 1).expect("an answer");
    let publish = redis::command(&["PUBLISH", "bench", "0f4d7a61c2b35e98JmQ2b1k0aHd2c3RlZmdoaQ"]);

    let (mut stores, mut logouts, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for (first, second) in tokens[..first].iter().zip(&tokens[first..]) {
        let asked = question(first);
        assert!(passes(&asked));
        // Its own reading of the log goes on between calls, as it does where a runtime never rests.
        runtime.block_on(async { tokio::time::sleep(PAUSE).await });
        let sid = sid_of(first);
        let began = Instant::now();
        let ended = runtime.block_on(state.end(&sid, Cause::Logout)).expect("an answer");
        assert!(ended.sure().expect("confirmed"), "the session was live");
        while passes(&asked) {}
        stores.push(nanos(began.elapsed()));

        let began = Instant::now();
        publisher.ask(&publish, 1).expect("an answer");
        subscriber.skip(1).expect("a message");
        bare.push(nanos(began.elapsed()));

        let asked = question(second);
        assert!(passes(&asked));
        let mut desk = Connection::open(issuer.public).expect("a listener");
        let logout = Request::new("POST", "/logout").header("Content-Length", "0").bearer(second);
        let began = Instant::now();
        assert_eq!(desk.exchange(&logout).expect("an answer").status / 100, 2);
        while passes(&asked) {}
        logouts.push(nanos(began.elapsed()));
    }
    let [stores, logouts, bare] = [stores, logouts, bare].map(|mut times| {
        times.drain(..WARM_UP);
        times.sort_unstable();
        [0.5, 0.99].map(|share| percentile(&times, share) / 1000.0)
    });
    let line = |what: &str, mark, at: usize| {
        let figures = format!("{:.0} µs against {:.0} µs of a bare PUBLISH; {times} times", stores[at], bare[at]);
        Line::new(&format!("revocation to refusal on another node: {what}"), mark, stores[at] / bare[at], figures)
    };
    vec![
        line("p50", Mark::AtMost(3.0), 0),
        line("p99", Mark::AtMost(5.0), 1),
        Line::new(
            "the same, from POST /logout sent to the refusal: p50",
            Mark::Told("µs"),
            logouts[0],
            format!("p99 {:.0} µs", logouts[1]),
        ),
    ]
}

fn sid_of(token: &str) -> SessionId {
    let payload = token.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok()).expect("a payload");
    let claims: serde_json::Value = serde_json::from_slice(&payload).expect("claims");
    claims["sid"].as_str().and_then(|sid| sid.parse().ok()).expect("a session")
}
