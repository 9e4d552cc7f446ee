//! A primary lost with its last writes, and what `state.wait_replicas` keeps of them. F5, F14.

use std::time::Duration;

use serde_json::json;

use crate::harness::doorward::{Doorward, Pair};
use crate::harness::history::Terms;
use crate::harness::http::Request;
use crate::harness::redis::{RedisServer, Sentinel, available};
use crate::harness::users::Users;
use crate::harness::wait::wait_for;
use crate::scene::{Scene, TERMS, config, goes_on, redis, refreshed};

/// Detection (2 s), election and promotion, and the nodes' way to the new primary, while checkers trust what they know.
const FAILOVER: Duration = Duration::from_secs(15);

/// A primary, two replicas and their Sentinel; and two nodes whose ends are confirmed by one replica.
struct Watched {
    scene: Scene,
    _sentinel: Sentinel,
    replicas: [RedisServer; 2],
    primary: RedisServer,
}

impl Watched {
    fn start() -> Option<Self> {
        if !available() {
            return None;
        }
        let primary = RedisServer::start();
        let replicas = [RedisServer::start_replica_of(&primary), RedisServer::start_replica_of(&primary)];
        let sentinel = Sentinel::start(&primary);
        let url = sentinel.url();
        let scene = Scene::with(&[&url, &url], json!({"state": {"wait_replicas": 1}}));
        Some(Self { scene, _sentinel: sentinel, replicas, primary })
    }

    /// Users of whom a failover may forget a login or some refreshes, since only ends are waited for.
    fn users(&self) -> Users {
        self.scene.users(Terms { bound: FAILOVER, forgets: true, ..TERMS })
    }

    /// Until one is the new primary and the other follows it, and the nodes have found it.
    fn wait_for_the_failover(&self) {
        let is = |role: &'static str| move |replica: &RedisServer| replica.cli(&["ROLE"]).starts_with(role);
        wait_for("the failover", || self.replicas.iter().any(is("master")));
        wait_for("the other replica to follow", || {
            let linked = |replica: &RedisServer| {
                let told = replica.cli(&["INFO", "replication"]);
                told.contains("master_link_status:up") || told.contains("connected_slaves:1")
            };
            self.replicas.iter().all(linked)
        });
        let [one, other] = &self.scene.nodes[..] else { unreachable!() };
        for (issuer, checker) in [(one, other), (other, one)] {
            wait_for("the nodes to follow", || {
                let login = Request::post("/login", &json!({"user_id": "dave"})).send(issuer.public);
                // Who minted a token knows it without the store.
                login.status == 200 && checker.check(&Pair::of(&login).access).status == 200
            });
        }
    }
}

/// A busy machine may say 503 first; never that it passes.
fn stays_ended(node: &Doorward, pair: &Pair) {
    wait_for("the refusal of what ended", || {
        let status = node.check(&pair.access).status;
        assert_ne!(status, 200, "a confirmed end was forgotten");
        status == 401
    });
}

// SEC-F5
#[test]
fn a_failover_that_loses_the_last_writes_brings_no_confirmed_end_back_and_forgives_one_lost_refresh() {
    let Some(mut watched) = Watched::start() else { return };
    let [one, other] = &watched.scene.nodes[..] else { unreachable!() };
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|user| one.login(user));
    wait_for("a logout that a replica has seen", || one.logout(&carol.access).status == 200);
    let users = watched.users();

    for replica in &watched.replicas {
        replica.stop_following(&watched.primary);
    }
    let unseen = Pair::of(&one.refresh(&alice.refresh));
    assert_eq!(one.logout(&bob.access).status, 503, "no replica saw it");
    assert_eq!(one.check(&bob.access).status, 401, "it is in effect all the same");
    watched.primary.kill();
    watched.replicas.iter().for_each(RedisServer::may_follow_again);
    watched.wait_for_the_failover();

    for node in [one, other] {
        stays_ended(node, &carol);
    }
    let caught_up = refreshed(other, &unseen.refresh);
    wait_for("what was caught up to pass", || other.check(&caught_up.access).status == 200);
    let metrics = Request::get("/metrics").send(other.ops).body;
    assert!(metrics.contains("doorward_refresh_total{result=\"caught_up\"}"), "counted");
    // Not confirmed, so it may live again; but the issuers heard of it, and write it again.
    for node in [one, other] {
        wait_for("the end that was lost", || node.check(&bob.access).status == 401);
    }
    goes_on(&users);
    users.judge();
}

// SEC-F5, SEC-F2
#[test]
fn a_failover_from_a_frozen_primary_is_followed_and_its_return_believed_by_nobody() {
    let Some(watched) = Watched::start() else { return };
    let [one, other] = &watched.scene.nodes[..] else { unreachable!() };
    let [stays, ends] = ["stays", "ends"].map(|user| one.login(user));
    // Waits for all that was written before it.
    wait_for("a logout that a replica has seen", || one.logout(&ends.access).status == 200);
    let users = watched.users();
    watched.primary.freeze();
    watched.wait_for_the_failover();
    for node in [one, other] {
        wait_for("a live session to pass", || node.check(&stays.access).status == 200);
        stays_ended(node, &ends);
    }
    let next = refreshed(other, &stays.refresh);
    wait_for("a confirmed end", || one.logout(&next.access).status == 200);
    // The other node may still be on its way to the new log; within the bound it hears of it.
    for node in [one, other] {
        wait_for("the refusal of what ended", || node.check(&next.access).status == 401);
    }
    goes_on(&users);
    // It wakes as the primary that it was, until it is told otherwise.
    watched.primary.thaw();
    wait_for("the old primary to follow", || {
        for node in [one, other] {
            assert_ne!(node.check(&next.access).status, 200, "the old primary was believed");
        }
        watched.primary.cli(&["ROLE"]).starts_with("slave")
    });
    goes_on(&users);
    users.judge();
}

// SEC-F14
#[test]
fn a_logout_that_no_replica_saw_is_not_answered_as_done() {
    let Some(server) = redis() else { return };
    let mut config = config(&server);
    config["state"]["wait_replicas"] = 1.into();
    let doorward = Doorward::start(config);
    let pair = doorward.login(1);
    assert_eq!(doorward.logout(&pair.access).status, 503);
    assert_eq!(doorward.check(&pair.access).status, 401, "it is written all the same, and never less safe");
    // SEC-G3: its repeat finds nothing to end, so it is told when it took place, once.
    assert_eq!(doorward.logout(&pair.access).status, 503);
    let told = || doorward.process.output().matches("logout_unconfirmed").count();
    wait_for("the audit event", || told() > 0);
    let metrics = Request::get("/metrics").send(doorward.ops).body;
    assert!(metrics.contains("doorward_sessions_revoked_total{cause=\"logout\"} 1"), "{metrics}");
    assert_eq!(told(), 1);
}
