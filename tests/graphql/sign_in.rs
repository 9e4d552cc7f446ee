//! Registering, signing in and out, `me`: what is answered to whom.

use serde_json::{Value, json};

use crate::asking::{
    LOGIN, LOGOUT, ME, REFRESH, REGISTER, ask, document, not_signed_in, refreshed, refused, sign_in, signed_in,
    with_credentials,
};
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, at_once};

on_every_store!(
    a_new_account_is_used_from_its_registration_to_its_logout,
    what_administrators_and_other_faces_do_counts_here_at_once,
    of_many_parallel_guesses_no_more_than_the_limit_are_looked_at,
);

fn a_new_account_is_used_from_its_registration_to_its_logout(store: Store) {
    let service = Service::start(store);
    let first = signed_in(&with_credentials(&service, REGISTER, "Alice@Example.com", PASSWORD), 201);
    assert_eq!(service.check(&first.access), 200);
    let me = ask(&service, ME, &first.access).json()["data"]["me"].clone();
    let profile = service.get("/profile", &first.access).json();
    for (here, there) in [
        ("id", "id"),
        ("email", "email"),
        ("confirmed", "confirmed"),
        ("createdAt", "created_at"),
        ("updatedAt", "updated_at"),
    ] {
        assert_eq!(me[here], profile[there], "{me} {profile}");
    }
    let second = sign_in(&service, "alice@example.com");
    assert_ne!(second.sid(), first.sid());
    let renewed = refreshed(&service, &second.refresh);
    assert_eq!((renewed.sid(), service.check(&renewed.access)), (second.sid(), 200));
    for _ in 0..2 {
        let ended = ask(&service, LOGOUT, &second.refresh);
        assert_eq!((ended.status, ended.json()), (200, json!({"data": {"logout": true}})), "again is fine");
    }
    assert_eq!((service.check(&renewed.access), service.check(&first.access)), (401, 200));
    refused(&ask(&service, REFRESH, &second.refresh), "UNAUTHENTICATED", "invalid_token");
    refused(&ask(&service, ME, &renewed.access), "UNAUTHENTICATED", "invalid_token");
    refused(&service.send(&document(ME, &json!({}))), "UNAUTHENTICATED", "no_token");
    for (document, bearer) in [(ME, &first.refresh), (REFRESH, &first.access)] {
        refused(&ask(&service, document, bearer), "UNAUTHENTICATED", "invalid_token");
    }
}

// SEC-L6
#[test]
fn of_parallel_registrations_one_makes_an_account() {
    let service = Service::start(Store::Sqlite);
    let answers = at_once(8, |at| {
        let email = if at % 2 == 0 { "bob@example.com" } else { "BOB@example.com" };
        with_credentials(&service, REGISTER, email, PASSWORD)
    });
    assert_eq!(answers.iter().filter(|answer| answer["status"] == 201).count(), 1, "{answers:?}");
    answers.iter().filter(|answer| answer["status"] != 201).for_each(|answer| not_signed_in(answer, 409, "email"));
}

// SEC-P14, SEC-L8
fn what_administrators_and_other_faces_do_counts_here_at_once(store: Store) {
    let service = Service::start(store);
    let admin = service.administrator();
    let id = service.register("carol@example.com");
    let carol = sign_in(&service, "carol@example.com");
    let put = |what: &str, body: Value| service.put(&format!("/admin/users/{id}/{what}"), &body, &admin.access).status;
    assert_eq!(put("roles", json!({"roles": ["editor"]})), 200);
    refused(&ask(&service, ME, &carol.access), "UNAUTHENTICATED", "invalid_token");
    let renewed = refreshed(&service, &carol.refresh);
    assert_eq!((&renewed.claims()["roles"], renewed.sid()), (&json!(["editor"]), carol.sid()));
    assert_eq!(service.ask("POST", "/auth/logout-all", &renewed.access).status, 200);
    refused(&ask(&service, REFRESH, &carol.refresh), "UNAUTHENTICATED", "invalid_token");
    let again = sign_in(&service, "carol@example.com");
    assert_eq!(put("disabled", json!({"disabled": true})), 200);
    refused(&ask(&service, REFRESH, &again.refresh), "UNAUTHENTICATED", "invalid_token");
    refused(&ask(&service, ME, &again.access), "UNAUTHENTICATED", "invalid_token");
    not_signed_in(&with_credentials(&service, LOGIN, "carol@example.com", PASSWORD), 401, "email");
}

// SEC-B1
fn of_many_parallel_guesses_no_more_than_the_limit_are_looked_at(store: Store) {
    let service = Service::start_limited(store, json!({}));
    signed_in(&with_credentials(&service, REGISTER, "dan@example.com", PASSWORD), 201);
    let guesses = at_once(40, |at| {
        let variables = json!({"email": "dan@example.com", "password": format!("wrong-hole-{at}")});
        // From addresses of their own, so that it is the account's limit that holds.
        let guess = document(LOGIN, &variables).header("X-Forwarded-For", &format!("198.51.100.{}", at + 1));
        service.send(&guess).json()["data"]["login"]["status"].as_u64().unwrap()
    });
    let looked_at = guesses.iter().filter(|status| **status == 401).count();
    assert!((1..=5).contains(&looked_at), "{guesses:?}");
    assert!(guesses.iter().all(|status| [401, 429, 503].contains(status)), "{guesses:?}");
}

// SEC-L4
#[test]
fn unknown_wrong_and_disabled_accounts_get_one_answer() {
    let service = Service::start(Store::Sqlite);
    let admin = service.administrator();
    service.register("ivan@example.com");
    let disabled = service.register("judy@example.com");
    let path = format!("/admin/users/{disabled}/disabled");
    assert_eq!(service.put(&path, &json!({"disabled": true}), &admin.access).status, 200);
    let cases =
        [("nobody@example.com", PASSWORD), ("ivan@example.com", "another-hole-8"), ("judy@example.com", PASSWORD)];
    let answers = cases.map(|(email, password)| with_credentials(&service, LOGIN, email, password));
    not_signed_in(&answers[0], 401, "email");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn a_refusal_names_the_argument_that_is_wrong() {
    let service = Service::start(Store::Sqlite);
    let tried = |mutation: &str, email: &str, password: &str| with_credentials(&service, mutation, email, password);
    for mutation in [REGISTER, LOGIN] {
        not_signed_in(&tried(mutation, "erin", PASSWORD), 400, "email");
        not_signed_in(&tried(mutation, "erin@example.com", &"x".repeat(1025)), 400, "password");
    }
    not_signed_in(&tried(REGISTER, "erin@example.com", "password1"), 400, "password");
    signed_in(&tried(REGISTER, "erin@example.com", PASSWORD), 201);
    not_signed_in(&tried(REGISTER, "ERIN@example.com", PASSWORD), 409, "email");
}

#[test]
fn what_is_no_arguments_fault_names_the_mutation() {
    let over = json!({"auth": {"registration": false, "max_sessions_per_user": 1, "at_session_limit": "refuse"}});
    let service = Service::start_with(Store::Sqlite, over);
    service.administrator();
    not_signed_in(&with_credentials(&service, REGISTER, "frank@example.com", PASSWORD), 403, "register");
    not_signed_in(&with_credentials(&service, LOGIN, "root@example.com", PASSWORD), 409, "login");
}

// SEC-B5, SEC-B6
#[test]
fn each_login_of_a_document_is_one_attempt() {
    let service = Service::start_limited(Store::Sqlite, json!({"limits": {"auth": "3/min"}}));
    let login =
        |name: &str| format!("{name}: login(email: \"gina@example.com\", password: \"wrong-hole-7\") {{ status }}");
    let document = document(&format!("mutation {{ {} {} }}", login("a"), login("b")), &json!({}));
    let statuses = |reply: &crate::harness::http::Reply| {
        let data = reply.json()["data"].clone();
        (data["a"]["status"].as_u64().unwrap(), data["b"]["status"].as_u64().unwrap())
    };
    let first = service.send(&document);
    assert_eq!((statuses(&first), first.header("retry-after")), ((401, 401), None));
    let second = service.send(&document);
    assert_eq!(statuses(&second), (401, 429));
    let third = service.send(&document);
    assert_eq!(statuses(&third), (429, 429));
    assert!(third.header("retry-after").unwrap().parse::<u64>().unwrap() > 0, "{third:?}");
    let response = with_credentials(&service, LOGIN, "gina@example.com", PASSWORD);
    not_signed_in(&response, 429, "login");
}

// SEC-B3
#[test]
fn strangers_lock_nobody_out_of_a_device_that_shows_a_token() {
    let limits = json!({"auth": "60/min", "lockout": {"after": 3, "for": "15m"}});
    let service = Service::start_limited(Store::Sqlite, json!({"limits": limits}));
    let known = signed_in(&with_credentials(&service, REGISTER, "ivan@example.com", PASSWORD), 201);
    for _ in 0..4 {
        not_signed_in(&with_credentials(&service, LOGIN, "ivan@example.com", "wrong-hole-7"), 401, "email");
    }
    not_signed_in(&with_credentials(&service, LOGIN, "ivan@example.com", PASSWORD), 401, "email");
    let variables = json!({"email": "ivan@example.com", "password": PASSWORD});
    let from_home = service.send(&document(LOGIN, &variables).bearer(&known.refresh)).json();
    signed_in(&from_home["data"]["login"], 200);
}

// SEC-F1
#[test]
fn a_store_that_is_away_is_said_to_be_away() {
    let mut service = Service::start(Store::SqliteAndRedis);
    service.register("judy@example.com");
    let judy = sign_in(&service, "judy@example.com");
    service.redis.take();
    not_signed_in(&with_credentials(&service, LOGIN, "judy@example.com", PASSWORD), 503, "login");
    for mutation in [REFRESH, LOGOUT] {
        refused(&ask(&service, mutation, &judy.refresh), "SERVICE_UNAVAILABLE", "unavailable");
    }
}

#[test]
fn each_field_has_the_limit_of_its_endpoint() {
    let limits = json!({"refresh": "2/min", "profile": "3/min"});
    let service = Service::start_limited(Store::Sqlite, json!({"limits": limits}));
    service.register("heidi@example.com");
    let heidi = sign_in(&service, "heidi@example.com");
    for _ in 0..2 {
        refreshed(&service, &heidi.refresh);
    }
    let limited = ask(&service, REFRESH, &heidi.refresh);
    refused(&limited, "TOO_MANY_REQUESTS", "rate_limited");
    assert!(limited.header("retry-after").is_some());
    let aliases = ask(&service, "{ a: me { id } b: me { id } c: me { id } d: me { id } }", &heidi.access);
    refused(&aliases, "TOO_MANY_REQUESTS", "rate_limited");
}
