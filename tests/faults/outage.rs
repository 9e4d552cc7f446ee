//! Redis gone or silent: killed, frozen, or never there. F1, F2, F13, N1.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::doorward::{Doorward, Pair};
use crate::harness::http::Request;
use crate::harness::wait::wait_for;
use crate::scene::{config, redis, refreshed};

/// Cached tokens pass until the error bound, everything else is 503; back by itself (SEC-F1, F2).
fn an_outage(doorward: &mut Doorward, begin: impl FnOnce(), end: impl FnOnce()) {
    let unseen = doorward.login(2);
    // What it minted itself it knows, until it is another process.
    doorward.restart();
    let cached = doorward.login(1);
    assert_eq!(doorward.check(&cached.access).status, 200);

    let began = Instant::now();
    begin();
    assert_eq!(doorward.check(&cached.access).status, 200, "what is cached passes for now");
    wait_for("the outage to be noticed", || doorward.check(&unseen.access).status == 503);
    let reply = doorward.check(&unseen.access);
    assert!(reply.header("retry-after").is_some() && reply.body.is_empty(), "{reply:?}");
    for reply in [
        Request::post("/login", &json!({"user_id": 3})).send(doorward.public),
        doorward.refresh(&cached.refresh),
        doorward.logout(&cached.access),
    ] {
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
    assert_eq!(doorward.check("no.such.token").status, 401, "a bad token needs no store to be bad");
    wait_for("the error bound", || doorward.check(&cached.access).status == 503);
    let held = began.elapsed();
    assert!(held > Duration::from_secs(2), "cached tokens were refused after {held:?}, before the error bound");
    assert_eq!(Request::get("/livez").send(doorward.ops).status, 200, "liveness ignores the store");
    wait_for("readiness to tell", || Request::get("/readyz").send(doorward.ops).status == 503);

    end();
    let back = Instant::now();
    wait_for("the recovery", || doorward.check(&cached.access).status == 200);
    assert!(back.elapsed() < Duration::from_secs(8), "recovery took {:?}", back.elapsed());
    wait_for("readiness again", || Request::get("/readyz").send(doorward.ops).status == 200);
    // SEC-F1: the refresh token that met the outage is still good.
    let next = refreshed(doorward, &cached.refresh);
    assert_eq!(doorward.knows(&next.access), 200);
}

// SEC-F1
#[test]
fn a_killed_redis_is_an_outage_and_no_loss() {
    let Some(server) = redis() else { return };
    let mut doorward = Doorward::start(config(&server));
    let server = std::cell::RefCell::new(server);
    an_outage(&mut doorward, || server.borrow_mut().kill(), || server.borrow_mut().restart());
}

// SEC-F2
#[test]
fn a_frozen_redis_is_an_outage_and_no_pile_up() {
    let Some(server) = redis() else { return };
    let mut doorward = Doorward::start(config(&server));
    an_outage(&mut doorward, || server.freeze(), || server.thaw());
}

// SEC-F2
#[test]
fn while_redis_is_frozen_every_answer_comes_within_its_budget() {
    let Some(server) = redis() else { return };
    let mut doorward = Doorward::start(config(&server));
    let tokens: Vec<Pair> = (0..50).map(|user| doorward.login(user)).collect();
    doorward.restart();
    server.freeze();
    std::thread::scope(|scope| {
        for pair in &tokens {
            let doorward = &doorward;
            scope.spawn(move || {
                let began = Instant::now();
                assert_eq!(doorward.check(&pair.access).status, 503);
                // 100 ms is the budget; the rest is a busy test machine's.
                assert!(began.elapsed() < Duration::from_secs(3), "an answer took {:?}", began.elapsed());
            });
        }
    });
    server.thaw();
    wait_for("the recovery", || tokens.iter().all(|pair| doorward.check(&pair.access).status == 200));
}

// SEC-N1: else all nodes would leave together.
#[test]
fn a_blip_of_redis_takes_no_node_out() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    let ready = || Request::get("/readyz").send(doorward.ops).status;
    for _ in 0..2 {
        server.freeze();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1500) {
            assert_eq!(ready(), 200);
        }
        server.thaw();
        wait_for("the recovery", || doorward.check(&doorward.login(1).access).status == 200);
        // Else the next blip would be one with this.
        wait_for("the log to be resumed", || doorward.metric("doorward_revocation_staleness_seconds") < 0.5);
        assert_eq!(ready(), 200);
    }
}

// SEC-F13
#[test]
fn a_checker_that_never_saw_its_store_lets_nobody_pass() {
    let Some(mut server) = redis() else { return };
    let issuer = Doorward::start_as("issuer", config(&server));
    let pair = issuer.login(1);
    let mut settings = config(&server);
    settings["check"]["jwks"] = format!("http://{}/.well-known/jwks.json", issuer.public).into();
    server.kill();
    let mut checker = Doorward::spawn("check", settings);
    let ops = checker.ops;
    checker.process.wait_until("alive", || Request::get("/livez").try_send(ops).is_ok_and(|reply| reply.status == 200));
    assert_eq!(Request::get("/readyz").send(checker.ops).status, 503);
    assert_eq!(checker.check(&pair.access).status, 503);
    server.restart();
    checker.wait_ready();
    wait_for("the store", || checker.check(&pair.access).status == 200);
}
