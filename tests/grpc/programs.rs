//! Programs that others wrote: grpcurl and NGINX, as `docs/grpc.md` shows them, and buf.

use std::process::{Command, Output};

use serde_json::Value;
use tonic::Code;

use crate::client::{Client, With, ask, login, refused};
use crate::harness::nginx::Nginx;
use crate::harness::ports;
use crate::harness::shipped::{Places, path, read};
use crate::need;
use crate::service::{PASSWORD, Service, Store};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The page's examples, each of which may use what those before it have put into shell variables.
fn examples() -> String {
    let page = read("docs/grpc.md");
    page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn shell(service: &Service, script: &str) -> Output {
    let script = script.replace("127.0.0.1:8080", &service.public().to_string());
    Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap()
}

#[test]
fn the_examples_of_the_page_work_as_they_stand() {
    need!("grpcurl");
    let service = Service::start(Store::Sqlite);
    let done = shell(&service, &examples());
    let said = text(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", text(&done.stderr));
    for part in [
        "doorward.v1.Auth",
        "grpc.health.v1.Health",
        "SERVING",
        "alice@example.com",
        "\"active\": true",
        "\"current\": true",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[test]
fn grpcurl_finds_every_service_and_prints_the_details_of_a_refusal() {
    let grpcurl = need!("grpcurl");
    let service = Service::start(Store::Sqlite);
    let public = service.public().to_string();
    let run = |args: &[&str]| Command::new(&grpcurl).arg("-plaintext").args(args).output().unwrap();
    let listed = text(&run(&[&public, "list"]).stdout);
    let services: Vec<_> = listed.lines().collect();
    assert_eq!(
        services,
        [
            "doorward.v1.Auth",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection"
        ]
    );
    let health = run(&["-d", r#"{"service": "doorward.v1.Auth"}"#, &public, "grpc.health.v1.Health/Check"]);
    let health: Value = serde_json::from_slice(&health.stdout).unwrap();
    assert_eq!(health["status"], "SERVING");
    let login = run(&["-d", r#"{"email": "x", "password": "y"}"#, &public, "doorward.v1.Auth/Login"]);
    let said = text(&login.stderr);
    assert!(!login.status.success() && said.contains("Code: InvalidArgument"), "{said}");
    for part in [r#""reason":"INVALID_EMAIL""#, r#""field":"email""#, "requestId"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[test]
fn the_pages_nginx_passes_calls_on_with_the_clients_address() {
    let nginx = need!("nginx");
    let service = Service::start(Store::Sqlite);
    let unused = ports::free();
    let places = Places { edge: ports::free(), app: unused, check: unused, session: service.public() };
    let page = read("docs/grpc.md");
    let server = page.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let _nginx = Nginx::start_text(&nginx, server, &places);
    let client = Client::at(places.edge, "test");
    client.account("alice@example.com");
    let forged = ask(login("alice@example.com", PASSWORD)).with("x-forwarded-for", "203.0.113.9");
    let access = client.login(forged).unwrap().tokens.unwrap().access_token;
    let told: Vec<_> = client.sessions(&access).into_iter().map(|session| session.ip).collect();
    assert_eq!(told, ["127.0.0.1", "127.0.0.1"]);
    refused(client.try_login("alice@example.com", "wrong-hole-7"), Code::Unauthenticated, "INVALID_CREDENTIALS");
}

#[test]
fn buf_finds_nothing_to_mend_in_the_protocol() {
    let buf = need!("buf");
    let home = tempfile::tempdir().unwrap();
    let lint = Command::new(buf).arg("lint").arg(path("proto")).env("HOME", home.path()).output().unwrap();
    assert!(lint.status.success(), "{}{}", text(&lint.stdout), text(&lint.stderr));
}
