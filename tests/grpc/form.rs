//! What is a call, what there is to call, how long it may take, and what joins it with the log.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use doorward::grpc::v1;
use tonic::{Code, Status};

use crate::bare::{Bare, call, call_by, framed, message};
use crate::client::{Client, login, refused};
use crate::harness::http::Request;
use crate::service::{PASSWORD, Service, Store};

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn sent(to: SocketAddr, path: &str, body: Vec<u8>) -> Result<(), Status> {
    let answer = call(to, path, &[GRPC], body);
    assert_eq!(answer.http, 200, "{answer:?}");
    let status = answer.status.unwrap();
    if status.code() == Code::Ok { Ok(()) } else { Err(status) }
}

// SEC-C2
#[test]
fn only_a_post_is_a_call() {
    let service = Service::start(Store::Sqlite);
    service.register("alice@example.com");
    let alice = service.login("alice@example.com");
    let bearer = format!("Bearer {}", alice.access);
    for method in ["GET", "PUT", "DELETE"] {
        let headers = [GRPC, ("authorization", bearer.as_str())];
        let answer = call_by(method, service.public(), "/doorward.v1.Auth/LogoutAll", &headers, framed(&[]));
        assert_eq!(answer.http, 404, "{method}: {answer:?}");
    }
    assert_eq!(service.check(&alice.access), 200, "nothing was ended");
}

// SEC-D1
#[test]
fn a_message_may_be_large_but_not_compressed_and_is_for_a_method_that_there_is() {
    let service = Service::start(Store::Sqlite);
    let to = service.public();
    let login_path = "/doorward.v1.Auth/Login";
    let fits = v1::LoginRequest { email: "a".repeat(60 << 10), password: PASSWORD.into() };
    refused(sent(to, login_path, message(&fits)), Code::InvalidArgument, "INVALID_EMAIL");
    refused(sent(to, "/doorward.v1.Auth/Other", framed(b"")), Code::Unimplemented, "UNIMPLEMENTED");
    refused(sent(to, "/doorward.v1.Other/Login", framed(b"")), Code::Unimplemented, "UNIMPLEMENTED");
    refused(sent(to, "/auth/login", framed(b"")), Code::Unimplemented, "UNIMPLEMENTED");
    let compressed = call(to, login_path, &[GRPC, ("grpc-encoding", "gzip")], framed(b""));
    refused(Err::<(), _>(compressed.status.unwrap()), Code::Unimplemented, "UNIMPLEMENTED");
}

// SEC-D1
#[test]
fn metadata_is_bounded_and_only_one_credential_counts() {
    let service = Service::start(Store::Sqlite);
    let profile = |headers: &[(&str, &str)]| {
        call(service.public(), "/doorward.v1.Auth/GetProfile", &[&[GRPC], headers].concat(), framed(b""))
    };
    assert_eq!(profile(&[("x", &"a".repeat(17 << 10))]).http, 431);
    assert_eq!(profile(&[("x", "y"); 101]).http, 431);
    let refusal = |answer: Bare| Err::<(), _>(answer.status.unwrap());
    refused(refusal(profile(&[])), Code::Unauthenticated, "NO_TOKEN");
    let access = Client::of(&service).account("alice@example.com").access_token;
    let bearer = format!("Bearer {access}");
    assert_eq!(profile(&[("authorization", &bearer)]).status.unwrap().code(), Code::Ok);
    for headers in [&[("authorization", bearer.as_str()); 2][..], &[("authorization", &access)]] {
        refused(refusal(profile(headers)), Code::Unauthenticated, "INVALID_TOKEN");
    }
}

#[test]
fn what_is_not_grpc_is_for_rest_on_the_same_port() {
    let service = Service::start(Store::Sqlite);
    let path = "/doorward.v1.Auth/Login";
    let body = || message(&login("alice@example.com", PASSWORD));
    for of in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
        let answer = call(service.public(), path, &[("content-type", of)], body());
        refused(Err::<(), _>(answer.status.unwrap()), Code::Unauthenticated, "INVALID_CREDENTIALS");
        assert_eq!((answer.http, &answer.head["content-type"]), (200, &"application/grpc".parse().unwrap()));
    }
    for other in ["application/grpc-web", "application/grpcx", "application/json", "text/plain"] {
        let answer = call(service.public(), path, &[("content-type", other)], body());
        assert_eq!((answer.http, answer.status.is_none()), (404, true), "{other}");
    }
    let http1 = Request::new("POST", path).header("Content-Type", "application/grpc").body(body());
    assert_eq!(service.send(&http1).status, 404);
    assert_eq!(call(service.public(), "/auth/login", &[("content-type", "application/json")], b"{}".into()).http, 400);
    assert_eq!(service.send(&Request::get("/")).status, 200);
}

#[test]
fn a_deadline_is_kept_and_what_was_begun_is_ended() {
    let service = Service::start(Store::Sqlite);
    let register = v1::RegisterRequest { email: "alice@example.com".into(), password: PASSWORD.into() };
    let within = |time: &str| {
        let headers = [GRPC, ("grpc-timeout", time)];
        let answer = call(service.public(), "/doorward.v1.Auth/Register", &headers, message(&register));
        Err::<(), _>(answer.status.unwrap())
    };
    refused(within("0n"), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let client = Client::of(&service);
    assert_eq!(client.try_login("alice@example.com", PASSWORD).unwrap_err().code(), Code::Unauthenticated);
    // A password takes longer to be hashed.
    refused(within("1m"), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let until = Instant::now() + Duration::from_secs(20);
    while client.try_login("alice@example.com", PASSWORD).is_err() {
        assert!(Instant::now() < until, "the registration was dropped half way");
    }
    refused(within("20S"), Code::AlreadyExists, "EMAIL_TAKEN");
    refused(within("20s"), Code::InvalidArgument, "MALFORMED_REQUEST");
}

// SEC-G2
#[test]
fn a_trusted_proxy_names_the_request_and_the_log_has_the_name() {
    let service = Service::start(Store::Sqlite);
    let ask = |id: &str| {
        let headers = [GRPC, ("x-request-id", id)];
        call(service.public(), "/doorward.v1.Auth/Login", &headers, message(&login("alice@example.com", PASSWORD)))
    };
    let id = |answer: &Bare| answer.head["x-request-id"].to_str().unwrap().to_owned();
    let answer = ask("join-me-7");
    assert_eq!((id(&answer).as_str(), &answer.head["cache-control"]), ("join-me-7", &"no-store".parse().unwrap()));
    service.doorward.process.eventually("the audit event", || {
        let output = service.doorward.process.output();
        output.lines().any(|line| line.contains("authn_login_fail") && line.contains("join-me-7"))
    });
    assert_eq!(id(&ask("a b")).len(), 16, "one that can't stand in a log line is replaced");
    // SEC-G1
    assert!(!service.doorward.process.output().contains(PASSWORD));
}
