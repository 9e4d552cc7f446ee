//! The description of the API, and Schemathesis, which asks by it whatever it can think of.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::json;

use crate::harness::http::Request;
use crate::need;
use crate::service::{PASSWORD, Service, Store};

#[test]
fn the_description_names_every_endpoint_and_the_page_is_for_dev_only() {
    let service = Service::start(Store::Sqlite);
    let reply = service.send(&Request::get("/openapi.json"));
    let api = reply.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"), "{api}");
    let paths: Vec<_> = api["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout", "/auth/logout-all", "/auth/sessions"]
    {
        assert!(paths.contains(&path), "{path}");
    }
    for path in ["/auth/sessions/{id}", "/auth/password", "/profile", "/", "/health", "/admin/users", "/admin/audit"] {
        assert!(paths.contains(&path), "{path}");
    }
    assert_eq!(service.send(&Request::get("/api")).status, 404);
}

#[test]
fn schemathesis_finds_no_answer_that_the_description_does_not_allow() {
    let program = need!("schemathesis");
    let service = Service::start_with(
        Store::Sqlite,
        json!({"auth": {"passwords": {"concurrency": 4}, "max_sessions_per_user": 0}}),
    );
    service.administrator();
    // Where a body is wrong in other ways too, its size may be what is told.
    let settings =
        "[auth]\nauto-signup = false\n[checks.negative_data_rejection]\nexpected-statuses = [\"4xx\", \"5xx\"]\n";
    std::fs::write(service.doorward.folder().join("schemathesis.toml"), settings).unwrap();
    let run = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/openapi.json", service.public()))
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--no-color"])
        // Which 5xx may come is said by the description: 503 and no other.
        .args([
            "--checks",
            "status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection",
        ])
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/accounts/openapi.py"))
        .env("DOORWARD", format!("http://{}", service.public()))
        .env("DOORWARD_PASSWORD", PASSWORD)
        .current_dir(service.doorward.folder())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));

    // What no request of its could ever have done right would be no evidence.
    let statuses = std::fs::read(service.doorward.folder().join("statuses.json")).unwrap();
    let statuses: BTreeMap<String, BTreeSet<u16>> = serde_json::from_slice(&statuses).unwrap();
    let api = service.send(&Request::get("/openapi.json")).json();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let operation = format!("{} {path}", method.to_uppercase());
            let seen = statuses.get(&operation).unwrap_or_else(|| panic!("{operation} was not asked"));
            // There is an administrator already, and the secret is gone.
            let wanted = if path == "/admin/first" { 400..500 } else { 200..300 };
            assert!(seen.iter().any(|status| wanted.contains(status)), "{operation}: {seen:?}");
        }
    }
}
