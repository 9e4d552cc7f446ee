//! REST and gRPC are two faces of one domain: what one refuses the other refuses, with the same code.

use doorward::grpc::v1;
use serde_json::json;
use tonic::Status;
use tonic_types::StatusExt;

use crate::client::{Client, With, ask};
use crate::harness::http::{Reply, Request};
use crate::service::{PASSWORD, Service, Store};

#[track_caller]
fn agree<T: std::fmt::Debug>(rest: &Reply, grpc: Result<T, Status>) {
    let status = grpc.expect_err("a refusal");
    let (code, detail) = (rest.json()["code"].clone(), rest.json()["detail"].clone());
    let reason = status.get_error_details().error_info().unwrap().reason.to_lowercase();
    assert_eq!((code.as_str(), detail.as_str()), (Some(reason.as_str()), Some(status.message())));
}

#[test]
fn rest_and_grpc_refuse_the_same_with_the_same_words() {
    let service = Service::start_with(Store::Sqlite, json!({"auth": {"refresh_grace": "0s"}}));
    let client = Client::of(&service);
    client.account("taken@example.com");
    let long = "a".repeat(1025);
    for (email, password) in [
        ("taken@example.com", PASSWORD),
        ("nobody", PASSWORD),
        ("new@example.com", "short"),
        ("new@example.com", &long),
    ] {
        agree(&service.try_register(email, password), client.try_register(email, password));
    }
    for (email, password) in
        [("taken@example.com", "wrong-hole-7"), ("x@example.com", PASSWORD), ("x", PASSWORD), ("x@example.com", &long)]
    {
        agree(&service.try_login(email, password), client.try_login(email, password));
    }
    agree(&service.refresh("dwr_forged"), client.renew("dwr_forged"));
    let replayed = || {
        let first = client.sign_in("taken@example.com");
        client.renew(&first.refresh_token).unwrap();
        first.refresh_token
    };
    agree(&service.refresh(&replayed()), client.renew(&replayed()));
    agree(&service.send(&Request::get("/profile")), client.get_profile(ask(v1::GetProfileRequest {})));
    agree(&service.get("/profile", "x.y.z"), client.profile("x.y.z"));
    agree(&service.ask("POST", "/auth/logout", "x.y.z"), client.end("x.y.z"));
    let plain = service.doorward.login(7).access;
    agree(&service.get("/profile", &plain), client.profile(&plain));
    let access = client.sign_in("taken@example.com").access_token;
    agree(&service.ask("DELETE", "/auth/sessions/x", &access), client.revoke(&access, "x"));
}

#[test]
fn a_session_begun_at_one_face_goes_on_at_the_other() {
    let service = Service::start(Store::Sqlite);
    let client = Client::of(&service);
    service.register("alice@example.com");
    let begun = service.login("alice@example.com");
    let renewed = client.renew(&begun.refresh).unwrap();
    assert_eq!(service.sessions(&renewed.access_token), [begun.sid()]);
    let rest = service.get("/profile", &renewed.access_token).json();
    assert_eq!(rest["id"], client.profile(&begun.access).unwrap().id);
    client.logout_all(ask(v1::LogoutAllRequest {}).bearer(&begun.access)).unwrap();
    assert_eq!(service.get("/profile", &renewed.access_token).status, 401);
}
