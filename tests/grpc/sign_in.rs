//! How accounts and refusals are told in messages.

use doorward::grpc::v1;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

use crate::client::{Client, refused};
use crate::service::{PASSWORD, Service, Store};

#[test]
fn registering_tells_the_account_as_the_profile_does() {
    let service = Service::start(Store::Sqlite);
    let client = Client::of(&service);
    let user = client.try_register("Alice@Example.com", PASSWORD).unwrap();
    assert_eq!((user.created_at.is_some(), user.created_at), (true, user.updated_at));
    assert_eq!(client.profile(&client.sign_in("alice@example.com").access_token).unwrap(), user);
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
