//! The files in `nginx/`, `envoy/` and `deploy/caddy/` as they are shipped, under the real NGINX, Envoy and Caddy, in front
//! of an app that remembers what reached it. Each behaviour is asked of every one of them.

mod harness;
#[path = "proxies/hostile.rs"]
mod hostile;

use std::time::{Duration, Instant};

use harness::edge::{Edge, Proxy, SIGN_IN};
use harness::http::{Connection, Request, values};
use harness::paths;
use harness::redis::{self, RedisServer};
use harness::upstream::Received;
use hostile::no_generated_path_reaches_the_app_as_one_that_its_sender_may_not_see;
use serde_json::json;

/// The suite, for one proxy.
macro_rules! through {
    ($module:ident, $proxy:expr, [$($behaviour:ident),* $(,)?]) => {
        mod $module {
            use super::*;
            $(#[test]
            fn $behaviour() {
                if let Some(mut edge) = Edge::start($proxy) {
                    super::$behaviour(&mut edge);
                }
            })*

            #[test]
            fn a_dead_token_store_is_503() {
                super::a_dead_token_store_is_503($proxy);
            }
        }
    };
    ($($module:ident: $proxy:expr),* $(,)?) => {
        $(through!($module, $proxy, [
            without_a_token_the_answer_is_401_and_says_how_to_authenticate,
            a_bad_token_is_401_and_says_so,
            the_app_learns_who_came,
            claims_of_a_foreign_token_become_identity_headers,
            a_forged_identity_never_reaches_the_app,
            naming_headers_in_connection_changes_nobodys_identity,
            a_token_is_refused_after_logout,
            a_missing_role_is_403,
            no_path_trick_reaches_a_path_that_its_sender_may_not_see,
            no_generated_path_reaches_the_app_as_one_that_its_sender_may_not_see,
            headers_that_claim_another_path_are_not_believed,
            headers_that_claim_another_request_never_reach_the_app,
            a_second_authorization_is_refused,
            bodies_and_methods_pass_unchanged,
            one_client_connection_carries_allowed_and_refused_requests,
            login_of_trusted_callers_is_not_reachable_through_the_proxy,
            nothing_passes_while_doorward_is_away,
        ]);)*
    };
}

through! {
    nginx_api: Proxy::NginxApi,
    nginx_browser: Proxy::NginxBrowser,
    nginx_current: Proxy::NginxCurrent,
    envoy_grpc: Proxy::EnvoyGrpc,
    envoy_http: Proxy::EnvoyHttp,
    caddy: Proxy::Caddy,
}

// SEC-T23
fn without_a_token_the_answer_is_401_and_says_how_to_authenticate(edge: &Edge) {
    for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
        let reply = edge.refuses(&Request::new(method, "/reports?month=5"), 401);
        let challenge = reply.header("WWW-Authenticate").expect("one WWW-Authenticate");
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        assert!(!challenge.contains("error="), "no credential came, so none was wrong: {challenge}");
    }
}

// SEC-T23, SEC-T22
fn a_bad_token_is_401_and_says_so(edge: &Edge) {
    let good = edge.issuer.token("alice", &[]);
    let cut = &good[..good.len() - 2];
    for token in ["nonsense", "a.b.c", cut] {
        let reply = edge.refuses(&Request::get("/reports").bearer(token), 401);
        let challenge = reply.header("WWW-Authenticate").expect("one WWW-Authenticate");
        assert!(challenge.contains("invalid_token"), "{challenge}");
    }
    edge.refuses(&Request::get(&format!("/reports?access_token={good}")), 401);
}

// SEC-P8
fn the_app_learns_who_came(edge: &Edge) {
    let pair = edge.doorward.login("alice");
    let received = edge.passes(&Request::get("/reports?month=5&year=2026").bearer(&pair.access));
    assert_eq!(received.target, "/reports?month=5&year=2026");
    assert_eq!(received.header("X-Auth-Subject"), Some("alice"));
    assert!(received.header("X-Auth-Session").is_some_and(|sid| !sid.is_empty()), "{received:?}");

    let (reply, _) = edge.settles(&Request::get("/reports").bearer(&pair.access));
    assert_eq!(reply.header("X-App"), Some("seen"));
    let told = reply.headers.iter().find(|(name, _)| name.to_lowercase().starts_with("x-auth"));
    assert!(told.is_none(), "identity is the app's business, not the client's: {told:?}");
}

// SEC-P8, SEC-P9
fn claims_of_a_foreign_token_become_identity_headers(edge: &Edge) {
    let claims = json!({"sub": "bob", "roles": ["admin", "editor"], "scope": "read write"});
    let received = edge.passes(&Request::get("/reports").bearer(&edge.issuer.token_with(claims)));
    assert_eq!(received.header("X-Auth-Subject"), Some("bob"));
    assert_eq!(words(&received, "X-Auth-Roles"), ["admin", "editor"]);
    assert_eq!(words(&received, "X-Auth-Scope"), ["read", "write"]);

    let received = edge.passes(&Request::get("/reports").bearer(&edge.issuer.token("carol", &[])));
    assert!(received.values("X-Auth-Roles").iter().all(|value| value.is_empty()), "{received:?}");
}

// SEC-P8: on protected paths, on paths open by rule, and on those that doorward is not asked about.
fn a_forged_identity_never_reaches_the_app(edge: &Edge) {
    let token = edge.issuer.token("alice", &[]);
    let spellings = [
        "X-Auth-Subject",
        "x-auth-subject",
        "X-AUTH-ROLES",
        "X-Auth-Session",
        "x-auth-scope",
        "X_Auth_Subject",
        "X-Auth_Roles",
        "X_Auth-Roles",
        "x_auth_scope",
    ];
    let mut passed = 0;
    for name in spellings {
        for path in ["reports", "open", edge.unasked()] {
            let forged =
                Request::get(&format!("/{path}/x")).header(name, "mallory").bearer(&token).header(name, "mallory");
            let (reply, received) = edge.settles(&forged);
            for seen in &received {
                let told = seen.identity();
                assert!(told.iter().all(|(_, value)| !value.contains("mallory")), "{forged:?} gave the app {told:?}");
                let subject = if path == "reports" { vec!["alice"] } else { vec![] };
                let mut subjects = seen.values("X-Auth-Subject");
                subjects.retain(|value| !value.is_empty());
                assert_eq!(subjects, subject, "{forged:?}");
            }
            passed += received.len();
            assert!(received.len() == 1 || reply.status == 400, "{forged:?} got {reply:?}");
        }
    }
    assert!(passed >= 15, "the plain spellings must be cleaned, not refused");
}

// SEC-P10
fn naming_headers_in_connection_changes_nobodys_identity(edge: &Edge) {
    let token = edge.issuer.token("alice", &["editor"]);
    for hop in ["X-Auth-Subject", "close, X-Auth-Subject, X-Auth-Roles", "x-auth-subject", "keep-alive, Authorization"]
    {
        let request =
            Request::get("/reports").bearer(&token).header("Connection", "keep-alive").header("Connection", hop);
        for seen in edge.settles(&request).1 {
            assert_eq!(seen.header("X-Auth-Subject"), Some("alice"), "{request:?}");
            assert_eq!(words(&seen, "X-Auth-Roles"), ["editor"], "{request:?}");
        }
        for path in ["/reports", "/admin/users"] {
            let bare = Request::get(path).header("Connection", hop).header("X-Auth-Subject", "mallory");
            let (reply, received) = edge.settles(&bare);
            assert!(received.is_empty() && matches!(reply.status, 400 | 401), "{bare:?} got {reply:?}");
        }
    }
}

// SEC-S1, SEC-T20
fn a_token_is_refused_after_logout(edge: &Edge) {
    let pair = edge.doorward.login("alice");
    let other = edge.doorward.login("alice");
    let request = Request::get("/reports").bearer(&pair.access);
    edge.passes(&request);
    // Through the proxy, as a client would.
    let logout = Request::new("POST", "/logout").header("Content-Length", "0").bearer(&pair.access).send(edge.address);
    assert_eq!(logout.status, 200, "{logout:?}");
    edge.refuses(&request, 401);
    edge.passes(&Request::get("/reports").bearer(&other.access));
}

// SEC-T23
fn a_missing_role_is_403(edge: &Edge) {
    edge.passes(&Request::get("/admin/users").bearer(&edge.issuer.token("root", &["admin"])));
    let reply = edge.refuses(&Request::get("/admin/users").bearer(&edge.issuer.token("alice", &["editor"])), 403);
    // NGINX relays this header with a 401 only.
    if !edge.proxy.is_nginx() {
        let challenge = reply.header("WWW-Authenticate").expect("one WWW-Authenticate");
        assert!(challenge.contains("insufficient_scope"), "{challenge}");
    }
}

// SEC-P3, SEC-P4, SEC-P5
fn no_path_trick_reaches_a_path_that_its_sender_may_not_see(edge: &Edge) {
    let plain = edge.issuer.token("alice", &["editor"]);
    for prefix in ["open", edge.unasked()] {
        edge.passes(&Request::get(&format!("/{prefix}/page?next=/admin/x%2F..;")));
        for trick in paths::TRICKS.map(|trick| trick.replace("%p", prefix)) {
            for request in [Request::get(&trick), Request::get(&trick).bearer(&plain)] {
                let (reply, received) = edge.ask(&request);
                for seen in &received {
                    let read = paths::as_a_lenient_app_reads(&seen.target);
                    assert!(!read.starts_with("/admin"), "{request:?} got {reply:?}, the app reads {read}: {seen:?}");
                }
            }
        }
    }
}

// SEC-P1, SEC-P2, SEC-P6
fn headers_that_claim_another_path_are_not_believed(edge: &Edge) {
    let plain = edge.issuer.token("alice", &["editor"]);
    let claims = [
        ("X-Original-URI", "/open/x"),
        ("X-Original-URL", "http://localhost/open/x"),
        ("X-Original-Method", "OPTIONS"),
        ("X-Forwarded-Uri", "/open/x"),
        ("X-Forwarded-Path", "/open/x"),
        ("X-Forwarded-Prefix", "/open"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-Host", "open.example"),
        ("X-Rewrite-URL", "/open/x"),
        ("X-Envoy-Original-Path", "/open/x"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Doorward-Route", "open"),
        ("X-Auth-Roles", "admin"),
        ("Forwarded", "for=127.0.0.1;host=open.example;proto=https"),
    ];
    for (name, value) in claims {
        edge.refuses(&Request::get("/admin/x").header(name, value), 401);
        edge.refuses(&Request::get("/admin/x").bearer(&plain).header(name, value), 403);
    }
}

// SEC-P2, SEC-P13: an app may believe them, where doorward does not.
fn headers_that_claim_another_request_never_reach_the_app(edge: &Edge) {
    let names = [
        "X-Original-URI",
        "X-Original-URL",
        "X-Original-Method",
        "X-Original-Host",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Host",
        "X-Forwarded-Path",
        "X-Forwarded-Prefix",
        "X-Rewrite-URL",
        "X-Doorward-Route",
        "X-Doorward-Reason",
        "Forwarded",
    ];
    let token = edge.issuer.token("alice", &[]);
    for path in ["reports", "open", edge.unasked()] {
        let request = Request::get(&format!("/{path}/x")).bearer(&token);
        let claimed = |seen: &Received| seen.headers.iter().any(|(_, value)| value.contains("claimed"));
        let seen =
            edge.passes(&names.iter().fold(request.clone(), |request, name| request.header(name, "claimed.example")));
        assert!(!claimed(&seen), "{seen:?}");
        // As CGI and WSGI read them: `_` and `-` are one.
        let spelled: Vec<_> =
            names.iter().filter(|name| name.contains('-')).map(|name| name.replace('-', "_")).collect();
        let request = spelled.iter().fold(request, |request, name| request.header(name, "claimed.example"));
        let (reply, received) = edge.settles(&request);
        assert!(reply.status == 400 || received.len() == 1, "{reply:?}");
        assert!(!received.iter().any(claimed), "{received:?}");
    }
}

// SEC-T22
fn a_second_authorization_is_refused(edge: &Edge) {
    let alice = edge.issuer.token("alice", &[]);
    let root = edge.issuer.token("root", &["admin"]);
    let (alice, root) = (format!("Bearer {alice}"), format!("Bearer {root}"));
    for (first, second) in [(&alice, &root), (&root, &alice), (&root, &root), (&"Basic eDp5".to_owned(), &root)] {
        let twice = Request::get("/admin/x").header("Authorization", first).header("authorization", second);
        let joined = Request::get("/admin/x").header("Authorization", &format!("{first}, {second}"));
        for request in [twice, joined] {
            let (reply, received) = edge.settles(&request);
            assert!(received.is_empty() && matches!(reply.status, 400 | 401), "{request:?} got {reply:?}");
        }
    }
}

fn bodies_and_methods_pass_unchanged(edge: &Edge) {
    let token = edge.issuer.token("alice", &[]);
    let large = "x".repeat(300_000);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let received = edge.passes(&Request::new(method, "/reports").bearer(&token).body(large.clone()));
        assert_eq!(received.method, method);
        assert_eq!(received.body.len(), large.len());
        edge.refuses(&Request::new(method, "/reports").body("small"), 401);
    }
    for method in ["HEAD", "OPTIONS"] {
        assert_eq!(edge.passes(&Request::new(method, "/reports").bearer(&token)).method, method);
    }
    let chunked = Request::new("POST", "/reports").bearer(&token).header("Transfer-Encoding", "chunked");
    let mut connection = Connection::open(edge.address).expect("a proxy that listens");
    connection.write_bytes(&chunked.bytes()).expect("a writable connection");
    connection.write_bytes(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").expect("a writable connection");
    assert_eq!(connection.read(false).expect("an answer").status, 200);
    assert_eq!(edge.app.take_one().body, b"abcde");
}

fn one_client_connection_carries_allowed_and_refused_requests(edge: &Edge) {
    let token = edge.issuer.token("alice", &[]);
    // Once it is known no store is asked about it.
    edge.passes(&Request::get("/reports").bearer(&token));
    let mut connection = Connection::open(edge.address).expect("a proxy that listens");
    for _ in 0..3 {
        for (request, status) in [
            (Request::get("/reports").bearer(&token), 200),
            (Request::get("/reports"), 401),
            (Request::new("POST", "/reports").bearer(&token).body("a body"), 200),
            (Request::get("/admin/x").bearer(&token), 403),
            (Request::get("/open/x"), 200),
        ] {
            let reply = connection.exchange(&request).expect("the connection stays open");
            assert_eq!(reply.status, status, "{request:?} got {reply:?}");
        }
    }
    assert_eq!(edge.app.take().len(), 9);
}

// SEC-K9: the proxy is on this machine, so to doorward every client of it looks local.
fn login_of_trusted_callers_is_not_reachable_through_the_proxy(edge: &Edge) {
    let login = Request::post("/login", &json!({"user_id": "root"}));
    edge.refuses(&login, 401);
    for path in ["/metrics", "/readyz", "/_doorward", "/check/nginx"] {
        let (reply, _) = edge.settles(&Request::get(path));
        assert!(matches!(reply.status, 401 | 404), "{path} got {reply:?}");
    }
}

// SEC-F13, SEC-P13
fn nothing_passes_while_doorward_is_away(edge: &mut Edge) {
    let token = edge.issuer.token("alice", &[]);
    edge.passes(&Request::get("/reports").bearer(&token));
    edge.doorward.process.kill();
    let status = if edge.proxy == Proxy::Caddy { 502 } else { 503 };
    for request in [Request::get("/reports").bearer(&token), Request::get("/reports"), Request::get("/open/x")] {
        edge.refuses(&request.header("X-Auth-Subject", "mallory"), status);
    }
    if edge.proxy != Proxy::Caddy {
        edge.passes(&Request::get("/public/page"));
    }
}

// SEC-F1
fn a_dead_token_store_is_503(proxy: Proxy) {
    if !redis::available() {
        return;
    }
    let mut store = RedisServer::start();
    let Some(edge) = Edge::start_with(proxy, json!({"state": {"url": store.url()}})) else { return };
    edge.passes(&Request::get("/reports").bearer(&edge.issuer.token("alice", &[])));
    let unseen = Request::get("/reports").bearer(&edge.issuer.token("bob", &[]));
    store.kill();
    let reply = edge.refuses(&unseen.clone().header("X-Auth-Subject", "mallory"), 503);
    // To Envoy's HTTP service a 503 is a failed check: it answers with a 503 of its own.
    assert!(edge.proxy == Proxy::EnvoyHttp || reply.header("Retry-After").is_some(), "{reply:?}");
    // What needs no store is answered as ever.
    edge.refuses(&Request::get("/reports"), 401);
    edge.passes(&Request::get("/open/x"));

    store.restart();
    let start = Instant::now();
    while unseen.send(edge.address).status != 200 {
        assert!(start.elapsed() < Duration::from_secs(10), "no recovery after the store is back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn nginx_sends_a_browser_to_the_sign_in_page_with_the_page_it_wanted() {
    let Some(edge) = Edge::start(Proxy::NginxBrowser) else { return };
    let page = Request::get("/page?a=1&b=x%20y")
        .host(&edge.address.to_string())
        .header("Accept", "text/html,application/xhtml+xml;q=0.9");
    let reply = edge.refuses(&page, 302);
    let location = reply.header("Location").expect("one Location");
    let (address, query) = location.split_once('?').expect("a query");
    assert_eq!(address, SIGN_IN);
    let rd = query.split('&').find_map(|pair| pair.strip_prefix("rd=")).expect("rd");
    assert!(!rd.contains(['?', '&', '=', ' ']), "{rd} is one encoded value");
    assert_eq!(
        paths::decode(rd),
        format!("http://{}/page?a=1&b=x%20y", edge.address),
        "with the port that the browser used"
    );
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));

    edge.refuses(&Request::get("/page").header("Accept", "application/json"), 401);
    edge.refuses(&Request::get("/admin/x").bearer(&edge.issuer.token("alice", &[])).header("Accept", "text/html"), 403);
}

// SEC-P13, SEC-C1
#[test]
fn the_cookie_with_the_token_is_kept_from_the_app() {
    for proxy in [Proxy::NginxBrowser, Proxy::EnvoyGrpc, Proxy::EnvoyHttp, Proxy::Caddy] {
        let cookie = json!({"check": {"cookie": "__Host-doorward"}});
        let Some(edge) = Edge::start_with(proxy, cookie) else { continue };
        let ours = format!("__Host-doorward={}", edge.issuer.token("alice", &[]));
        for (sent, left) in [
            (ours.clone(), vec![]),
            (format!("{ours}; theme=dark"), vec!["theme=dark"]),
            (format!("theme=dark; {ours}"), vec!["theme=dark"]),
            (format!("a=1;{ours};b=2,3; x__Host-doorward=kept"), vec!["a=1", "b=2,3", "x__Host-doorward=kept"]),
        ] {
            let received = edge.passes(&Request::get("/reports").header("Cookie", &sent));
            assert_eq!(received.header("X-Auth-Subject"), Some("alice"));
            assert_eq!(cookies(&received), left, "{proxy:?}: {sent}");
            let received = edge.passes(&Request::get("/open/page").header("Cookie", &sent));
            assert_eq!(cookies(&received), left, "{proxy:?}, open to anyone: {sent}");
        }
        edge.refuses(&Request::get("/reports").header("Cookie", &format!("{ours}; {ours}")), 401);
    }
}

fn cookies(received: &Received) -> Vec<&str> {
    let pairs = received.values("Cookie").into_iter().flat_map(|line| line.split(';'));
    pairs.map(str::trim).filter(|pair| !pair.is_empty()).collect()
}

/// The words of a header that joins several with commas or blanks.
fn words<'a>(received: &'a Received, name: &str) -> Vec<&'a str> {
    values(&received.headers, name).iter().flat_map(|value| value.split([',', ' '])).filter(|w| !w.is_empty()).collect()
}
