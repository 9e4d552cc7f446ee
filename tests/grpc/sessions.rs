//! An account's own sessions, and what reaches them from elsewhere: logout everywhere, roles, a disabled account, another device.

use doorward::grpc::v1;
use serde_json::json;
use tonic::Code;

use crate::client::{Client, With, ask, login, refused};
use crate::on_every_store;
use crate::service::{PASSWORD, Service, Store};

on_every_store!(
    sessions_are_seen_and_ended_by_their_owner_only,
    a_change_of_the_account_reaches_its_tokens,
    a_refresh_from_another_device_is_refused,
);

// SEC-S7, SEC-S1
fn sessions_are_seen_and_ended_by_their_owner_only(store: Store) {
    let service = Service::start(store);
    let client = Client::named(&service, "Firefox");
    let first = client.account("alice@example.com");
    let from_afar = ask(login("alice@example.com", PASSWORD)).with("x-forwarded-for", "203.0.113.9");
    let second = client.login(from_afar).unwrap().tokens.unwrap();
    let mallory = client.account("mallory@example.com");
    let seen = client.sessions(&second.access_token);
    let told: Vec<_> = seen.iter().map(|session| (session.ip.as_str(), session.current)).collect();
    assert_eq!(told, [("127.0.0.1", false), ("203.0.113.9", true)]);
    for session in &seen {
        assert!(session.device.starts_with("Firefox"), "{session:?}");
        assert!(session.created_at.unwrap().seconds < session.expires_at.unwrap().seconds);
    }
    let hers = &client.sessions(&mallory.access_token)[0].id;
    for not_mine in [hers.as_str(), "Nt9MwMDsDuMPAJMTLEWyfDlifQOo1C0m", "x"] {
        refused(client.revoke(&first.access_token, not_mine), Code::NotFound, "SESSION_NOT_FOUND");
    }
    client.revoke(&first.access_token, &seen[1].id).unwrap();
    refused(client.revoke(&first.access_token, &seen[1].id), Code::NotFound, "SESSION_NOT_FOUND");
    assert_eq!((service.check(&first.access_token), service.check(&second.access_token)), (200, 401));
    client.sign_in("alice@example.com");
    let all = client.logout_all(ask(v1::LogoutAllRequest {}).bearer(&first.access_token)).unwrap();
    assert_eq!(
        (all.ended_count, service.check(&first.access_token), service.check(&mallory.access_token)),
        (2, 401, 200)
    );
    refused(client.renew(&first.refresh_token), Code::Unauthenticated, "INVALID_TOKEN");
}

// SEC-P14, SEC-R11, SEC-L8
fn a_change_of_the_account_reaches_its_tokens(store: Store) {
    let service = Service::start(store);
    let (admin, client) = (service.administrator(), Client::of(&service));
    let tokens = client.account("alice@example.com");
    let id = client.profile(&tokens.access_token).unwrap().id;
    let set = |what: &str, value| service.put(&format!("/admin/users/{id}/{what}"), &value, &admin.access).status;
    assert_eq!(set("roles", json!({"roles": ["editor"]})), 200);
    refused(client.profile(&tokens.access_token), Code::Unauthenticated, "INVALID_TOKEN");
    let renewed = client.renew(&tokens.refresh_token).unwrap();
    assert_eq!(client.profile(&renewed.access_token).unwrap().roles, ["editor"]);
    let own = client.validate(ask(v1::ValidateRequest::default()).bearer(&renewed.access_token)).unwrap();
    assert_eq!(own.roles, ["editor"]);
    assert_eq!(set("disabled", json!({"disabled": true})), 200);
    refused(client.profile(&renewed.access_token), Code::Unauthenticated, "INVALID_TOKEN");
    refused(client.renew(&renewed.refresh_token), Code::Unauthenticated, "INVALID_TOKEN");
    refused(client.try_login("alice@example.com", PASSWORD), Code::Unauthenticated, "INVALID_CREDENTIALS");
}

// SEC-R12
fn a_refresh_from_another_device_is_refused(store: Store) {
    let binding = json!({"auth": {"device_binding": {"user_agent": "deny", "ip": "off"}, "refresh_grace": "30s"}});
    let service = Service::start_with(store, binding);
    let (hers, other) = (Client::named(&service, "Firefox"), Client::named(&service, "curl"));
    let first = hers.account("alice@example.com");
    refused(other.renew(&first.refresh_token), Code::Unauthenticated, "DEVICE_CHANGED");
    let second = hers.renew(&first.refresh_token).unwrap();
    refused(other.renew(&first.refresh_token), Code::Unauthenticated, "DEVICE_CHANGED");
    assert_eq!(service.check(&second.access_token), 200, "the session lives on for its own device");
}
