//! The plain surface as HTTP: statuses, headers, shapes of bodies, who may log users in, and nothing that makes it fall over.

#[path = "harness/desk.rs"]
mod desk;
#[path = "harness/faulty.rs"]
mod faulty;

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use desk::{Answer, Plane, bearing, plane, plane_with, post};
use doorward::issue::{Settings, TrustedLogin};
use doorward::state::Sessions;
use faulty::Mood;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::json;

async fn get(plane: &Plane, path: &str) -> Answer {
    plane.ask(Request::get(path).body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn ping_is_answered_with_pong() {
    let plane = plane().await;
    let answer = get(&plane, "/ping").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "pong"));
    assert!(answer.headers[header::CONTENT_TYPE].to_str().expect("text").starts_with("text/plain"));
    let head = plane.ask(Request::head("/ping").body(Body::empty()).expect("a request")).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
}

// SEC-L11
#[tokio::test]
async fn malformed_bodies_are_400() {
    let plane = plane().await;
    let pair = plane.login(1).await;
    let deep = format!("{{\"user_id\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let huge_text = format!("{{\"user_id\":\"{}\"}}", "a".repeat(256));
    for body in [
        "",
        "null",
        "1",
        "[]",
        "{}",
        "{\"user_id\":1",
        "{\"user_id\":1} x",
        "{\"user_id\":1,\"user_id\":2}",
        "{\"user_id\":1,\"user\\u005fid\":1}",
        "{\"user_id\":1,\"role\":\"admin\"}",
        "{\"User_id\":1}",
        "{\"user_id\":-1}",
        "{\"user_id\":1.5}",
        "{\"user_id\":1.0}",
        "{\"user_id\":1e2}",
        "{\"user_id\":18446744073709551616}",
        "{\"user_id\":1e999}",
        "{\"user_id\":null}",
        "{\"user_id\":true}",
        "{\"user_id\":[1]}",
        "{\"user_id\":{}}",
        "{\"user_id\":\"\"}",
        "{\"user_id\":\"a b\"}",
        "{\"user_id\":\"a\\u0000\"}",
        "{\"user_id\":\"\\ud800\"}",
        "{\"user_id\":\"é\"}",
        "{'user_id':1}",
        &deep,
        &huge_text,
    ] {
        plane.ask(post("/login", body.to_owned())).await.is_problem(400, "malformed_request");
    }
    plane.ask(post("/login", b"{\"user_id\":\"\xff\"}".as_slice())).await.is_problem(400, "malformed_request");
    for body in
        ["", "{}", "{\"refresh\":1}", "{\"refresh\":null}", "{\"refresh\":[\"x\"]}", "{\"refresh\":\"x\",\"y\":1}"]
    {
        plane.ask(post("/refresh", body.to_owned())).await.is_problem(400, "malformed_request");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json-seq", ""] {
        let request = Request::post("/login").header(header::CONTENT_TYPE, kind).body(r#"{"user_id":1}"#.into());
        plane.ask(request.expect("a request")).await.is_problem(400, "malformed_request");
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        let request = Request::post("/login").header(header::CONTENT_TYPE, kind).body(r#"{"user_id":1}"#.into());
        plane.ask(request.expect("a request")).await.pair();
    }
    plane.ask(Request::post("/login").body(r#"{"user_id":1}"#.into()).expect("a request")).await.pair();
    assert_eq!(plane.refresh(&pair).await.status, StatusCode::OK);
}

// SEC-D1
#[tokio::test]
async fn a_body_over_16_kib_is_413_whether_it_says_so_or_not() {
    let plane = plane().await;
    let padded = |length: usize| format!("{:<length$}", r#"{"user_id":1}"#);
    plane.ask(post("/login", padded(16 * 1024))).await.pair();
    plane.ask(post("/login", padded(16 * 1024 + 1))).await.is_problem(413, "too_large");
    let endless = Pieces(|| Poll::Ready(Some(Bytes::from(vec![b' '; 1024]))));
    plane.ask(post("/refresh", Body::new(endless))).await.is_problem(413, "too_large");
}

#[tokio::test]
async fn other_paths_are_404_and_other_methods_405_with_allow() {
    let plane = plane().await;
    for path in ["/nothing", "/login/", "/Login", "//login", "/authenticate/x", "/.well-known/", "/metrics"] {
        get(&plane, path).await.is_problem(404, "not_found");
    }
    for (path, allowed) in [
        ("/ping", "GET,HEAD"),
        ("/authenticate", "GET,HEAD"),
        ("/.well-known/jwks.json", "GET,HEAD"),
        ("/login", "POST"),
        ("/refresh", "POST"),
        ("/logout", "POST"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
            if allowed.split(',').any(|one| one == method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let answer =
                plane.ask(Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")).await;
            answer.is_problem(405, "method_not_allowed");
            assert_eq!(answer.headers[header::ALLOW], allowed, "{path}");
        }
    }
}

// SEC-T22, T23
#[tokio::test]
async fn only_one_bearer_credential_authenticates() {
    let plane = plane().await;
    let pair = plane.login(1).await;
    let with = |values: Vec<String>| {
        let mut request = Request::get("/authenticate");
        for value in values {
            request = request.header(header::AUTHORIZATION, value);
        }
        request.body(Body::empty()).expect("a request")
    };
    let bearer = format!("Bearer {}", pair.access);
    assert_eq!(plane.ask(with(vec![bearer.clone()])).await.status, StatusCode::OK);
    assert_eq!(plane.ask(with(vec![format!("BEARER {}", pair.access)])).await.status, StatusCode::OK);
    for values in [
        vec![bearer.clone(), bearer.clone()],
        vec![format!("{bearer},{bearer}")],
        vec![format!("Basic {}", pair.access)],
        vec![pair.access.clone()],
        vec![format!("Bearer {}", pair.refresh)],
        vec![format!("Bearer {}x", pair.access)],
        vec![format!("Bearer {}", "a".repeat(9000))],
    ] {
        let answer = plane.ask(with(values)).await;
        answer.is_problem(401, "invalid_token");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }
    let answer = get(&plane, &format!("/authenticate?access_token={}", pair.access)).await;
    answer.is_problem(401, "no_token");
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
}

// SEC-K2
#[tokio::test]
async fn the_public_keys_can_be_cached_and_asked_for_again() {
    let plane = plane().await;
    let answer = get(&plane, "/.well-known/jwks.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/jwk-set+json");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "public, max-age=300");
    let keys = answer.json();
    let key = keys["keys"][0].as_object().expect("a key");
    assert!(key["kid"].is_string() && !key.contains_key("d") && !key.contains_key("k"), "{keys}");
    let etag = answer.headers[header::ETAG].to_str().expect("text").to_owned();
    for (asked, status) in [
        (etag.clone(), 304),
        (format!("\"other\", W/{etag}"), 304),
        ("*".into(), 304),
        ("\"other\"".into(), 200),
        (etag.trim_matches('"').to_owned(), 200),
    ] {
        let request = Request::get("/.well-known/jwks.json").header(header::IF_NONE_MATCH, &asked);
        let answer = plane.ask(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(answer.status.as_u16(), status, "{asked}");
        assert_eq!(answer.headers[header::ETAG], etag);
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn a_trusted_proxys_request_id_is_kept_and_anothers_is_not() {
    let plane = plane().await;
    let request = || Request::get("/nothing").header("x-request-id", "edge-1").body(Body::empty()).expect("a request");
    assert_eq!(plane.ask(request()).await.json()["request_id"], "edge-1");
    let answer = plane.ask_from("192.0.2.1:1", request()).await;
    assert_eq!(answer.json()["request_id"].as_str(), answer.headers["x-request-id"].to_str().ok());
    assert_ne!(answer.headers["x-request-id"], "edge-1");
}

// SEC-K9
#[tokio::test]
async fn only_trusted_callers_log_users_in() {
    let plane = plane().await;
    let login = |headers: &[(&str, &str)]| {
        let mut request = post("/login", r#"{"user_id":1}"#);
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().append(name, value.parse().expect("a value"));
        }
        request
    };
    plane.ask(login(&[])).await.pair();
    plane.ask_from("192.0.2.1:1", login(&[])).await.is_problem(403, "untrusted_caller");
    for header in
        [("x-forwarded-for", "127.0.0.1"), ("via", "1.1 x"), ("forwarded", "for=127.0.0.1"), ("origin", "null")]
    {
        plane.ask(login(&[header])).await.is_problem(403, "untrusted_caller");
    }
    assert_eq!(plane.metric("login_attempts_total{method=\"trusted\",result=\"refused\"}"), 5);

    let key = "0123456789abcdef0123456789abcdef";
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "{key}").expect("written");
    let caller_keys_file = file.path().to_str().expect("UTF-8").to_owned();
    let trusted_login = TrustedLogin { caller_keys_file, ..TrustedLogin::default() };
    let plane = plane_with(Settings { trusted_login, ..Settings::default() }).await;
    let bearer = format!("Bearer {key}");
    plane.ask_from("192.0.2.1:1", login(&[("authorization", &bearer)])).await.pair();
    plane.ask(login(&[])).await.is_problem(401, "caller_key_required");
    plane.ask(login(&[("authorization", "Bearer wrong")])).await.is_problem(401, "invalid_caller_key");
    plane
        .ask(login(&[("authorization", &bearer), ("authorization", &bearer)]))
        .await
        .is_problem(401, "invalid_caller_key");
    let unread = Pieces(|| panic!("an untrusted caller's body is not read"));
    plane.ask(post("/login", Body::new(unread))).await.is_problem(401, "caller_key_required");
}

#[tokio::test]
async fn a_panic_is_503_and_ends_nothing_else() {
    let plane = plane().await;
    let pair = plane.login(1).await;
    plane.store.be(Mood::Panicking);
    plane.refresh(&pair).await.is_problem(503, "unavailable");
    plane.ask(bearing("POST", "/logout", &pair.access)).await.is_problem(503, "unavailable");
    plane.store.be(Mood::Well);
    assert_eq!(plane.refresh(&pair).await.status, StatusCode::OK);
}

// SEC-S4
#[tokio::test]
async fn a_client_that_leaves_does_not_cut_a_logout_in_half() {
    let plane = plane().await;
    let pair = plane.login(1).await;
    let asked = plane.store.asked();
    let mut logout = Box::pin(plane.logout(&pair.access));
    // Polled once, so that the handler has begun; then the client is gone.
    let first = std::future::poll_fn(|context| Poll::Ready(logout.as_mut().poll(context).is_ready())).await;
    assert!(!first, "it can't be answered yet");
    drop(logout);
    let heard = async {
        while !plane.heard.of(&pair.sid()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), heard).await.expect("the logout is finished without its client");
    assert_eq!(plane.store.asked(), asked + 1);
    plane.authenticate(&pair).await.is_problem(401, "invalid_token");
}

#[tokio::test]
async fn every_answer_to_hostile_input_is_a_problem_and_no_5xx() {
    let plane = plane().await;
    let long = "a".repeat(100_000);
    for path in ["/login", "/refresh", "/logout", "/authenticate", "/ping", "/.well-known/jwks.json", "/%00", "/..%2f"]
    {
        for method in ["GET", "POST"] {
            for value in [b"Bearer \xff\xfe" as &[u8], b"Bearer ....", b"Bearer dwr_", b"", long.as_bytes()] {
                let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, value);
                let answer = plane.ask(request.body("{\"refresh\":\"dwr_\u{0}\"}".into()).expect("a request")).await;
                assert!(answer.status.as_u16() < 500, "{method} {path} {answer:?}");
                assert!(answer.status.is_success() || answer.json()["code"].is_string());
            }
        }
    }
    assert_eq!(plane.try_login(json!(1)).await.status, StatusCode::OK);
}

/// A body that comes in pieces.
struct Pieces<F>(F);

impl<F: FnMut() -> Poll<Option<Bytes>> + Unpin> http_body::Body for Pieces<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        (self.get_mut().0)().map(|piece| piece.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

// It ends up in lists of sessions, on terminals and pages.
#[tokio::test]
async fn a_user_agent_is_kept_as_visible_ascii_and_never_long() {
    let plane = plane().await;
    let long = "x".repeat(300);
    for (sent, kept) in [
        (&b"Mozilla/5.0 (X11; Linux)"[..], "Mozilla/5.0 (X11; Linux)"),
        ("a\u{202e}b\u{85}c\u{1F6AA}".as_bytes(), "a?b?c?"),
        (b"tab\there \xff", "tab?here ?"),
        (long.as_bytes(), &long[..256]),
    ] {
        let mut request = post("/login", r#"{"user_id":1}"#);
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_bytes(sent).expect("a value"));
        let sid = plane.ask(request).await.pair().sid();
        let session = plane.store.session(&sid).await.expect("an answer").expect("a session");
        assert_eq!(session.device.user_agent, kept);
    }
}
