//! `doctor` before a database that refuses: told once, with what to do.

use serde_json::{Value, json};

use crate::harness::databases::Server;
use crate::harness::doorward::program;

fn lines(url: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let free = "127.0.0.1:0";
    let listen = json!({"public": free, "check": free, "ops": free});
    let config = json!({"listen": listen, "users": {"url": url}, "keys": {"dir": folder.path().join("keys")}});
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
