//! When the token store breaks: killed, frozen, flushed; and how a process ends and reloads. The table is SEC-F.

mod harness;

use std::time::{Duration, Instant};

use harness::doorward::{Doorward, Pair};
use harness::http::Request;
use harness::redis::RedisServer;
use harness::wait::wait_for;
use serde_json::{Value, json};

/// Short bounds, so that the tests need not wait long for them.
fn config(redis: &RedisServer) -> Value {
    json!({
        "state": {"url": redis.url()},
        "check": {"cache": {"max_staleness": "500ms", "max_staleness_on_error": "3s"}},
    })
}

fn redis() -> Option<RedisServer> {
    harness::redis::available().then(RedisServer::start)
}

/// Cached tokens pass until the error bound, everything else is 503; back by itself (SEC-F1, F2).
fn an_outage(doorward: &Doorward, begin: impl FnOnce(), end: impl FnOnce()) {
    let (cached, unseen) = (doorward.login(1), doorward.login(2));
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
    let next = Pair::of(&doorward.refresh(&cached.refresh));
    assert_eq!(doorward.check(&next.access).status, 200);
}

// SEC-F1
#[test]
fn a_killed_redis_is_an_outage_and_no_loss() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    let server = std::cell::RefCell::new(server);
    an_outage(&doorward, || server.borrow_mut().kill(), || server.borrow_mut().restart());
}

// SEC-F2
#[test]
fn a_frozen_redis_is_an_outage_and_no_pile_up() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    an_outage(&doorward, || server.freeze(), || server.thaw());
}

// SEC-F2
#[test]
fn while_redis_is_frozen_every_answer_comes_within_its_budget() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    let tokens: Vec<Pair> = (0..50).map(|user| doorward.login(user)).collect();
    server.freeze();
    std::thread::scope(|scope| {
        for pair in &tokens {
            let doorward = &doorward;
            scope.spawn(move || {
                let began = Instant::now();
                assert_eq!(doorward.check(&pair.access).status, 503);
                // 100 ms is the budget; the rest is a busy test machine's.
                assert!(began.elapsed() < Duration::from_millis(1000), "an answer took {:?}", began.elapsed());
            });
        }
    });
    server.thaw();
    wait_for("the recovery", || tokens.iter().all(|pair| doorward.check(&pair.access).status == 200));
}

// SEC-F7
#[test]
fn after_flushall_no_session_is_left_and_new_ones_work() {
    let Some(server) = redis() else { return };
    let doorward = Doorward::start(config(&server));
    let before = doorward.login(1);
    assert_eq!(doorward.check(&before.access).status, 200);
    server.flush_all();
    let flushed = Instant::now();
    wait_for("the flush to be noticed", || doorward.check(&before.access).status == 401);
    assert!(flushed.elapsed() < Duration::from_secs(2), "noticed after {:?}, past the bound", flushed.elapsed());
    assert_eq!(doorward.refresh(&before.refresh).status, 401);
    assert_eq!(doorward.logout(&before.access).status, 200);
    assert_eq!(doorward.check(&doorward.login(1).access).status, 200);
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
    if !harness::redis::available() {
        return;
    }
    let server = RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let doorward = Doorward::start(config(&server));
    wait_for("the warning", || doorward.process.output().contains("noeviction"));
    wait_for("the detail", || Request::get("/readyz").send(doorward.ops).body.contains("noeviction"));
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

// SEC-N2
#[test]
fn on_sigterm_readiness_goes_first_and_service_last() {
    let mut doorward = Doorward::start(json!({"shutdown": {"delay": "1s", "finish": "2s"}}));
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

// SEC-P14
#[test]
fn changed_rules_are_taken_up_and_a_bad_file_changes_nothing() {
    let doorward = Doorward::start(json!({}));
    let pair = doorward.login(1);
    assert_eq!(doorward.check(&pair.access).status, 200);
    let file = doorward.folder().join("doorward.yaml");
    let original = std::fs::read_to_string(&file).expect("the configuration");
    let with = |rules: Value| {
        let mut config: Value = serde_json::from_str(&original).expect("JSON");
        config["check"] = json!({"rules": rules});
        std::fs::write(&file, config.to_string()).expect("a writable file");
    };
    with(json!([{"path": "/**", "require": {"roles": ["nobody-has-this"]}}]));
    doorward.process.signal("HUP");
    wait_for("the new rules", || doorward.check(&pair.access).status == 403);

    with(json!([{"path": "/**", "requires": {}}]));
    doorward.process.signal("HUP");
    wait_for("the complaint", || doorward.process.output().contains("requires"));
    assert_eq!(doorward.check(&pair.access).status, 403, "the rules before go on");

    std::fs::write(&file, &original).expect("a writable file");
    wait_for("the changed file, without a signal", || doorward.check(&pair.access).status == 200);
}

#[test]
fn what_only_a_restart_brings_into_effect_is_named_at_each_reload_until_it_is_changed_back() {
    let doorward = Doorward::start(json!({}));
    let file = doorward.folder().join("doorward.yaml");
    let original = std::fs::read_to_string(&file).expect("the configuration");
    // The keys that the latest reload named; none before the first.
    let named = || -> Option<Vec<String>> {
        let log = doorward.process.output();
        let lines: Vec<&str> = log.lines().collect();
        let ends: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains("sys_config_change")).collect();
        let from = ends.iter().rev().nth(1).map_or(0, |at| at + 1);
        let said = lines[from..*ends.last()?].iter().map(|line| serde_json::from_str(line).expect("JSON"));
        let restart = |line: &Value| line["message"].as_str().is_some_and(|words| words.contains("takes a restart"));
        Some(said.filter(restart).map(|line: Value| line["key"].as_str().expect("a key").to_owned()).collect())
    };
    let reloads = || doorward.process.output().matches("sys_config_change").count();
    let mut config: Value = serde_json::from_str(&original).expect("JSON");
    config["auth"]["access_lifetime"] = "7m".into();
    config["workers"] = 1.into();
    config["logging"]["level"] = "info".into();
    std::fs::write(&file, config.to_string()).expect("a writable file");
    doorward.process.signal("HUP");
    let both = ["auth.access_lifetime", "workers"].map(str::to_owned);
    wait_for("the warnings", || named().is_some_and(|keys| keys == both));
    let claims = Request::get("/authenticate").bearer(&doorward.login(1).access).send(doorward.public).json();
    let lifetime = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(end, begin)| end - begin);
    assert_eq!(lifetime, Some(15 * 60), "it is not in effect: {claims}");

    let before = reloads();
    doorward.process.signal("HUP");
    wait_for("another reload", || reloads() > before);
    assert_eq!(named().as_deref(), Some(&both[..]), "what is still not in effect is said again");

    config.as_object_mut().expect("an object").remove("workers");
    std::fs::write(&file, config.to_string()).expect("a writable file");
    doorward.process.signal("HUP");
    wait_for("only what still differs", || named().is_some_and(|keys| keys == both[..1]));
    std::fs::write(&file, &original).expect("a writable file");
    doorward.process.signal("HUP");
    wait_for("nothing", || named().is_some_and(|keys| keys.is_empty()));
}

// SEC-K6
#[test]
fn another_secret_of_the_server_is_said_to_wait_for_a_restart_and_ends_no_session_before() {
    let doorward = Doorward::start(json!({}));
    let file = doorward.folder().join("keys/server.secret");
    let pair = doorward.login(1);
    std::fs::write(&file, "A".repeat(43)).expect("a writable file");
    doorward.process.signal("HUP");
    wait_for("the warning", || {
        let log = doorward.process.output();
        log.lines().any(|line| line.contains("takes a restart") && line.contains("keys.secret_file"))
    });
    assert_eq!(doorward.refresh(&pair.refresh).status, 200);
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
