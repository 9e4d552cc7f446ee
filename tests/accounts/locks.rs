//! Locks by wrong passwords: administrators see them and lift them.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::doorward::program;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, login, refused};

on_every_store!(a_lock_is_told_and_lifted);

fn run(service: &Service, args: &[&str]) -> Output {
    let config = service.doorward.folder().join("doorward.yaml");
    let output = program().arg("user").args(args).arg("-c").arg(config).current_dir(service.doorward.folder()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

// SEC-B3
fn a_lock_is_told_and_lifted(store: Store) {
    let lockout = json!({"after": 2, "for": "10m"});
    let service = Service::start_with(store, json!({"limits": {"lockout": lockout}}));
    let admin = service.administrator();
    let id = service.register("alice@example.com");
    let known = service.login("alice@example.com");
    let path = format!("/admin/users/{id}/lock");
    let locks = || service.get(&path, &admin.access).json()["locks"].clone();
    assert_eq!(locks(), json!([]));
    let shown = String::from_utf8_lossy(&run(&service, &["show", "alice@example.com"]).stdout).into_owned();
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["locked", "no"])), "{shown}");

    let wrong = "wrong-hole-7";
    let guess = |password| service.try_login("alice@example.com", password).status;
    assert_eq!([guess(wrong), guess(wrong), guess(PASSWORD)], [401, 401, 401], "the right one is not looked at");
    assert_eq!(locks()[0]["session"], Value::Null, "{}", locks());
    assert!(locks()[0]["until"].as_str().unwrap().ends_with('Z'), "{}", locks());
    let from_home = |password| service.send(&login("alice@example.com", password).bearer(&known.refresh)).status;
    assert_eq!([from_home(wrong), from_home(wrong), from_home(PASSWORD)], [401, 401, 401]);
    assert_eq!(locks()[1]["session"], known.sid(), "{}", locks());
    let shown = run(&service, &["show", &id, "-o", "json"]).stdout;
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["locked"][1]["session"], known.sid(), "{shown}");
    let shown = String::from_utf8_lossy(&run(&service, &["show", &id]).stdout).into_owned();
    assert!(shown.contains("to strangers until 20"), "{shown}");

    refused(&service.get(&path, &known.access), 403, "forbidden");
    refused(&service.ask("DELETE", &path, &known.access), 403, "forbidden");
    assert_eq!(service.ask("DELETE", &path, &admin.access).status, 200);
    assert_eq!(locks(), json!([]));
    assert_eq!([guess(PASSWORD), from_home(PASSWORD)], [200, 200]);

    assert_eq!([guess(wrong), guess(wrong), guess(PASSWORD)], [401, 401, 401]);
    let told = run(&service, &["unlock", "alice@example.com"]).stderr;
    assert!(String::from_utf8_lossy(&told).contains("unlocked by command-line"));
    assert_eq!(guess(PASSWORD), 200);
    refused(
        &service.get("/admin/users/11111111-1111-4111-8111-111111111111/lock", &admin.access),
        404,
        "user_not_found",
    );
}
