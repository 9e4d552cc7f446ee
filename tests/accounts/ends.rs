//! Ending sessions by `doorward session …` and as an administrator: whose they are, what is said of it, and who is told to have
//! done it in the audit tail.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::doorward::program;
use crate::harness::wait::wait_for;
use crate::on_every_store;
use crate::service::{Service, Store, Tokens, refused};

on_every_store!(
    an_account_is_named_by_its_address,
    what_a_command_ends_stands_in_the_audit_tail_and_in_the_history,
    an_administrators_end_tells_who_it_was,
);

fn session(service: &Service, args: &[&str]) -> Output {
    let mut command = program();
    command.arg("session").args(args).arg("-c").arg("doorward.yaml").current_dir(service.doorward.folder());
    command.output().unwrap()
}

#[track_caller]
fn told(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    told
}

#[track_caller]
fn failed(output: &Output, why: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains(why), "{told}");
}

fn listed(service: &Service, whom: &[&str]) -> Vec<String> {
    let output = session(service, &[&["list", "-o", "json"], whom].concat());
    told(&output);
    let sessions: Value = serde_json::from_slice(&output.stdout).unwrap();
    sessions.as_array().unwrap().iter().map(|session| session["sid"].as_str().unwrap().to_owned()).collect()
}

fn wait_until_refused(service: &Service, alice: &Tokens) {
    wait_for("the running process to hear of it", || service.check(&alice.access) == 401);
}

/// The newest end of a user's, as the audit tail tells it: its session and its outcome, once it is there.
fn end_of(service: &Service, admin: &Tokens, user: &str, request: Option<&str>) -> (String, String) {
    let mut found = None;
    wait_for("the event in the audit tail", || {
        let tail = service.get(&format!("/admin/audit?user={user}"), &admin.access).json();
        let events = tail["events"].as_array().cloned().unwrap_or_default();
        let text = |event: &Value, member: &str| event[member].as_str().unwrap_or_default().to_owned();
        let end = events.iter().find(|event| event["event"] == "authn_token_revoked");
        found = end.map(|event| {
            assert!(request.is_none_or(|id| event["request_id"] == id), "{event}");
            (text(event, "session"), text(event, "outcome"))
        });
        found.is_some()
    });
    found.unwrap()
}

/// A user's newest session as its history has it, which is to be this one.
fn remembered(service: &Service, admin: &Tokens, user: &str, of: &Tokens) -> Value {
    let past = service.get(&format!("/admin/users/{user}/history"), &admin.access).json();
    let newest = past["sessions"][0].clone();
    assert!(newest.is_null() || newest["id"] == of.sid(), "{past}");
    newest
}

fn an_account_is_named_by_its_address(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"issuer": "https://auth.example.com"}}));
    let id = service.register("alice@example.com");
    let alice = service.login("alice@example.com");
    assert_eq!(service.check(&alice.access), 200);
    assert_eq!(listed(&service, &["--user", "Alice@Example.com"]), [alice.sid()]);
    assert_eq!(listed(&service, &["--user", &id]), [alice.sid()]);
    for unknown in ["bob@example.com", "no address@"] {
        for args in [&["list", "--user", unknown][..], &["revoke", "--yes", "--user", unknown]] {
            failed(&session(&service, args), &format!("write --subject {unknown:?}"));
        }
    }
    assert_eq!(service.check(&alice.access), 200);

    let done = told(&session(&service, &["revoke", "--user", "alice@example.com", "--yes"]));
    assert!(done.contains("Sessions ended: 1.") && done.contains("issuer `https://auth.example.com`"), "{done}");
    let heard = if service.redis.is_some() { "at once" } else { "within 200 ms" };
    assert!(done.contains(&format!("Running checkers hear of it {heard}")), "{done}");
    wait_until_refused(&service, &alice);

    let nothing = told(&session(&service, &["revoke", "--user", "alice@example.com", "--yes"]));
    assert!(nothing.contains(&format!("No live session of `{id}` was found")), "{nothing}");
    assert!(nothing.contains("issuer `https://auth.example.com`"), "{nothing}");
}

fn what_a_command_ends_stands_in_the_audit_tail_and_in_the_history(store: Store) {
    let service = Service::start(store);
    let admin = service.administrator();
    let id = service.register("alice@example.com");
    let other = service.register("bob@example.com");
    let (one, all) = (service.login("alice@example.com"), service.login("bob@example.com"));
    // The service writes the beginnings in batches, and this is to be about their ends.
    for (user, of) in [(&id, &one), (&other, &all)] {
        wait_for("the beginning in the history", || remembered(&service, &admin, user, of)["id"] == of.sid());
    }
    told(&session(&service, &["revoke", &one.sid(), "--yes"]));
    let by_command = "admin by command-line".to_owned();
    assert_eq!(end_of(&service, &admin, &id, Some("command-line")), (one.sid(), by_command.clone()));
    told(&session(&service, &["revoke", "--user", &other, "--yes"]));
    assert_eq!(end_of(&service, &admin, &other, Some("command-line")), (String::new(), by_command));
    for (user, of) in [(&id, &one), (&other, &all)] {
        wait_for("the end in the history", || remembered(&service, &admin, user, of)["cause"] == "admin");
    }

    told(&session(&service, &["revoke", "--all", "--yes"]));
    wait_until_refused(&service, &admin);
    let admin = service.login("root@example.com");
    let tail = service.get("/admin/audit", &admin.access).json();
    let events = tail["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["outcome"] == "everyone by command-line"), "{tail}");
}

fn an_administrators_end_tells_who_it_was(store: Store) {
    let service = Service::start(store);
    let admin = service.administrator();
    let root = service.get("/profile", &admin.access).json()["id"].as_str().unwrap().to_owned();
    let by_root = format!("admin by {root}");
    let id = service.register("alice@example.com");
    let other = service.register("bob@example.com");
    let (one, all) = (service.login("alice@example.com"), service.login("bob@example.com"));
    assert_eq!(service.ask("DELETE", &format!("/admin/sessions/{}", one.sid()), &admin.access).status, 200);
    assert_eq!(end_of(&service, &admin, &id, None), (one.sid(), by_root.clone()));
    assert_eq!(service.ask("DELETE", &format!("/admin/users/{other}/sessions"), &admin.access).status, 200);
    assert_eq!(end_of(&service, &admin, &other, None), (String::new(), by_root));
    for (user, of) in [(&id, &one), (&other, &all)] {
        wait_for("the end in the history", || remembered(&service, &admin, user, of)["cause"] == "admin");
    }
}

#[test]
fn a_session_ends_by_command_also_where_the_users_database_is_not_there() {
    let service = Service::start(Store::SqliteAndRedis);
    service.register("alice@example.com");
    let alice = service.login("alice@example.com");
    let elsewhere = ["--yes", "--set", "users.url=sqlite:elsewhere.db"];
    let revoke = |whom: &[&str]| session(&service, &[&["revoke"], whom, &elsewhere[..]].concat());
    failed(&revoke(&["--user", "alice@example.com"]), "elsewhere.db does not exist");
    let done = told(&revoke(&[&alice.sid()]));
    assert!(done.contains("The session has ended.") && done.contains("won't see this in /admin/audit"), "{done}");
    wait_until_refused(&service, &alice);
    assert!(!service.doorward.folder().join("elsewhere.db").exists());
}

#[test]
fn an_administrator_is_told_that_no_such_session_lives() {
    let service = Service::start(Store::Sqlite);
    let admin = service.administrator();
    let ended = service.login("root@example.com");
    assert_eq!(service.ask("POST", "/auth/logout", &ended.access).status, 200);
    for id in ["x".to_owned(), ended.sid()] {
        let reply = service.ask("DELETE", &format!("/admin/sessions/{id}"), &admin.access);
        assert_eq!(reply.json()["detail"], "There is no live session with this id.");
        refused(&reply, 404, "session_not_found");
    }
}
