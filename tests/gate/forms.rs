//! The HTTP forms: NGINX, forward auth, Envoy over HTTP.

use crate::door::{Door, Setup};

const NGINX: [&str; 3] = ["Host: app.example", "X-Original-Method: GET", "X-Original-URI: /a"];
const FORWARD: [&str; 3] = ["X-Forwarded-Host: app.example", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /a"];

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

// SEC-P1
#[tokio::test]
async fn the_original_request_must_be_told_whole_and_once() {
    let door = Door::open().await;
    let token = "Authorization: Bearer good";
    for (path, whole) in [("GET /check/nginx", NGINX), ("GET /check/forward", FORWARD)] {
        let host = if path.ends_with("forward") { vec!["Host: doorward"] } else { vec![] };
        let all = with(&with(&host, &whole), &[token]);
        assert_eq!(door.ask(path, &all).await.status, 200, "{path}");
        let asked = door.book.questions();
        for part in whole {
            let without: Vec<_> = all.iter().copied().filter(|line| *line != part).collect();
            let twice = with(&all, &[part]);
            for wrong in [without, twice] {
                let answer = door.ask(path, &wrong).await;
                assert_eq!(answer.status, 403, "{path} {wrong:?}: {answer:?}");
            }
        }
        assert_eq!(door.book.questions(), asked, "nothing was decided on");
    }
}

// Contract table 1, rule 14
#[tokio::test]
async fn each_form_reads_the_original_request_where_its_proxy_puts_it() {
    let door = Door::open().await;
    let raw = "/a//b/%2e%2e/c?d=/e";
    let nginx = ["Host: App.Example:81", "X-Original-Method: PATCH", &format!("X-Original-URI: {raw}")];
    for path in ["/check/nginx", "/check/nginx?x=1", "/check/nginx/anything?x=1"] {
        door.ask(&format!("GET {path}"), &nginx).await;
        assert_eq!(door.book.last().unwrap(), format!("PATCH App.Example:81 {raw} - 127.0.0.1 -"), "{path}");
    }
    // The names another form reads are a client's here.
    let forged = with(&nginx, &["X-Forwarded-Method: GET", "X-Forwarded-Uri: /open", "X-Forwarded-Host: other"]);
    door.ask("GET /check/nginx", &forged).await;
    assert_eq!(door.book.last().unwrap(), format!("PATCH App.Example:81 {raw} - 127.0.0.1 -"));

    let forward = [
        "Host: doorward",
        "X-Forwarded-Host: app.example",
        "X-Forwarded-Method: PUT",
        &format!("X-Forwarded-Uri: {raw}"),
    ];
    door.ask("GET /check/forward?appended=1", &with(&forward, &["X-Original-URI: /open"])).await;
    assert_eq!(door.book.last().unwrap(), format!("PUT app.example {raw} - 127.0.0.1 -"));

    for method in ["GET", "POST", "OPTIONS", "DELETE", "PROPFIND"] {
        door.ask(&format!("{method} /check/envoy{raw}"), &["Host: app.example", "Content-Length: 0"]).await;
        assert_eq!(door.book.last().unwrap(), format!("{method} app.example {raw} - 127.0.0.1 -"));
    }
}

// Contract rules 1 and 2
#[tokio::test]
async fn a_yes_is_exactly_200_and_empty_with_the_identity() {
    let door = Door::open().await;
    let token = "Authorization: Bearer good";
    for (line, headers) in [
        ("GET /check/nginx", with(&NGINX, &[token])),
        ("GET /check/forward", with(&FORWARD, &["Host: x", token])),
        ("POST /check/envoy/a", vec!["Host: app.example", token, "Content-Length: 0"]),
    ] {
        let answer = door.ask(line, &headers).await;
        assert_eq!(
            (answer.status, answer.body.as_str(), answer.header("content-length")),
            (200, "", Some("0")),
            "{line}"
        );
        assert_eq!(answer.header("x-auth-subject"), Some("alice"));
        assert_eq!(answer.header("x-auth-roles"), Some("admin,user"), "one line, joined (rule 10)");
    }
}

// Contract rule 2
#[tokio::test]
async fn nginx_sees_empty_bodies_and_keeps_its_connection_through_every_answer() {
    let door = Door::open().await;
    let mut connection = door.connect().await;
    for (token, status, reason) in [
        ("good", 200, "-"),
        ("bad", 401, "invalid_token"),
        ("small", 403, "forbidden"),
        ("unknown", 503, "unavailable"),
        ("stale", 401, "insufficient_user_authentication"),
        ("good", 200, "-"),
    ] {
        let answer =
            connection.ask("GET /check/nginx", &with(&NGINX, &[&format!("Authorization: Bearer {token}")])).await;
        assert_eq!((answer.status, answer.reason()), (status, reason));
        assert_eq!((answer.header("content-length"), answer.header("connection")), (Some("0"), None));
        let told = (status != 200).then(|| status.to_string());
        assert_eq!(answer.header("x-doorward-status"), told.as_deref());
    }
}

// SEC-T23, SEC-P12
#[tokio::test]
async fn a_denial_carries_its_challenge_and_where_it_is_relayed_a_small_document() {
    let door = Door::open().await;
    for (token, status, challenge) in [
        ("", 401, Some("Bearer")),
        ("Authorization: Bearer bad", 401, Some("Bearer error=\"invalid_token\"")),
        ("Authorization: Basic YTpi", 401, Some("Bearer error=\"invalid_token\"")),
        ("Authorization: Bearer small", 403, Some("Bearer error=\"insufficient_scope\"")),
        ("Authorization: Bearer unknown", 503, None),
    ] {
        let token: &[&str] = if token.is_empty() { &[] } else { &[token] };
        for (line, headers) in [
            ("GET /check/nginx", with(&NGINX, token)),
            ("GET /check/forward", with(&with(&FORWARD, &["Host: x"]), token)),
            ("GET /check/envoy/a", with(&["Host: app.example"], token)),
        ] {
            let answer = door.ask(line, &headers).await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (status, challenge), "{line} {token:?}");
            assert_eq!(answer.header("retry-after"), (status == 503).then_some("1"));
            assert!(answer.body.len() <= 1024);
            assert_eq!(answer.body.is_empty(), line.ends_with("nginx"));
            if !answer.body.is_empty() {
                assert_eq!(answer.header("content-type"), Some("application/problem+json"));
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &answer.reason().into()));
            }
        }
    }
    let answer = door.ask("HEAD /check/envoy/a", &["Host: app.example"]).await;
    assert_eq!((answer.status, answer.header("content-length")), (401, Some("0")));
}

// SEC-P8, contract rule 11
#[tokio::test]
async fn envoy_is_told_to_remove_what_the_identity_does_not_set() {
    let door = Door::open().await;
    let removed = async |headers: &[&str], path: &str| {
        let answer = door.ask(&format!("GET /check/envoy{path}"), headers).await;
        assert_eq!(answer.status, 200);
        let names = answer.header("x-envoy-auth-headers-to-remove").unwrap_or_default().to_owned();
        for set in answer.headers.iter().map(|(name, _)| name) {
            assert!(!names.split(", ").any(|name| name == set), "{set} is set and removed");
        }
        names
    };
    let spellings = "x_auth-subject, x-auth_subject, x_auth_subject, x_auth-roles, x-auth_roles, x_auth_roles";
    assert_eq!(removed(&["Host: x", "Authorization: Bearer good"], "/a").await, spellings);
    assert_eq!(
        removed(&["Host: x", "Authorization: Bearer roleless"], "/a").await,
        format!("x-auth-roles, {spellings}")
    );
    assert_eq!(removed(&["Host: x"], "/open").await, format!("x-auth-subject, x-auth-roles, {spellings}"));
}

// SEC-P2
#[tokio::test]
async fn only_trusted_peers_speak_for_others() {
    let door = Door::with(Setup { trusted: &["192.0.2.0/24"], ..Setup::default() }).await;
    let token = "Authorization: Bearer good";
    assert_eq!(door.ask("GET /check/nginx", &with(&NGINX, &[token])).await.reason(), "bad_path");
    assert_eq!(door.ask("GET /check/forward", &with(&FORWARD, &["Host: x", token])).await.reason(), "bad_path");
    assert_eq!(door.book.questions(), 0);
    let hints = ["Host: x", "X-Doorward-Route: closed", "X-Forwarded-For: 203.0.113.9", token];
    assert_eq!(door.ask("GET /check/envoy/a", &hints).await.status, 200);
    assert_eq!(door.book.last().unwrap(), "GET x /a - 127.0.0.1 -");

    let door = Door::open().await;
    assert_eq!(door.ask("GET /check/envoy/a", &hints).await.reason(), "forbidden");
    assert_eq!(door.book.last().unwrap(), "GET x /a closed 203.0.113.9 -");
    let twice = with(&NGINX, &[token, "X-Doorward-Route: closed", "X-Doorward-Route: default"]);
    assert_eq!(door.ask("GET /check/nginx", &twice).await.reason(), "bad_path");
    let empty = with(&NGINX, &[token, "X-Doorward-Route:", "X-Request-Id: r-1"]);
    assert_eq!(door.ask("GET /check/nginx", &empty).await.status, 200);
    assert_eq!(door.book.last().unwrap(), "GET app.example /a - 127.0.0.1 r-1");
}

// SEC-P10, contract rule 15
#[tokio::test]
async fn headers_about_the_connection_or_the_body_change_nothing() {
    let door = Door::open().await;
    let mut connection = door.connect().await;
    for header in [
        "Connection: keep-alive, Authorization, X-Original-URI, X-Auth-Subject",
        "Connection: Upgrade\r\nUpgrade: websocket",
        "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "If-None-Match: *",
        "Range: bytes=0-0",
        "Accept-Encoding: gzip, br",
        "Expect: 100-continue",
        "TE: trailers",
        "User-Agent: kube-probe/1.31",
    ] {
        let answer = connection.ask("GET /check/nginx", &with(&NGINX, &["Authorization: Bearer good", header])).await;
        assert_eq!((answer.status, answer.header("x-auth-subject")), (200, Some("alice")), "{header}");
        assert_eq!(connection.ask("GET /check/nginx", &with(&NGINX, &[header])).await.status, 401, "{header}");
    }
}

// SEC-P11
#[tokio::test]
async fn nothing_is_exempt_from_the_check() {
    let door = Door::open().await;
    for method in ["OPTIONS", "HEAD", "TRACE"] {
        for target in ["/healthz", "/livez", "/readyz", "/favicon.ico"] {
            assert_eq!(door.ask(&format!("{method} /check/envoy{target}"), &["Host: x"]).await.status, 401);
            let original = [&format!("X-Original-Method: {method}"), &format!("X-Original-URI: {target}"), "Host: x"];
            assert_eq!(
                door.ask("GET /check/nginx", &original.map(String::from).each_ref().map(String::as_str)).await.status,
                401
            );
        }
    }
}

// SEC-P5, SEC-P12
#[tokio::test]
async fn what_is_no_check_is_denied() {
    let door = Door::open().await;
    let token = "Authorization: Bearer good";
    for line in [
        "GET /",
        "GET /metrics",
        "GET /check",
        "GET /check/",
        "GET /check/other",
        "GET /check/nginxx",
        "GET /CHECK/nginx",
        "GET /check/envoy",
        "GET /check/envoyx/a",
        "GET /check/envoy?/a",
        "OPTIONS *",
        "CONNECT app.example:443",
        "POST /envoy.service.auth.v3.Authorization/Check",
    ] {
        let answer = door.ask(line, &with(&NGINX, &[token])).await;
        assert_eq!((answer.status, answer.reason()), (403, "bad_path"), "{line}");
    }
    for uri in ["*", "a", "app.example:443", "http://app.example/a", ""] {
        let answer = door
            .ask("GET /check/nginx", &["Host: x", "X-Original-Method: GET", &format!("X-Original-URI: {uri}"), token])
            .await;
        assert_eq!((answer.status, answer.reason()), (403, "bad_path"), "{uri}");
    }
    assert_eq!(door.book.questions(), 0);
}

// Contract rule 3
#[tokio::test]
async fn a_body_is_never_waited_for_and_ends_the_connection() {
    let door = Door::open().await;
    for length in ["Content-Length: 100000", "Transfer-Encoding: chunked", "Content-Length: 5\r\nExpect: 100-continue"]
    {
        let mut connection = door.connect().await;
        let answer = connection.ask("GET /check/nginx", &with(&NGINX, &["Authorization: Bearer good", length])).await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{length}");
        connection.closed().await;
    }
    // A body that does come is not taken for a request, and does not cost the client its answer.
    let mut connection = door.connect().await;
    let smuggled = "GET /check/envoy/open HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
    let head = format!("POST /check/envoy/a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", smuggled.len());
    connection.send(format!("{head}{smuggled}")).await;
    assert_eq!(connection.answer(false).await.status, 401);
    connection.closed().await;
    assert!(!door.book.last().unwrap().contains("/open"));
    // A proxy that is still sending a body when the answer comes gets no reset for it.
    let mut connection = door.connect().await;
    let answer = connection.ask("POST /check/envoy/a", &["Host: x", "Content-Length: 200000"]).await;
    assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
    for _ in 0..20 {
        connection.send([b'a'; 10_000]).await;
    }
    tokio::io::AsyncWriteExt::shutdown(&mut connection.stream).await.unwrap();
    connection.closed().await;
}

#[tokio::test]
async fn a_browser_is_sent_to_sign_in_the_way_its_proxy_can_pass_on() {
    let door = Door::with(Setup { sign_in_url: "https://login.example/in", ..Setup::default() }).await;
    let location = "https://login.example/in?rd=https%3A%2F%2Fapp.example%2Fa";
    let html = ["Accept: text/html", "X-Forwarded-Proto: https"];
    let answer = door.ask("GET /check/nginx", &with(&NGINX, &html)).await;
    assert_eq!((answer.status, answer.header("location")), (401, Some(location)), "NGINX can't pass on a 302");
    for (line, headers) in
        [("GET /check/forward", with(&FORWARD, &["Host: x"])), ("GET /check/envoy/a", vec!["Host: app.example"])]
    {
        let answer = door.ask(line, &with(&headers, &html)).await;
        assert_eq!((answer.status, answer.header("location")), (302, Some(location)), "{line}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let answer = door.ask(line, &with(&headers, &["Accept: application/json"])).await;
        assert_eq!((answer.status, answer.header("location")), (401, None), "{line}: no browser");
        let answer = door.ask(line, &with(&headers, &[html[0], "Authorization: Bearer small"])).await;
        assert_eq!((answer.status, answer.header("location")), (403, None), "{line}: signing in again would not help");
    }
}

#[tokio::test]
async fn the_door_counts_its_answers_and_tells_its_health() {
    let door = Door::open().await;
    door.ask("GET /check/nginx", &with(&NGINX, &["Authorization: Bearer good"])).await;
    door.ask("GET /check/envoy/a", &["Host: x"]).await;
    let shown = door.metrics.render();
    for line in [
        "doorward_check_requests_total{decision=\"allow\",gate=\"nginx\",reason=\"ok\"} 1",
        "doorward_check_requests_total{decision=\"deny\",gate=\"envoy_http\",reason=\"no_token\"} 1",
        "doorward_check_duration_seconds_count{gate=\"nginx\"} 1",
        "doorward_check_requests_total{decision=\"allow\",gate=\"envoy_grpc\",reason=\"ok\"} 0",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    door.health.add("state", std::sync::Arc::new(|| Err("away".into())));
    let answer = door.ask("GET /readyz", &["Host: x"]).await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "not ready\nstate: away\n"));
    assert_eq!(door.ask("GET /livez", &["Host: x"]).await.status, 200, "SEC-N1");
}
