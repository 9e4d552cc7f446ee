//! Redis that answers, with a refusal: full, read-only, loading, another password, scripts forgotten, evicting. F6, F8.

use serde_json::json;

use crate::harness::doorward::{Doorward, Pair};
use crate::harness::http::Request;
use crate::harness::ports;
use crate::harness::redis::{RedisServer, available};
use crate::harness::wait::wait_for;
use crate::scene::{Scene, TERMS, config, goes_on, redis};

/// While it lasts nothing new is given, and what it could not do is no one's fault: 503, and all is as good as before.
fn a_refusal(begin: impl FnOnce(&mut RedisServer), end: impl FnOnce(&mut RedisServer)) {
    let Some(mut server) = redis() else { return };
    server.cli(&["ACL", "SETUSER", "door", "on", ">right", "~*", "&*", "+@all"]);
    let url = server.url_as("door", "right");
    let scene = Scene::of(&[&url, &url]);
    let [one, other] = &scene.nodes[..] else { unreachable!() };
    let pair = one.login("alice");
    let users = scene.users(TERMS);
    begin(&mut server);
    wait_for("the refusal", || login(other).status == 503);
    let reply = one.refresh(&pair.refresh);
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    let checked = one.check(&pair.access).status;
    assert!(checked == 200 || checked == 503, "an answer that would make clients drop good sessions: {checked}");
    end(&mut server);
    wait_for("the recovery", || login(one).status == 200 && login(other).status == 200);
    // The token that met the refusal is still good.
    wait_for("the refresh", || other.refresh(&pair.refresh).status == 200);
    goes_on(&users);
    users.judge();
}

fn login(node: &Doorward) -> crate::harness::http::Reply {
    Request::post("/login", &json!({"user_id": "someone"})).send(node.public)
}

// SEC-F6
#[test]
fn a_full_redis_gives_nothing_new_and_loses_nothing() {
    let limit = |server: &RedisServer, limit| assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", limit]), "OK");
    a_refusal(|server| limit(server, "1"), |server| limit(server, "0"));
}

// SEC-F6
#[test]
fn a_primary_that_became_a_replica_gives_nothing_new_and_loses_nothing() {
    let nowhere = ports::free().port().to_string();
    a_refusal(
        |server| assert_eq!(server.cli(&["REPLICAOF", "127.0.0.1", &nowhere]), "OK"),
        |server| assert_eq!(server.cli(&["REPLICAOF", "NO", "ONE"]), "OK"),
    );
}

// SEC-F6: WRONGPASS, and NOAUTH where the connection was never let in.
#[test]
fn a_password_that_was_changed_is_an_outage_until_it_is_right_again() {
    let change = |server: &RedisServer, to: &str| {
        assert_eq!(server.cli(&["ACL", "SETUSER", "door", "resetpass", to]), "OK");
        server.cli(&["CLIENT", "KILL", "USER", "door"]);
    };
    a_refusal(|server| change(server, ">other"), |server| change(server, ">right"));
}

// SEC-F6
#[test]
fn rights_that_were_taken_away_are_an_outage_until_they_are_given_back() {
    let rights = |server: &RedisServer, rule| assert_eq!(server.cli(&["ACL", "SETUSER", "door", rule]), "OK");
    a_refusal(|server| rights(server, "-@all"), |server| rights(server, "+@all"));
}

// SEC-F6
#[test]
fn while_redis_loads_its_file_all_wait_and_then_go_on() {
    if !available() {
        return;
    }
    // Each key takes a millisecond to load, and Redis looks at its connections after each thousand.
    let mut server = RedisServer::start_with(&["--key-load-delay", "1000"]);
    let fill = "for n = 1, 4000 do redis.call('SET', 'filler:' .. n, n) end";
    server.cli(&["EVAL", fill, "0"]);
    let scene = Scene::of(&[&server.url(), &server.url()]);
    let pair = scene.nodes[0].login("alice");
    let users = scene.users(TERMS);
    server.restart_without_waiting();
    assert!(server.cli(&["PING"]).contains("LOADING"), "it loads");
    wait_for("the outage", || login(&scene.nodes[0]).status == 503);
    server.wait_loaded();
    wait_for("the recovery", || login(&scene.nodes[0]).status == 200);
    wait_for("the refresh", || scene.nodes[1].refresh(&pair.refresh).status == 200);
    goes_on(&users);
    users.judge();
}

// SEC-F8
#[test]
fn a_session_that_redis_evicted_is_refused_and_nothing_else_is_harmed() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    let evicted = doorward.login("evicted");
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    // So small that the next write makes room of everything.
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    login(&doorward);
    wait_for("the eviction", || server.cli(&["DBSIZE"]) == "0");
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_for("the refusal", || doorward.check(&evicted.access).status == 401);
    assert_eq!(doorward.refresh(&evicted.refresh).status, 401);
    wait_for("a login", || login(&doorward).status == 200);
    assert_eq!(doorward.check(&doorward.login("fresh").access).status, 200);
}

// SEC-F6
#[test]
fn scripts_that_redis_forgot_are_loaded_again() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    let pair = doorward.login(1);
    server.cli(&["SCRIPT", "FLUSH"]);
    let next = Pair::of(&doorward.refresh(&pair.refresh));
    assert_eq!(doorward.check(&next.access).status, 200);
}

// SEC-F8
#[test]
fn an_evicting_redis_is_told_at_start_and_in_readiness() {
    if !available() {
        return;
    }
    let server = RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let doorward = Doorward::start(config(&server));
    wait_for("the warning", || doorward.process.output().contains("noeviction"));
    wait_for("the detail", || Request::get("/readyz").send(doorward.ops).body.contains("noeviction"));
}
