//! Configurations that change while the process runs: all or nothing, and what waits for a restart is named.

use serde_json::{Value, json};

use crate::harness::doorward::Doorward;
use crate::harness::http::Request;
use crate::harness::wait::wait_for;

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
