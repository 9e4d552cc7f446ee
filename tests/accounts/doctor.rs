//! `doctor` before a database or a Redis that refuses: told once, in words, with what to do.

use serde_json::{Value, json};

use crate::harness::databases::Server;
use crate::harness::doorward::program;
use crate::harness::redis::RedisServer;

fn lines(url: &str) -> Vec<Value> {
    lines_of(json!({"users": {"url": url}}))
}

fn lines_of(mut config: Value) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let free = "127.0.0.1:0";
    let listen = json!({"public": free, "check": free, "ops": free});
    config["listen"] = listen;
    config["keys"] = json!({"dir": folder.path().join("keys")});
    std::fs::write(folder.path().join("doorward.yaml"), config.to_string()).unwrap();
    let doctor = ["doctor", "--pre", "-o", "json", "-c", "doorward.yaml"];
    let output = program().args(doctor).current_dir(folder.path()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["lines"].as_array().unwrap().iter().filter(|line| line["mark"] != "good").cloned().collect()
}

#[test]
fn a_database_that_refuses_is_told_once_with_the_fix() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for server in Server::ALL {
        let url = runtime.block_on(server.database()).expect("./test installs the database");
        let (start, name) = url.rsplit_once('/').unwrap();
        let (scheme, host) = (url.split_once("://").unwrap().0, start.split_once('@').unwrap().1);
        for (url, fix) in [
            (format!("{scheme}://mallory:canary@{host}/{name}"), "the user and the password"),
            (format!("{start}/missing"), "make th"),
            (format!("{scheme}://mallory:canary@127.0.0.1:1/{name}"), "may reach"),
        ] {
            let lines = lines(&url);
            let bad: Vec<_> = lines.iter().filter(|line| line["mark"] == "bad").collect();
            assert!(bad.len() == 1 && bad[0]["group"] == "users", "{url}: {lines:#?}");
            assert!(bad[0]["fix"].as_str().unwrap().contains(fix), "{url}: {lines:#?}");
            let all = format!("{lines:?}");
            assert!(!all.contains("state.url") && !all.contains("canary") && !all.contains("pool timed out"), "{all}");
        }
    }
}

#[test]
fn a_redis_that_refuses_is_told_in_words_with_the_fix() {
    let server = RedisServer::start();
    server.cli(&["acl", "setuser", "default", "nopass"]);
    let locked = RedisServer::start();
    let place = server.address();
    for (url, fix) in [
        (format!("redis://{}", locked.address()), "redis://:PASSWORD@HOST"),
        (server.url_as("nobody", "canary"), "redis://USER:PASSWORD@HOST"),
        (format!("redis://{place}/99"), "/0"),
        (format!("rediss://{place}"), "redis://"),
        (format!("redis-cluster://{place}"), "redis://"),
        (format!("redis-sentinel://{place}/0?sentinelServiceName=main"), "redis://"),
        ("redis://127.0.0.1:1".to_owned(), "a store that runs"),
    ] {
        let lines = lines_of(json!({"state": {"url": url}}));
        let bad: Vec<_> = lines.iter().filter(|line| line["mark"] == "bad").collect();
        assert!(bad.len() == 1 && bad[0]["group"] == "state", "{url}: {lines:#?}");
        assert!(bad[0]["fix"].as_str().unwrap().contains(fix), "{url}: {lines:#?}");
        let all = format!("{lines:?}");
        assert!(!all.contains("kind:") && !all.contains("canary"), "{all}");
    }
}
