//! The form of requests, limits, and the metadata.

use serde_json::json;

use crate::harness::http::Request;
use crate::server::{GATEWAY, SECRET, Server, access, basic, post, refused};
use crate::service::{Store, at_once};

#[test]
fn requests_of_other_shapes_are_refused_before_any_client_is_looked_at() {
    let server = Server::start(Store::Sqlite);
    let send = |request: Request| server.service.send(&request);
    for grant in [
        "password",
        "authorization_code",
        "Client_Credentials",
        "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer",
    ] {
        refused(&send(post("/oauth2/token", &format!("grant_type={grant}"))), 400, "unsupported_grant_type");
        let with = basic(post("/oauth2/token", &format!("grant_type={grant}")), "nobody", "x");
        refused(&send(with), 400, "unsupported_grant_type");
    }
    for form in [
        "x=y",
        "grant_type=",
        "grant_type=client_credentials&grant_type=client_credentials",
        "grant_type=client_credentials&scope=a&scope=a",
        "grant_type=client_credentials&x=1&x=2",
        "grant_type=client_credentials%00",
        "grant_type=client_credentials&x=%ff",
        "grant_type=refresh_token",
        "grant_type=refresh_token&refresh_token=",
    ] {
        refused(&send(basic(post("/oauth2/token", form), "billing", SECRET)), 400, "invalid_request");
    }
    let form = "grant_type=client_credentials";
    let two_ways = format!("{form}&client_id=billing&client_secret={SECRET}");
    refused(&send(basic(post("/oauth2/token", &two_ways), "billing", SECRET)), 400, "invalid_request");
    refused(
        &send(basic(post("/oauth2/token", &format!("{form}&client_id=web")), "billing", SECRET)),
        400,
        "invalid_request",
    );
    let twice = basic(basic(post("/oauth2/token", form), "billing", SECRET), "billing", SECRET);
    refused(&send(twice), 400, "invalid_request");
    refused(&send(post("/oauth2/token", &format!("{form}&client_secret={SECRET}"))), 400, "invalid_request");
    refused(
        &send(post("/oauth2/token", &format!("{form}&client_id=batch&client_assertion=x"))),
        400,
        "invalid_request",
    );
    let in_url = post(&format!("/oauth2/token?client_id=billing&client_secret={SECRET}"), form);
    refused(&send(in_url), 400, "invalid_request");
    let typed = |kind: &str| Request::new("POST", "/oauth2/token").header("Content-Type", kind).body(form);
    for kind in ["application/json", "multipart/form-data", "text/plain", ""] {
        refused(&send(basic(typed(kind), "billing", SECRET)), 400, "invalid_request");
    }
    access(&send(basic(typed("Application/X-WWW-Form-URLencoded; charset=UTF-8"), "billing", SECRET)));
    access(&send(basic(post("/oauth2/token", &format!("{form}&unknown=1&client_id=billing")), "billing", SECRET)));
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        refused(&send(post(path, &format!("token={}", "a".repeat(17_000)))), 413, "invalid_request");
        assert_eq!(send(Request::get(path)).status, 405);
        refused(&send(basic(post(path, "token="), "gateway", GATEWAY)), 400, "invalid_request");
    }
}

// SEC-B1, SEC-B3, SEC-B5
#[test]
fn who_guesses_is_limited_by_address_and_uses_up_nothing_of_the_client() {
    let server = Server::start_with(Store::SqliteAndRedis, json!({"limits": {"clients": "2/h"}}));
    let from = |request: Request, address: &str| request.header("X-Forwarded-For", address);
    let form = "grant_type=client_credentials";
    let statuses = at_once(100, |at| {
        let guess = basic(post("/oauth2/token", form), "billing", &format!("{SECRET}{at}"));
        server.service.send(&from(guess, "203.0.113.7")).status
    });
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 20, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    let right = || basic(post("/oauth2/token", form), "billing", SECRET);
    let limited = server.service.send(&from(right(), "203.0.113.7"));
    refused(&limited, 429, "rate_limited");
    assert!(limited.header("retry-after").is_some());
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let ask = basic(post(path, "token=x"), "gateway", GATEWAY);
        refused(&server.service.send(&from(ask, "203.0.113.7")), 429, "rate_limited");
    }
    let key = post("/oauth2/introspect", "token=x").bearer("a-caller-key-of-32-characters-no");
    refused(&server.service.send(&from(key, "203.0.113.7")), 429, "rate_limited");
    // From its own address the client has all that it may, and no more.
    let own = || server.service.send(&from(right(), "198.51.100.1"));
    assert_eq!((own().status, own().status), (200, 200));
    let third = own();
    refused(&third, 429, "rate_limited");
    assert_eq!(third.header("ratelimit-policy"), Some("\"clients\";q=2;w=3600"));
}

// SEC-B6
#[test]
fn each_request_of_a_pipelined_connection_is_one_attempt() {
    let server = Server::start_with(Store::Sqlite, json!({"limits": {"clients": "1/h"}}));
    let guess = basic(post("/oauth2/token", "grant_type=client_credentials"), "billing", GATEWAY).bytes();
    let mut connection = std::net::TcpStream::connect(server.service.public()).unwrap();
    std::io::Write::write_all(&mut connection, &guess.repeat(15)).unwrap();
    connection.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let (mut text, mut chunk) = (String::new(), [0; 4096]);
    let answers = |text: &str| text.matches("HTTP/1.1 ").count();
    while answers(&text) < 15 || !text.ends_with('}') {
        let read = std::io::Read::read(&mut connection, &mut chunk).unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    assert_eq!((text.matches("HTTP/1.1 401").count(), text.matches("HTTP/1.1 429").count()), (10, 5), "{text}");
}

#[test]
fn the_metadata_names_every_endpoint_by_the_configured_url() {
    let over = json!({"auth": {"issuer": "https://auth.example/realm"}, "public_url": "https://auth.example/realm/"});
    let server = Server::start_with(Store::Sqlite, over);
    let get = |path: &str| server.service.send(&Request::get(path).host("evil.example"));
    let reply = get("/.well-known/oauth-authorization-server");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let told = reply.json();
    assert_eq!(told["issuer"], "https://auth.example/realm");
    for (name, path) in [
        ("token_endpoint", "/oauth2/token"),
        ("introspection_endpoint", "/oauth2/introspect"),
        ("revocation_endpoint", "/oauth2/revoke"),
        ("jwks_uri", "/.well-known/jwks.json"),
    ] {
        assert_eq!(told[name], format!("https://auth.example/realm{path}"));
        assert_ne!(get(path).status, 404, "{path}");
    }
    assert_eq!(told["grant_types_supported"], json!(["client_credentials", "refresh_token"]));
    assert_eq!(told["response_types_supported"], json!([]));
    assert_eq!(get("/.well-known/oauth-authorization-server/realm").json(), told);
    assert_eq!(get("/.well-known/oauth-authorization-server/other").status, 404);
    // Both names are ours in what a client signs.
    access(&server.with_assertion(&server.assertion(json!({"aud": "https://auth.example/realm"}))));
    access(&server.with_assertion(&server.assertion(json!({"aud": "https://auth.example/realm/oauth2/token"}))));
    assert_eq!(server.with_assertion(&server.assertion(json!({}))).status, 401);
}
