//! Registering, signing in, refreshing: what is answered to whom.

use doorward::grpc::v1;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

use crate::client::{Client, With, ask, login, refused};
use crate::harness::http::Request;
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store, at_once};

on_every_store!(
    a_new_account_signs_in_and_is_let_pass,
    a_replayed_refresh_token_ends_the_session,
    parallel_refreshes_give_one_successor,
);

fn a_new_account_signs_in_and_is_let_pass(store: Store) {
    let service = Service::start(store);
    let client = Client::of(&service);
    let user = client.try_register("Alice@Example.com", PASSWORD).unwrap();
    assert_eq!(
        (user.email.as_str(), user.confirmed, user.disabled, user.roles.len()),
        ("alice@example.com", false, false, 0)
    );
    assert_eq!(user.created_at, user.updated_at);
    refused(client.try_register("ALICE@example.com", PASSWORD), Code::AlreadyExists, "EMAIL_TAKEN");
    let first = client.sign_in("alice@example.com");
    assert_eq!(first.token_type, "Bearer");
    assert!(first.expires_in.unwrap().seconds <= first.refresh_expires_in.unwrap().seconds);
    assert_eq!(service.check(&first.access_token), 200);
    assert_eq!(client.profile(&first.access_token).unwrap(), user);
    let second = client.renew(&first.refresh_token).unwrap();
    assert_eq!(service.check(&second.access_token), 200);
    client.end(&second.refresh_token).unwrap();
    client.end(&second.refresh_token).expect("again is fine");
    assert_eq!((service.check(&first.access_token), service.check(&second.access_token)), (401, 401));
    refused(client.renew(&second.refresh_token), Code::Unauthenticated, "INVALID_TOKEN");
    refused(client.profile(&second.access_token), Code::Unauthenticated, "INVALID_TOKEN");
}

// SEC-R8
fn a_replayed_refresh_token_ends_the_session(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"refresh_grace": "0s"}}));
    let client = Client::of(&service);
    let first = client.account("carol@example.com");
    let other = client.sign_in("carol@example.com");
    let second = client.renew(&first.refresh_token).unwrap();
    refused(client.renew(&first.refresh_token), Code::Unauthenticated, "REFRESH_REUSED");
    refused(client.renew(&second.refresh_token), Code::Unauthenticated, "INVALID_TOKEN");
    assert_eq!((service.check(&second.access_token), service.check(&other.access_token)), (401, 200));
}

// SEC-R1
fn parallel_refreshes_give_one_successor(store: Store) {
    let service = Service::start_with(store, json!({"auth": {"refresh_grace": "30s"}}));
    let client = Client::of(&service);
    let first = client.account("dan@example.com");
    let answers = at_once(16, |_| client.renew(&first.refresh_token).unwrap());
    assert!(answers.iter().all(|answer| answer.refresh_token == answers[0].refresh_token));
    assert!(answers.iter().all(|answer| service.check(&answer.access_token) == 200));
    client.renew(&answers[0].refresh_token).unwrap();
}

// SEC-L4
#[test]
fn unknown_wrong_disabled_and_passwordless_accounts_get_one_answer() {
    let service = Service::start(Store::Sqlite);
    let (admin, client) = (service.administrator(), Client::of(&service));
    client.try_register("ivan@example.com", PASSWORD).unwrap();
    let disabled = client.try_register("judy@example.com", PASSWORD).unwrap().id;
    let disable = service.put(&format!("/admin/users/{disabled}/disabled"), &json!({"disabled": true}), &admin.access);
    assert_eq!(disable.status, 200);
    let passwordless = Request::post("/admin/users", &json!({"email": "mallory@example.com"})).bearer(&admin.access);
    assert_eq!(service.send(&passwordless).status, 201);
    let cases = [
        ("nobody@example.com", PASSWORD),
        ("ivan@example.com", "another-hole-8"),
        ("judy@example.com", PASSWORD),
        ("mallory@example.com", PASSWORD),
    ];
    let seen = |(email, password)| {
        let refusal = refused(client.try_login(email, password), Code::Unauthenticated, "INVALID_CREDENTIALS");
        let mut names: Vec<_> = refusal.metadata().keys().map(|key| format!("{key:?}")).collect();
        names.sort_unstable();
        (refusal.message().to_owned(), names)
    };
    let first = seen(cases[0]);
    for case in cases {
        assert_eq!(seen(case), first, "{case:?}");
    }
}

// SEC-L7, SEC-B3
#[test]
fn a_token_with_a_login_tells_the_device_and_never_adopts_its_session() {
    let limits = json!({"lockout": {"after": 3, "for": "15m"}, "auth": "60/min"});
    let service = Service::start_limited(Store::Sqlite, json!({"limits": limits}));
    let client = Client::of(&service);
    let first = client.account("erin@example.com");
    for _ in 0..4 {
        refused(client.try_login("erin@example.com", "wrong-hole-7"), Code::Unauthenticated, "INVALID_CREDENTIALS");
    }
    refused(client.try_login("erin@example.com", PASSWORD), Code::Unauthenticated, "INVALID_CREDENTIALS");
    let known = ask(login("erin@example.com", PASSWORD)).bearer(&first.access_token);
    let second = client.login(known).unwrap().tokens.unwrap();
    client.end(&second.refresh_token).unwrap();
    assert_eq!((service.check(&first.access_token), service.check(&second.access_token)), (200, 401));
}

// SEC-L3
#[test]
fn what_is_wrong_with_a_field_is_told_with_its_name() {
    let service = Service::start(Store::Sqlite);
    let client = Client::of(&service);
    let long = "a".repeat(1025);
    let violation = |answer: Result<v1::User, _>, reason| {
        let details = refused(answer, Code::InvalidArgument, reason).get_error_details();
        details.bad_request().expect("BadRequest").field_violations[0].clone()
    };
    assert_eq!(violation(client.try_register("gina", PASSWORD), "INVALID_EMAIL").field, "email");
    let weak = violation(client.try_register("gina.lovelace@example.com", "gina.lovelace-9"), "WEAK_PASSWORD");
    assert!(weak.field == "password" && weak.description.contains("address"), "{weak:?}");
    assert_eq!(violation(client.try_register("gina@example.com", &long), "PASSWORD_TOO_LONG").field, "password");
    let nothing = refused(client.renew(""), Code::InvalidArgument, "MALFORMED_REQUEST").get_error_details();
    assert_eq!(nothing.bad_request().unwrap().field_violations[0].field, "refresh_token");
    refused(client.renew("dwr_forged"), Code::Unauthenticated, "INVALID_TOKEN");
    let off = Service::start_with(Store::Sqlite, json!({"auth": {"registration": false}}));
    refused(Client::of(&off).try_register("gina@example.com", PASSWORD), Code::PermissionDenied, "REGISTRATION_OFF");
}
