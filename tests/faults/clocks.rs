//! Clocks that jump by an hour: a node's, and the store's. F11.

use std::path::Path;

use serde_json::json;

use crate::harness::doorward::{Doorward, Pair};
use crate::harness::fake_time::FakeTime;
use crate::harness::history::Terms;
use crate::harness::redis::{RedisServer, available};
use crate::harness::wait::wait_for;
use crate::need;
use crate::scene::{SLACK, STALENESS, Scene, TERMS, goes_on, redis};

const HOUR: i64 = 3600;

fn node_on(clock: &FakeTime, scene: &Scene, url: &str) -> Doorward {
    let env = clock.env();
    let env: Vec<(&str, &Path)> = env.iter().map(|(name, value)| (name.as_str(), Path::new(value))).collect();
    let mut node = Doorward::spawn_with("all", scene.config(url), &env);
    node.wait_ready();
    node
}

// SEC-F11
#[test]
fn a_node_whose_clock_jumps_judges_expiry_by_it_and_nothing_else() {
    let (Some(server), Some(clock)) = (redis(), FakeTime::install()) else { return };
    let url = server.url();
    let scene = Scene::of(&[&url]);
    let right = &scene.nodes[0];
    let jumpy = node_on(&clock, &scene, &url);
    let check_all = |pair: &Pair, expected: [u16; 2]| {
        assert_eq!([right, &jumpy].map(|node| node.knows(&pair.access)), expected);
    };
    for hour in [HOUR, -HOUR] {
        clock.jump(0);
        let pair = right.login("alice");
        check_all(&pair, [200, 200]);
        clock.jump(hour);
        // To a clock ahead the token has expired. One that was found valid once does not become too young.
        check_all(&pair, [200, if hour > 0 { 401 } else { 200 }]);
        // Rotation, its window and idle ends go by the store's clock: the window is open, and no wider.
        let next = Pair::of(&jumpy.refresh(&pair.refresh));
        let again = Pair::of(&right.refresh(&pair.refresh));
        assert_eq!(next.refresh, again.refresh, "the same successor from both");
        // From the past or the future, as each sees the other one.
        check_all(&again, [200, 401]);
        check_all(&next, [401, 200]);
        assert!(jumpy.metric("doorward_revocation_staleness_seconds") < 2.0, "staleness is no matter of the clock");
        clock.jump(0);
        check_all(&again, [200, 200]);
        assert_eq!(jumpy.logout(&again.access).status, 200);
        wait_for("the end everywhere", || right.check(&again.access).status == 401);
        assert_eq!(right.refresh(&next.refresh).status, 401);
    }
    assert!(!jumpy.process.output().contains("panicked"), "{}", jumpy.process.output());
}

// SEC-F11
#[test]
fn how_far_the_clocks_of_store_and_node_differ_is_told() {
    let (Some(server), Some(clock)) = (redis(), FakeTime::install()) else { return };
    clock.jump(HOUR);
    let scene = Scene::of(&[]);
    let node = node_on(&clock, &scene, &server.url());
    wait_for("the skew", || (node.metric("doorward_store_clock_skew_seconds") + HOUR as f64).abs() < 60.0);
}

// SEC-F11, SEC-R2
#[test]
fn a_store_whose_clock_jumps_goes_on_and_no_end_is_missed() {
    // Debian's Redis has an allocator that libfaketime does not get along with.
    if !available() {
        return;
    }
    let program = need!("valkey-server");
    let Some(clock) = FakeTime::install() else { return };
    let server = RedisServer::start_program(program.as_os_str(), clock.env());
    let scene = Scene::with(&[&server.url(), &server.url()], json!({}));
    let [one, other] = &scene.nodes[..] else { unreachable!() };
    // A window that is open when the clock jumps ahead is over.
    let users = scene.users(Terms { bound: STALENESS + SLACK, forgets: true, ..TERMS });
    for jump in [HOUR, 0, -HOUR, 0] {
        let (stays, ends) = (one.login("stays"), one.login("ends"));
        assert_eq!(other.knows(&ends.access), 200);
        clock.jump(jump);
        let next = Pair::of(&one.refresh(&stays.refresh));
        assert_eq!(Pair::of(&other.refresh(&stays.refresh)).refresh, next.refresh, "the window is open");
        assert_eq!(other.knows(&next.access), 200);
        assert_eq!(one.logout(&ends.access).status, 200);
        wait_for("the end everywhere", || other.check(&ends.access).status == 401);
        goes_on(&users);
    }
    users.judge();
}
