//! Cold checks: every token is new to the checker, so its signature is verified and its session looked up.

use std::time::Instant;

use doorward::metrics::Metrics;
use doorward::state::redis::RedisState;
use doorward::state::{Lookups, Question, Settings};
use doorward::token::{Epoch, SessionId, SubjectTag, TokenId};
use serde_json::json;
use std::sync::Arc;

use super::warm::cpu;
use crate::floor::{Floor, Kind};
use crate::harness::http::Request;
use crate::kit::compare::{a_b_a_b, median, turn};
use crate::kit::questions::Bearers;
use crate::kit::world::{World, headers_of};
use crate::load::closed::Until;
use crate::load::{Address, http1, redis};
use crate::table::{Line, Mark};

const CONNECTIONS: usize = 32;

pub fn checks(world: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    for algorithm in ["EdDSA", "HS256"] {
        let (rounds, each) = (world.rounds(), world.of(2000, 8000));
        // As many as are asked once more at the end of a run.
        let tokens = world.new_tokens(algorithm, rounds * (each + CONNECTIONS) + 1);
        let checker = world.checker_of(algorithm, json!({"workers": 1}));
        let ours = Address::Tcp(checker.check);
        let headers = headers_of(&ours, &mut Bearers::by_nginx(&tokens[tokens.len() - 1..]));
        let (key, redis) = (key_of(world, algorithm), world.redis().port());
        let floor = Floor::start(&Kind::Cold { algorithm, key, redis, headers }, 1);
        let until = Until::Asked(each as u64);
        let (mut to_ours, mut to_floor) = (Bearers::by_nginx(&tokens), Bearers::by_nginx(&tokens));
        let compared = a_b_a_b(
            rounds,
            || turn(&[checker.process.id()], || http1::run(&ours, CONNECTIONS, until, &mut to_ours)),
            || turn(&[floor.process.id()], || http1::run(&floor.at, CONNECTIONS, until, &mut to_floor)),
        );
        let floor = "bare hyper + signature + one round trip to Redis";
        lines.push(Line::new(
            &format!("cold check, {algorithm}, each token new"),
            Mark::AtMost(1.15),
            compared.ratio(|turn| turn.cpu),
            cpu(&compared, floor),
        ));
        if algorithm == "HS256" {
            let more = compared.more(|turn| turn.cpu);
            lines.push(Line::new("the same: CPU over its floor", Mark::Below(3.0, "µs"), more, ""));
        }
    }
    lines
}

/// What the floor verifies with, in base64url.
fn key_of(world: &World, algorithm: &str) -> String {
    if algorithm == "HS256" {
        return std::fs::read_to_string(world.secret_file()).expect("its key").trim().to_owned();
    }
    let jwks = Request::get("/.well-known/jwks.json").send(world.issuer(algorithm).public).json();
    jwks["keys"][0]["x"].as_str().expect("an Ed25519 key").to_owned()
}

/// The store's lookup from 64 tasks, in this process and on one thread, against 64 lookups written at once and their
/// answers read, again and again.
pub fn misses(world: &World) -> Vec<Line> {
    const TASKS: usize = 64;
    let rounds = world.of(30, 150);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let settings = Settings { url: world.redis().url(), ..Settings::default() };
    let clock = Arc::new(doorward::clock::SystemClock);
    let connect = RedisState::connect(&settings, clock, Arc::new(Metrics::new()));
    let state = Arc::new(runtime.block_on(connect).expect("settings are fine"));
    let sid = SessionId::fresh(SubjectTag::of("doorward", "nobody"));
    let ours = || {
        let began = Instant::now();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let state = Arc::clone(&state);
                    tokio::spawn(async move {
                        for _ in 0..rounds {
                            let question = Question::Own { sid, jti: TokenId::fresh(), epoch: Epoch::default() };
                            state.standing(&question).await.expect("an answer");
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("it ends");
            }
        });
        (TASKS * rounds) as f64 / began.elapsed().as_secs_f64()
    };
    let mut client = redis::Client::open(world.redis());
    let batch = redis::lookup().repeat(TASKS);
    let mut bare = || {
        let began = Instant::now();
        for _ in 0..rounds {
            client.ask(&batch, TASKS * redis::ANSWERS).expect("answers");
        }
        (TASKS * rounds) as f64 / began.elapsed().as_secs_f64()
    };
    let pairs: Vec<_> = (0..2 * world.rounds()).map(|_| (ours(), bare())).collect();
    let of = |side: fn(&(f64, f64)) -> f64| median(pairs.iter().map(side));
    vec![Line::new(
        "misses: lookups in Redis from 64 tasks",
        Mark::AtLeast(0.85),
        of(|(ours, bare)| ours / bare),
        format!("{:.0}/s against {:.0}/s of a bare client that pipelines 64", of(|pair| pair.0), of(|pair| pair.1)),
    )]
}
