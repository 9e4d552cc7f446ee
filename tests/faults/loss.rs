//! Redis that has forgotten: emptied, restarted without its file, restored from an older dump. F7, F12.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::doorward::{Doorward, program};
use crate::harness::redis::{RedisServer, available};
use crate::harness::wait::{passes_no_longer, wait_for};
use crate::scene::{Scene, config, redis};

// SEC-F7
#[test]
fn after_flushall_no_session_is_left_and_new_ones_work() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    let before = doorward.login(1);
    assert_eq!(doorward.check(&before.access).status, 200);
    server.flush_all();
    let flushed = Instant::now();
    passes_no_longer(Duration::from_secs(2), flushed, 401, || doorward.check(&before.access).status);
    assert_eq!(doorward.refresh(&before.refresh).status, 401);
    assert_eq!(doorward.logout(&before.access).status, 200);
    assert_eq!(doorward.check(&doorward.login(1).access).status, 200);
}

// SEC-F7
#[test]
fn after_a_restart_without_its_file_no_session_is_left_and_new_ones_work() {
    if !available() {
        return;
    }
    let mut server = RedisServer::start_with(&["--appendonly", "no"]);
    let doorward = Doorward::start(config(&server));
    let (before, ended) = (doorward.login(1), doorward.login(2));
    assert_eq!(doorward.logout(&ended.access).status, 200);
    assert_eq!(doorward.check(&before.access).status, 200);
    server.restart();
    wait_for("the loss to be noticed", || doorward.check(&before.access).status == 401);
    assert_eq!(doorward.knows(&ended.access), 401, "nothing revoked becomes valid");
    assert_eq!(doorward.refresh(&before.refresh).status, 401);
    assert_eq!(doorward.refresh(&ended.refresh).status, 401);
    assert_eq!(doorward.check(&doorward.login(1).access).status, 200);
    let told = doorward.process.output().matches("authn_token_revoked").count();
    assert_eq!(told, 1, "one logout, and no storm of revocations");
}

// SEC-F12
#[test]
fn after_a_restore_the_running_issuers_end_again_what_ended_since_and_the_operator_ends_the_rest() {
    if !available() {
        return;
    }
    let mut server = RedisServer::start_with(&["--appendonly", "no"]);
    let scene = Scene::with(&[&server.url()], json!({}));
    let [doorward] = &scene.nodes[..] else { unreachable!() };
    let [heard, stays] = ["heard", "stays"].map(|user| doorward.login(user));
    wait_for("the issuer to follow the log", || server.cli(&["CLIENT", "LIST"]).contains("cmd=xread"));
    server.back_up();
    assert_eq!(doorward.logout(&heard.access).status, 200);
    let since = doorward.login("since");
    server.restore();
    // Here it holds by memory; the store knows of it again once nobody can use the session there.
    wait_for("the logout to hold again", || doorward.refresh(&heard.refresh).status == 401);
    assert_eq!(doorward.knows(&heard.access), 401);
    wait_for("what had not ended to go on", || doorward.check(&stays.access).status == 200);
    assert_eq!(doorward.knows(&since.access), 401, "a session that the dump does not know");

    // What ended while no issuer listened comes back with the dump, until the operator ends all.
    let done = program()
        .args(["session", "revoke", "--all", "--yes", "-c"])
        .arg(doorward.folder().join("doorward.yaml"))
        .output()
        .expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    wait_for("the end of all", || doorward.check(&stays.access).status == 401);
    assert_eq!(doorward.refresh(&stays.refresh).status, 401);
    assert_eq!(doorward.check(&doorward.login("anew").access).status, 200);
}
