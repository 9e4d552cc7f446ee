//! `doorward client secret`, and what `config check` says of clients.

use std::io::Write;
use std::process::{Output, Stdio};

use doorward::oauth::secret::SecretHash;
use serde_json::{Value, json};

use crate::harness::doorward::program;
use crate::server::SECRET;

fn run(args: &[&str], input: &str) -> Output {
    let mut command = program();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_made_secret_comes_with_its_hash_and_one_from_elsewhere_is_hashed() {
    let made: Value = serde_json::from_slice(&run(&["client", "secret", "-o", "json"], "").stdout).unwrap();
    let secret = made["secret"].as_str().unwrap();
    let hash: SecretHash = made["secret_hash"].as_str().unwrap().parse().unwrap();
    assert!(hash.is_of(secret) && secret.len() == 47);
    let text = String::from_utf8(run(&["client", "secret"], "").stdout).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines[0][0], lines[1][0]), ("secret", "secret_hash"));
    assert!(lines[1][1].parse::<SecretHash>().unwrap().is_of(lines[0][1]));
    let given = run(&["client", "secret", "--stdin", "-o", "json"], &format!("{SECRET}\n"));
    let given: Value = serde_json::from_slice(&given.stdout).unwrap();
    assert_eq!(given, json!({"secret_hash": SecretHash::of(SECRET).unwrap().to_string()}));
    let weak = run(&["client", "secret", "--stdin"], "canary-hunter2\n");
    let told = String::from_utf8_lossy(&weak.stderr).into_owned();
    assert!(weak.status.code() == Some(1) && told.contains("drawn at random") && !told.contains("canary"), "{told}");
}

#[test]
fn config_check_names_what_is_wrong_with_a_client_and_hides_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let check = |clients: Value, command: &str| {
        let file = folder.path().join("doorward.yaml");
        let keys = folder.path().join("keys");
        let users = format!("sqlite:{}", folder.path().join("x.db").display());
        let config = json!({"clients": clients, "keys": {"dir": keys}, "users": {"url": users}});
        std::fs::write(&file, config.to_string()).unwrap();
        let output = run(&["config", command, "-c", file.to_str().unwrap()], "");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let hash = SecretHash::of(SECRET).unwrap().to_string();
    let good = json!([{"id": "billing", "secret_hash": hash, "grants": ["client_credentials"]}]);
    let (status, told) = check(good.clone(), "check");
    assert!(status == Some(0) && told.contains("auth.issuer") && told.contains("is no URL"), "{told}");
    let (_, shown) = check(good, "show");
    assert!(shown.contains("(hidden)") && !shown.contains(&hash), "{shown}");
    for (client, key, why) in [
        (json!({"id": "a b"}), "clients[0].id", "letters"),
        (json!({"id": "a", "secret_hash": "canary"}), "clients[0].secret_hash", "doorward client secret"),
        (json!({"id": "a", "jwks": "http://keys.example/x"}), "clients[0].jwks", "https"),
        (json!({"id": "a", "grants": ["client_credentials"]}), "clients[0].grants", "anyone"),
        (json!({"id": "a", "grants": ["password"]}), "clients[0].grants[0]", "client_credentials"),
        (json!({"id": "a", "scopes": ["a b"]}), "clients[0].scopes", "no scope"),
    ] {
        let (status, told) = check(json!([client]), "check");
        assert!(status == Some(78) && told.contains(key) && told.contains(why), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
    for (client, key, why) in [
        (json!({"id": "a"}), "clients[0].grants", "do nothing"),
        (json!({"id": "a", "secret_hash": hash, "jwks": "keys.json"}), "clients[0].secret_hash", "either proves"),
        (json!({"id": "a", "secret_hash": hash, "scopes": ["read"]}), "clients[0].scopes", "nothing ever has"),
    ] {
        let (status, told) = check(json!([client]), "check");
        assert!(status == Some(0) && told.contains(key) && told.contains(why), "{told}");
    }
    let (status, told) = check(json!([{"id": "a"}, {"id": "a"}]), "check");
    assert!(status == Some(78) && told.contains("clients[1].id"), "{told}");
}
