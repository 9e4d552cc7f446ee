//! What was done of a change whose other half could not be: said, and mended by a repeat. And commands that change nothing.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::json;

use crate::harness::doorward::program;
use crate::harness::wait::wait_for;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, refused};

on_every_store!(
    a_command_that_leaves_no_administrator_says_so,
    the_audit_events_of_an_address_are_those_of_its_account
);

/// What the command said, on standard error, and whether it was done.
fn run(service: &Service, args: &[&str], input: &str) -> (bool, String) {
    let mut command = program();
    command.arg("user").args(args).arg("-c").arg(service.doorward.folder().join("doorward.yaml"));
    command.current_dir(service.doorward.folder()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads nothing may have gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.success(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn a_change_of_an_account_while_the_token_store_is_away_is_told_as_half_done_and_repeated() {
    let mut service = Service::start(Store::SqliteAndRedis);
    let ids = ["disabled", "roles", "password", "deleted"].map(|name| service.register(&format!("{name}@example.com")));
    let sessions =
        ["disabled", "roles", "password", "deleted"].map(|name| service.login(&format!("{name}@example.com")));
    assert!(sessions.iter().all(|session| service.check(&session.access) == 200));
    let admin = service.administrator();
    let path = format!("/admin/users/{}/disabled", service.register("rest@example.com"));
    assert_eq!(service.get("/admin/users", &admin.access).status, 200);
    let new = "looking-glass-8\n";
    let changes: [(&[&str], &str); 4] = [
        (
            &["disable", "disabled@example.com"],
            "The account is disabled, but its sessions could not be ended: repeat this",
        ),
        (&["roles", "roles@example.com", "reader"], "The roles are set, but access tokens with the old ones"),
        (&["set-password", "password@example.com"], "The password is set, but the account's sessions"),
        (&["delete", "deleted@example.com", "--yes"], "The account is deleted, but its sessions"),
    ];

    service.redis.as_mut().unwrap().kill();
    let reply = service.put(&path, &json!({"disabled": true}), &admin.access);
    refused(&reply, 503, "sessions_not_ended");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("The account is disabled, but") && detail.ends_with("access_lifetime."), "{detail}");
    assert_eq!(reply.header("retry-after"), Some("1"));
    for (args, half) in &changes {
        let (done, told) = run(&service, args, new);
        assert!(!done && told.contains(half) && told.contains("when the token store answers"), "{told}");
        assert!(told.contains("auth.access_lifetime"), "{told}");
    }
    let (_, told) = run(&service, &["delete", &ids[3], "--yes"], "");
    assert!(told.contains("The account is deleted, but its sessions"), "also where it was gone before: {told}");

    service.redis.as_mut().unwrap().restart();
    // A repeat of what stands in the users' database already.
    for (args, _) in &changes[..3] {
        let (done, told) = run(&service, args, new);
        assert!(done, "{told}");
    }
    let (done, told) = run(&service, &["delete", &ids[3], "--yes"], "");
    assert!(!done && told.contains("its sessions have ended"), "{told}");
    for session in &sessions {
        wait_for("the end", || service.check(&session.access) == 401);
    }
    refused(&service.try_login("disabled@example.com", PASSWORD), 401, "invalid_credentials");
}

fn a_command_that_leaves_no_administrator_says_so(store: Store) {
    let service = Service::start(store);
    let secret = service.first_secret();
    let file = service.doorward.folder().join("keys/first-admin.secret");
    let password = format!("{PASSWORD}\n");
    let silent = |args: &[&str]| {
        let (done, told) = run(&service, args, &password);
        assert!(done && !told.contains("administrator"), "{told}");
    };
    silent(&["add", "alice@example.com", "--role", "admin"]);
    assert!(!file.exists(), "there is an administrator");
    silent(&["add", "bob@example.com", "--role", "admin"]);
    silent(&["disable", "alice@example.com"]);
    for args in [
        &["roles", "bob@example.com", "--none"][..],
        &["disable", "bob@example.com"],
        &["delete", "bob@example.com", "--yes"],
    ] {
        let (done, told) = run(&service, args, "");
        assert!(done && told.contains("No enabled account has the role `admin` now"), "{args:?}: {told}");
        if args[0] != "delete" {
            run(&service, &["enable", "bob@example.com"], "");
            silent(&["roles", "bob@example.com", "admin"]);
        }
    }
    silent(&["enable", "alice@example.com"]);
    assert!(run(&service, &["roles", "alice@example.com", "--none"], "").1.contains("No enabled account"));
    // The secret of before opens nothing, though nobody is administrator.
    let body = json!({"secret": secret, "email": "mallory@example.com", "password": PASSWORD});
    refused(&service.post("/admin/first", &body), 403, "first_admin_refused");
}

fn the_audit_events_of_an_address_are_those_of_its_account(store: Store) {
    let service = Service::start(store);
    let admin = service.administrator();
    let id = service.register("alice@example.com");
    service.login("alice@example.com");
    let events = |user: &str| {
        let reply = service.get(&format!("/admin/audit?user={user}"), &admin.access);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["events"].as_array().unwrap().clone()
    };
    wait_for("the events", || events(&id).len() >= 2);
    assert_eq!(events("Alice@example.com"), events(&id));
    refused(&service.get("/admin/audit?user=nobody@example.com", &admin.access), 404, "user_not_found");
    refused(&service.get("/admin/audit?user=no@body@", &admin.access), 400, "invalid_email");
}

#[test]
fn who_was_not_locked_is_not_unlocked() {
    let service = Service::start_with(Store::Sqlite, json!({"limits": {"lockout": {"after": 2, "for": "10m"}}}));
    service.register("alice@example.com");
    let (done, told) = run(&service, &["unlock", "alice@example.com"], "");
    assert!(done && told.contains("It was not locked.") && !told.contains("unlocked by"), "{told}");
    for _ in 0..3 {
        refused(&service.try_login("alice@example.com", "wrong-hole-7"), 401, "invalid_credentials");
    }
    let (done, told) = run(&service, &["unlock", "alice@example.com"], "");
    assert!(done && told.contains("Unlocked") && told.contains("unlocked by command-line"), "{told}");
    service.login("alice@example.com");
}
