//! The description of the API, and Schemathesis, which asks by it whatever it can think of.

use std::process::Command;

use serde_json::json;

use crate::harness::http::Request;
use crate::need;
use crate::service::{Service, Store};

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
    let service = Service::start_with(Store::Sqlite, json!({"auth": {"passwords": {"concurrency": 4}}}));
    let admin = service.administrator();
    // Where a body is wrong in other ways too, its size may be what is told.
    let settings = "[checks.negative_data_rejection]\nexpected-statuses = [\"4xx\", \"5xx\"]\n";
    std::fs::write(service.doorward.folder().join("schemathesis.toml"), settings).unwrap();
    let run = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/openapi.json", service.public()))
        .args(["--header", &format!("Authorization: Bearer {}", admin.access)])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--no-color"])
        // Ending the sessions that it asks with would leave nothing to ask.
        .args([
            "--exclude-path-regex",
            "^/auth/logout|^/auth/password|^/admin/users/[^/]+/?(roles|disabled|sessions)?$",
        ])
        // Which 5xx may come is said by the description: 503 and no other.
        .args([
            "--checks",
            "status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection",
        ])
        .current_dir(service.doorward.folder())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
}
