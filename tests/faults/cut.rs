//! A node, or only its push channel, cut off from Redis, while another node is not. F3, F4.

use std::time::{Duration, Instant};

use crate::harness::doorward::Pair;
use crate::harness::history::Terms;
use crate::harness::redis::RedisServer;
use crate::harness::relay::{Relay, Who};
use crate::harness::wait::{passes_no_longer, wait_for};
use crate::scene::{ON_ERROR, SLACK, STALENESS, Scene, TERMS, goes_on, redis};

/// One node beside Redis, and one behind a relay.
fn two_ways() -> Option<(RedisServer, Relay, Scene)> {
    let server = redis()?;
    let relay = Relay::to(server.address());
    let scene = Scene::of(&[&server.url(), &server.url_by(relay.address)]);
    Some((server, relay, scene))
}

fn a_cut_node_trusts_nothing_longer_than_the_error_bound(cut: impl FnOnce(&Relay)) {
    let Some((_server, relay, scene)) = two_ways() else { return };
    let [whole, apart] = &scene.nodes[..] else { unreachable!() };
    let [ended, stays, unsure] = ["ended", "stays", "unsure"].map(|user| whole.login(user));
    for pair in [&ended, &stays] {
        for node in [whole, apart] {
            assert_eq!(node.knows(&pair.access), 200);
        }
    }
    let users = scene.users(TERMS);

    cut(&relay);
    let since = Instant::now();
    assert_eq!(whole.logout(&ended.access).status, 200);
    assert_eq!(whole.check(&ended.access).status, 401, "others are normal");
    assert_eq!(whole.check(&Pair::of(&whole.refresh(&stays.refresh)).access).status, 200, "others are normal");
    wait_for("the cut node to notice", || apart.refresh(&stays.refresh).status == 503);
    // It may take effect or not: 503 asks to try again.
    assert_eq!(apart.logout(&unsure.access).status, 503);
    passes_no_longer(ON_ERROR + SLACK, since, 503, || apart.check(&ended.access).status);
    wait_for("the error bound", || apart.check(&stays.access).status == 503);

    relay.mend();
    let mended = Instant::now();
    // Before the log is resumed or the cache emptied nothing from before may pass.
    wait_for("the cut node to be back", || {
        let status = apart.check(&ended.access).status;
        assert_ne!(status, 200, "after the cut an ended session passes");
        status == 401
    });
    wait_for("the cut node to let live ones pass", || apart.check(&stays.access).status == 200);
    assert!(mended.elapsed() < Duration::from_secs(5) + SLACK, "back after {:?}", mended.elapsed());
    goes_on(&users);
    users.judge();
}

// SEC-F3, SEC-S3: as a firewall does, without a word.
#[test]
fn a_node_whose_way_to_redis_goes_silent_stops_trusting_its_cache_at_the_error_bound() {
    a_cut_node_trusts_nothing_longer_than_the_error_bound(|relay| relay.hold(Who::Everyone));
}

// SEC-F3, SEC-S3
#[test]
fn a_node_whose_connections_to_redis_are_reset_stops_trusting_its_cache_at_the_error_bound() {
    a_cut_node_trusts_nothing_longer_than_the_error_bound(Relay::cut);
}

// SEC-F4, SEC-S1
#[test]
fn without_the_push_channel_each_check_asks_and_an_end_holds_within_the_bound() {
    let Some((_server, relay, scene)) = two_ways() else { return };
    let [whole, apart] = &scene.nodes[..] else { unreachable!() };
    let pair = whole.login("alice");
    assert_eq!(apart.knows(&pair.access), 200);
    // Redis itself can be asked, so ends hold within the bound for a healthy store.
    let users = scene.users(Terms { bound: STALENESS + SLACK, ..TERMS });

    relay.hold(Who::LogReaders);
    wait_for("the cache to be stale", || apart.metric("doorward_revocation_staleness_seconds") > 1.0);
    let before = apart.metric("doorward_cache_requests_total{result=\"stale\"}");
    assert_eq!(apart.knows(&pair.access), 200, "looked up");
    assert!(apart.metric("doorward_cache_requests_total{result=\"stale\"}") > before);
    let next = Pair::of(&apart.refresh(&pair.refresh));
    assert_eq!(apart.check(&next.access).status, 200, "normal");
    assert_eq!(whole.logout(&next.access).status, 200);
    let ended = Instant::now();
    passes_no_longer(STALENESS + SLACK, ended, 401, || apart.check(&next.access).status);
    assert_eq!(apart.check(&apart.login("bob").access).status, 200, "normal");
    goes_on(&users);

    relay.mend();
    wait_for("the log to be resumed", || apart.metric("doorward_revocation_staleness_seconds") < 0.5);
    goes_on(&users);
    users.judge();
}

// SEC-F4, SEC-S8
#[test]
fn without_the_push_channel_the_end_of_everyone_holds_within_the_bound() {
    let Some((_server, relay, scene)) = two_ways() else { return };
    let [whole, apart] = &scene.nodes[..] else { unreachable!() };
    let pair = whole.login("alice");
    assert_eq!(apart.knows(&pair.access), 200);

    relay.hold(Who::LogReaders);
    let config = whole.folder().join("doorward.yaml");
    let revoke = ["session", "revoke", "--all", "--yes", "-c"];
    let done = crate::harness::doorward::program().args(revoke).arg(config).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let ended = Instant::now();
    assert_eq!(apart.refresh(&pair.refresh).status, 401, "the store is asked");
    passes_no_longer(STALENESS + SLACK, ended, 401, || apart.check(&pair.access).status);
    let after = apart.login("alice");
    relay.mend();
    wait_for("the log to be resumed", || apart.metric("doorward_revocation_staleness_seconds") < 0.5);
    for node in [whole, apart] {
        assert_eq!(node.knows(&after.access), 200, "who signed in after it is in");
        assert_eq!(node.knows(&pair.access), 401);
    }
}
