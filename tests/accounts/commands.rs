//! `doorward user …` beside a running service.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::harness::doorward::program;
use crate::harness::http::Request;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, Tokens, refused};

on_every_store!(an_account_is_made_and_changed_by_command, accounts_of_another_service_are_taken_over);

fn run(service: &Service, input: &str, args: &[&str]) -> Output {
    let mut command = program();
    command.arg("user").args(args).arg("-c").arg(service.doorward.folder().join("doorward.yaml"));
    command.current_dir(service.doorward.folder()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn failed(output: &Output, why: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains(why), "{told}");
    assert!(!told.contains("rabbit"), "{told}");
}

fn an_account_is_made_and_changed_by_command(store: Store) {
    let service = Service::start(store);
    let password = format!("{PASSWORD}\n");
    let added = run(&service, &password, &["add", "Alice@example.com", "--role", "editor", "-o", "json"]);
    let user: Value = serde_json::from_str(&done(&added)).unwrap();
    assert_eq!((&user["email"], &user["roles"]), (&json!("alice@example.com"), &json!(["editor"])));
    failed(&run(&service, &password, &["add", "alice@example.com"]), "There is an account with this address.");
    failed(&run(&service, "password1\n", &["add", "bob@example.com"]), "commonest");
    failed(&run(&service, "", &["add", "bob@example.com"]), "--no-password");

    let alice = service.login("alice@example.com");
    assert_eq!(alice.claims()["roles"], json!(["editor"]));
    assert_eq!(service.check(&alice.access), 200);
    done(&run(&service, "", &["roles", "alice@example.com", "reader", "editor"]));
    assert_eq!(done(&run(&service, "", &["roles", "alice@example.com"])), "reader\neditor\n");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while service.check(&alice.access) == 200 {
        assert!(std::time::Instant::now() < until, "the running process hears of it by the log");
    }
    let alice = Tokens::of(&service.refresh(&alice.refresh));
    assert_eq!(alice.claims()["roles"], json!(["reader", "editor"]));
    let shown: Value =
        serde_json::from_str(&done(&run(&service, "", &["show", "alice@example.com", "-o", "json"]))).unwrap();
    assert_eq!((&shown["id"], &shown["sessions"]), (&user["id"], &json!([alice.sid()])));

    done(&run(&service, "looking-glass-8\n", &["set-password", user["id"].as_str().unwrap()]));
    refused(&service.refresh(&alice.refresh), 401, "invalid_token");
    refused(&service.try_login("alice@example.com", PASSWORD), 401, "invalid_credentials");
    let alice = Tokens::of(&service.try_login("alice@example.com", "looking-glass-8"));
    done(&run(&service, "", &["disable", "alice@example.com"]));
    refused(&service.refresh(&alice.refresh), 401, "invalid_token");
    refused(&service.try_login("alice@example.com", "looking-glass-8"), 401, "invalid_credentials");
    done(&run(&service, "", &["enable", "alice@example.com"]));
    Tokens::of(&service.try_login("alice@example.com", "looking-glass-8"));
    let list = done(&run(&service, "", &["list"]));
    assert!(list.contains("alice@example.com") && list.contains("reader,editor"), "{list}");

    failed(&run(&service, "", &["delete", "alice@example.com"]), "say --yes");
    done(&run(&service, "", &["delete", "alice@example.com", "--yes"]));
    failed(&run(&service, "", &["show", "alice@example.com"]), "There is no such user.");
}

/// Of [`PASSWORD`], as another service kept it.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuNgKjGxHhAv8md3nP8Zofd.FGPohplOy";

fn accounts_of_another_service_are_taken_over(store: Store) {
    let service = Service::start(store);
    let there = service.register("there@example.com");
    let lines = [
        json!({"id": 7, "email": "Alice@example.com", "password_hash": BCRYPT, "roles": ["editor"], "confirmed": true,
               "created_at": "2020-02-03T04:05:06.789+01:00"}),
        json!({"email": "there@example.com", "roles": null}),
        json!({"email": "bob@example.com", "password_hash": BCRYPT, "disabled": true}),
    ]
    .map(|line| format!("{line}\n"))
    .concat();
    let told = |output: &Output| {
        done(output);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(told(&run(&service, &lines, &["import"])).contains("New accounts: 2; there already: 1."));
    assert!(told(&run(&service, &lines, &["import"])).contains("New accounts: 0; there already: 3."), "again");

    // The old hash verifies, and is replaced; the id and the rest are as they were.
    let mut alice = service.login("alice@example.com");
    for _ in 0..2 {
        assert_eq!((&alice.claims()["sub"], &alice.claims()["roles"]), (&json!("7"), &json!(["editor"])));
        alice = service.login("alice@example.com");
    }
    let profile = service.send(&Request::get("/profile").bearer(&alice.access)).json();
    assert_eq!((&profile["confirmed"], &profile["created_at"]), (&json!(true), &json!("2020-02-03T03:05:06Z")));
    assert_eq!(service.login("there@example.com").claims()["sub"], json!(there));
    refused(&service.try_login("bob@example.com", PASSWORD), 401, "invalid_credentials");

    let nobody = || failed(&run(&service, "", &["show", "carol@example.com"]), "There is no such user.");
    for taken in [json!({"id": "8", "email": "alice@example.com"}), json!({"id": 7, "email": "other@example.com"})] {
        let lines = format!("{{\"email\": \"carol@example.com\"}}\n{taken}");
        failed(
            &run(&service, &lines, &["import"]),
            "nothing was imported: the address or the id is another account's here, in line 2",
        );
        nobody();
    }
    let wrong = "{\"email\": \"carol@example.com\"}\nnonsense\n{\"mail\": \"x\"}\n{\"email\": \"no address\"}\n\
                 {\"email\": \"d@example.com\", \"password_hash\": \"5f4dcc3b5aa765d61d8327deb882cf99\"}\n\
                 {\"email\": \"e@example.com\", \"id\": \"a b\"}\n{\"email\": \"f@example.com\", \"confirmed\": 1}\n\
                 {\"email\": \"g@example.com\", \"created_at\": \"yesterday\"}\n{\"email\": \"Carol@example.com\"}";
    let output = run(&service, wrong, &["import"]);
    failed(&output, "nothing was imported:\nline 2: ");
    for told in [
        "line 3: `mail` is not known",
        "line 4: An email address",
        "line 5: A password hash",
        "line 6: `id` is",
        "line 7: `confirmed` is true or false",
        "line 8: `created_at` is a moment",
        "line 9: its address or id is that of line 1",
    ] {
        failed(&output, told);
    }
    nobody();
}
