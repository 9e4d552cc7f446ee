//! How a process ends and comes back. N1, N2.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::doorward::Doorward;
use crate::harness::http::Request;
use crate::harness::wait::wait_for;
use crate::scene::{Scene, TERMS, goes_on, redis};

// SEC-N2
#[test]
fn on_sigterm_readiness_goes_first_and_service_last() {
    let mut doorward = Doorward::start(json!({"shutdown": {"delay": "5s", "finish": "2s"}}));
    let pair = doorward.login(1);
    doorward.process.signal("TERM");
    wait_for("readiness to go", || {
        Request::get("/readyz").try_send(doorward.ops).is_ok_and(|reply| reply.status == 503)
    });
    assert_eq!(doorward.check(&pair.access).status, 200, "checks go on during the delay");
    assert_eq!(Request::get("/livez").send(doorward.ops).status, 200);
    assert!(doorward.process.wait_end().success());
}

#[test]
fn ctrl_c_skips_the_delay() {
    let mut doorward = Doorward::start(json!({"shutdown": {"delay": "10m", "finish": "1s"}}));
    doorward.process.signal("INT");
    assert!(doorward.process.wait_end().success());
}

// SEC-R7, SEC-N1: what a session is, and which of its tokens are spent, is in the store alone.
#[test]
fn a_node_that_crashes_and_comes_back_disturbs_no_session() {
    let Some(server) = redis() else { return };
    let mut scene = Scene::of(&[&server.url(), &server.url()]);
    let users = scene.users(TERMS);
    for _ in 0..3 {
        for node in 0..2 {
            scene.nodes[node].process.kill();
            goes_on(&users);
            scene.nodes[node].start_again();
            goes_on(&users);
        }
    }
    users.judge();
}

// SEC-N2
#[test]
fn a_node_that_ends_and_comes_back_while_users_ask_it_disturbs_no_session() {
    let Some(server) = redis() else { return };
    let shutdown = json!({"shutdown": {"delay": "1s", "finish": "5s"}});
    let mut scene = Scene::with(&[&server.url(), &server.url()], shutdown);
    let users = scene.users(TERMS);
    for node in 0..2 {
        scene.nodes[node].restart();
        goes_on(&users);
    }
    users.judge();
}

// SEC-R10: what was noted and not yet written is lost with the process, and no more than that.
#[test]
fn a_crash_loses_at_most_one_interval_of_activity() {
    let Some(server) = redis() else { return };
    let often = json!({
        "auth": {"auto_logout": "10s", "access_lifetime": "1m"},
        "check": {"cache": {"activity_interval": "1s"}},
    });
    let mut scene = Scene::with(&[&server.url()], often);
    let pair = scene.nodes[0].login("alice");
    let key = server.cli(&["KEYS", "dw:{*}:s:*"]);
    let until = Instant::now() + Duration::from_secs(4); // long enough to be in use
    while Instant::now() < until {
        assert_eq!(scene.nodes[0].check(&pair.access).status, 200);
    }
    let killed = Instant::now();
    scene.nodes[0].process.kill();
    let left: u64 = server.cli(&["PTTL", &key]).parse().expect("a time to live");
    let since = u64::try_from(killed.elapsed().as_millis()).expect("short");
    // On a busy machine a write may come late, or not in its time at all.
    assert!(left <= 10_000 && left + since >= 7_000, "{left} ms are left {since} ms after the crash");
    scene.nodes[0].start_again();
    assert_eq!(scene.nodes[0].knows(&pair.access), 200);
}
