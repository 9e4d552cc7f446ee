//! The plain session surface as its clients use it, against the real binary: over SQLite, and over Redis where it says so.

mod harness;

use std::time::{Duration, Instant};

use harness::doorward::{Doorward, Pair};
use harness::http::{Reply, Request};
use harness::monitor::Monitor;
use harness::redis::RedisServer;
use harness::wait::{answered, wait_for};
use serde_json::{Value, json};

fn over_sqlite() -> Doorward {
    Doorward::start(json!({}))
}

fn authenticate(doorward: &Doorward, token: &str) -> Reply {
    Request::get("/authenticate").bearer(token).send(doorward.public)
}

#[test]
fn ping_answers_pong() {
    let doorward = over_sqlite();
    let reply = Request::get("/ping").send(doorward.public);
    assert_eq!((reply.status, reply.body.trim()), (200, "pong"));
}

#[test]
fn a_session_lives_from_login_to_logout() {
    let doorward = over_sqlite();
    let first = doorward.login(1);
    assert_eq!(doorward.check(&first.access).status, 200);
    let second = Pair::of(&doorward.refresh(&first.refresh));
    assert_ne!(second.refresh, first.refresh);
    assert_eq!(doorward.check(&second.access).status, 200);
    assert_eq!(doorward.logout(&second.access).status, 200);
    for token in [&first.access, &second.access] {
        assert_eq!(doorward.check(token).status, 401);
        assert_eq!(authenticate(&doorward, token).status, 401);
    }
    assert_eq!(doorward.refresh(&second.refresh).status, 401);
}

#[test]
fn authenticate_gives_the_user_id_back_as_it_came() {
    let doorward = over_sqlite();
    for user in [json!(1), json!("1"), json!(u64::MAX), json!("alice@example.org")] {
        let pair = doorward.login(user.clone());
        let claims = authenticate(&doorward, &pair.access).json();
        assert_eq!(claims["user_id"], user);
        assert_eq!(claims["type"], "access");
        assert_eq!(claims["uid"], claims["jti"]);
        let subject = user.as_str().map_or_else(|| user.to_string(), str::to_owned);
        assert_eq!(claims["sub"], subject);

        let refreshed = Pair::of(&doorward.refresh(&pair.refresh));
        assert_eq!(authenticate(&doorward, &refreshed.access).json()["user_id"], user);
    }
}

#[test]
fn a_user_has_many_sessions_and_ends_one_of_them() {
    let doorward = over_sqlite();
    let (phone, laptop) = (doorward.login(1), doorward.login(1));
    assert_eq!(doorward.logout(&phone.access).status, 200);
    assert_eq!(doorward.check(&phone.access).status, 401);
    assert_eq!(doorward.check(&laptop.access).status, 200);
}

// SEC-S4
#[test]
fn logout_takes_any_token_of_the_session_and_may_be_repeated() {
    let doorward = over_sqlite();
    let pair = doorward.login(1);
    assert_eq!(doorward.logout(&pair.refresh).status, 200, "a refresh token logs out");
    assert_eq!(doorward.check(&pair.access).status, 401);
    for token in [&pair.refresh, &pair.access] {
        assert_eq!(doorward.logout(token).status, 200, "and once more is fine");
    }
    assert_eq!(doorward.logout("nonsense").status, 401);
    assert_eq!(Request::new("POST", "/logout").header("Content-Length", "0").send(doorward.public).status, 401);
}

#[test]
fn an_expired_access_token_still_logs_out_but_opens_nothing() {
    let doorward = Doorward::start(json!({"auth": {"access_lifetime": "3s"}}));
    let pair = doorward.login(1);
    assert_eq!(doorward.knows(&pair.access), 200);
    // SEC-T17: a cached identity goes with its token.
    wait_for("its expiry", || doorward.check(&pair.access).status == 401);
    assert_eq!(authenticate(&doorward, &pair.access).status, 401);
    assert_eq!(doorward.logout(&pair.access).status, 200);
    assert_eq!(doorward.refresh(&pair.refresh).status, 401);
}

// SEC-T15
#[test]
fn each_kind_of_token_counts_only_at_its_own_doors() {
    let doorward = over_sqlite();
    let pair = doorward.login(1);
    assert_eq!(doorward.check(&pair.refresh).status, 401);
    assert_eq!(authenticate(&doorward, &pair.refresh).status, 401);
    assert_eq!(doorward.refresh(&pair.access).status, 401);
}

// SEC-R8
#[test]
fn a_replay_after_the_grace_window_ends_the_session_for_the_thief_and_the_owner() {
    over_every_store(json!({"auth": {"refresh_grace": "200ms"}}), |doorward| {
        let stolen = doorward.login(1);
        let other = doorward.login(1);
        let owner = Pair::of(&doorward.refresh(&stolen.refresh));
        assert_eq!(doorward.knows(&owner.access), 200);
        std::thread::sleep(Duration::from_millis(250)); // the grace window itself
        assert_eq!(doorward.refresh(&stolen.refresh).status, 401);
        assert_eq!(doorward.knows(&owner.access), 401);
        assert_eq!(doorward.refresh(&owner.refresh).status, 401);
        assert_eq!(doorward.knows(&other.access), 200, "another session of the same user goes on");
    });
}

// SEC-R2, SEC-R3
#[test]
fn a_retry_inside_the_grace_window_gets_the_very_same_refresh_token() {
    over_every_store(json!({}), |doorward| {
        let first = doorward.login(1);
        let next = Pair::of(&doorward.refresh(&first.refresh));
        let again = Pair::of(&doorward.refresh(&first.refresh));
        assert_eq!(next.refresh, again.refresh);
        assert_eq!(doorward.knows(&again.access), 200);
    });
}

// SEC-R1
#[test]
fn without_a_grace_window_one_of_many_refreshes_wins() {
    let doorward = Doorward::start(json!({"auth": {"refresh_grace": "0s"}}));
    let pair = doorward.login(1);
    let statuses = in_parallel(20, || doorward.refresh(&pair.refresh).status);
    let told = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    // Who was told 503 may be the one who won.
    assert!(told(200) == 1 || (told(200) == 0 && told(503) > 0), "{statuses:?}");
    assert_eq!(told(200) + told(401) + told(503), 20, "{statuses:?}");
}

// SEC-S5
#[test]
fn the_session_limit_evicts_the_oldest_or_refuses() {
    let evicting = Doorward::start(json!({"auth": {"max_sessions_per_user": 2}}));
    let sessions = [evicting.login(1), evicting.login(1), evicting.login(1)];
    let alive = sessions.each_ref().map(|pair| evicting.knows(&pair.access));
    assert_eq!(alive, [401, 200, 200]);

    let refusing = Doorward::start(json!({"auth": {"max_sessions_per_user": 5, "at_session_limit": "refuse"}}));
    let login = || answered(|| Request::post("/login", &json!({"user_id": 1})).send(refusing.public)).status;
    let statuses = in_parallel(50, login);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
    assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}");
}

// SEC-S6
#[test]
fn an_unused_session_ends_and_a_used_one_goes_on() {
    over_every_store(
        json!({"auth": {"auto_logout": "4s"}, "check": {"cache": {"activity_interval": "200ms"}}}),
        |doorward| {
            let (idle, used) = (doorward.login(1), doorward.login(2));
            assert_eq!(doorward.knows(&idle.access), 200, "known to the cache before it idles");
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_secs(6) {
                assert_eq!(doorward.knows(&used.access), 200);
                std::thread::sleep(Duration::from_millis(100));
            }
            assert_eq!(doorward.knows(&idle.access), 401);
            assert_eq!(doorward.refresh(&idle.refresh).status, 401);
            assert_eq!(Pair::of(&doorward.refresh(&used.refresh)).access.split('.').count(), 3);
        },
    );
}

#[test]
fn sessions_survive_a_restart_on_the_embedded_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = json!({
        "users": {"url": format!("sqlite:{}", folder.path().join("kept.db").display())},
        "keys": {"dir": folder.path().join("keys")},
    });
    let pair = {
        let mut doorward = Doorward::start(config.clone());
        let pair = doorward.login(1);
        doorward.process.signal("TERM");
        assert!(doorward.process.wait_end().success());
        pair
    };
    let doorward = Doorward::start(config);
    assert_eq!(doorward.knows(&pair.access), 200);
    Pair::of(&doorward.refresh(&pair.refresh));
}

#[test]
fn malformed_bodies_are_400_and_never_500() {
    let doorward = over_sqlite();
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{}",
        r#"{"user_id":null}"#,
        r#"{"user_id":-1}"#,
        r#"{"user_id":1.5}"#,
        r#"{"user_id":true}"#,
        r#"{"user_id":""}"#,
        r#"{"user_id":[1]}"#,
        r#"{"user_id":1,"user_id":2}"#,
        r#"{"user_id":18446744073709551616}"#,
        r#"{"user_id":1e3}"#,
        "{\"user_id\":\"a\u{0}b\"}",
        r#"{"user_id":"a\u0000"}"#,
        r#"{"user_id":"a,b"} trailing"#,
    ];
    for body in bodies {
        let reply =
            Request::new("POST", "/login").header("Content-Type", "application/json").body(body).send(doorward.public);
        assert_eq!(reply.status, 400, "{body:?} got {reply:?}");
        assert!(
            reply.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json")),
            "{reply:?}"
        );
    }
    let deep = format!("{{\"user_id\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let reply =
        Request::new("POST", "/login").header("Content-Type", "application/json").body(deep).send(doorward.public);
    assert!([400, 413].contains(&reply.status), "{reply:?}");
    for body in ["{}", r#"{"refresh":1}"#, "x"] {
        let reply = Request::new("POST", "/refresh")
            .header("Content-Type", "application/json")
            .body(body)
            .send(doorward.public);
        assert_eq!(reply.status, 400, "{body:?} got {reply:?}");
    }
}

#[test]
fn wrong_methods_sizes_and_paths_get_their_own_answers() {
    let doorward = over_sqlite();
    let reply = Request::get("/login").send(doorward.public);
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    let reply = Request::new("DELETE", "/authenticate").send(doorward.public);
    assert_eq!(reply.status, 405);
    assert!(reply.header("allow").is_some_and(|methods| methods.contains("GET")), "{reply:?}");
    let huge = json!({"user_id": "x".repeat(20_000)});
    assert_eq!(Request::post("/login", &huge).send(doorward.public).status, 413);
    assert_eq!(Request::get("/nowhere").send(doorward.public).status, 404);
}

// SEC-R13
#[test]
fn answers_with_tokens_are_not_to_be_stored() {
    let doorward = over_sqlite();
    let reply = Request::post("/login", &json!({"user_id": 1})).send(doorward.public);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let reply = doorward.refresh(reply.json()["refresh"].as_str().expect("a token"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

// SEC-K9
#[test]
fn login_is_for_trusted_callers_only() {
    let closed = Doorward::start(json!({"auth": {"trusted_login": {"allow_from": []}}}));
    let login = || Request::post("/login", &json!({"user_id": 1}));
    assert!([401, 403].contains(&login().send(closed.public).status));

    let by_address = over_sqlite();
    assert_eq!(login().send(by_address.public).status, 200);
    for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via", "X-Forwarded-Host"] {
        let proxied = login().header(header, "127.0.0.1");
        assert!(
            [401, 403].contains(&proxied.send(by_address.public).status),
            "{header}: a proxy's request is no caller's"
        );
    }

    let key = "k".repeat(40);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("callers");
    std::fs::write(&file, format!("{key}\n")).expect("a file");
    let keyed = Doorward::start(json!({"auth": {"trusted_login": {"allow_from": [], "caller_keys_file": file}}}));
    assert_eq!(login().bearer(&key).send(keyed.public).status, 200);
    assert_eq!(login().bearer(&key).header("X-Forwarded-For", "9.9.9.9").send(keyed.public).status, 200);
    assert_eq!(login().bearer(&"x".repeat(40)).send(keyed.public).status, 401);
    assert_eq!(login().send(keyed.public).status, 401);
}

// SEC-K2
#[test]
fn the_key_set_is_public_and_may_be_cached() {
    let doorward = over_sqlite();
    let reply = Request::get("/.well-known/jwks.json").send(doorward.public);
    assert_eq!(reply.status, 200);
    assert!(reply.header("cache-control").is_some_and(|value| value.contains("max-age=")), "{reply:?}");
    let keys = reply.json()["keys"].as_array().expect("keys").clone();
    assert!(!keys.is_empty());
    for key in keys {
        assert!(
            key["kid"].is_string() && key["alg"] == "EdDSA" && key["use"] == "sig" && key.get("d").is_none(),
            "{key}"
        );
    }
}

#[test]
fn every_algorithm_signs_and_checks() {
    for algorithm in ["EdDSA", "ES256", "RS256", "PS256", "HS256"] {
        let doorward = Doorward::start(json!({"keys": {"algorithm": algorithm}}));
        let pair = doorward.login(1);
        assert_eq!(doorward.check(&pair.access).status, 200, "{algorithm}");
        let header = pair.access.split('.').next().expect("a header");
        let header: Value = serde_json::from_slice(&decode(header)).expect("JSON");
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some(algorithm), Some("at+jwt")));
        let keys = Request::get("/.well-known/jwks.json").send(doorward.public).json();
        assert_eq!(keys["keys"].as_array().map(Vec::is_empty), Some(algorithm == "HS256"), "{keys}");
    }
}

// SEC-G1
#[test]
fn no_token_stands_in_the_log() {
    let doorward = over_sqlite();
    let pair = doorward.login(1);
    let next = Pair::of(&doorward.refresh(&pair.refresh));
    doorward.check(&next.access);
    doorward.check(&format!("{}x", next.access));
    doorward.logout(&next.access);
    Request::get("/ping?secret=canary-in-query").header("Cookie", "a=canary-in-cookie").send(doorward.public);
    wait_for("the last audit event", || doorward.process.output().contains("authn_token_revoked"));
    let log = doorward.process.output();
    assert!(log.contains("session_created"), "the audit events are there: {log}");
    for token in [&pair.access, &pair.refresh, &next.access, &next.refresh] {
        let secret = token.rsplit('.').next().expect("a last part");
        assert!(!log.contains(secret), "a token or its signature stands in the log");
    }
    assert!(!log.contains("canary"), "a query or a cookie stands in the log");
}

// SEC-G3, SEC-G1
#[test]
fn a_refused_right_is_audited_with_its_path_and_rule_but_not_the_query() {
    let rules = json!([{"path": "/app"}, {"path": "/admin/**", "require": {"roles": ["admin"]}}]);
    let doorward = Doorward::start(json!({"check": {"rules": rules}}));
    let token = doorward.login(1).access;
    let long = format!("/admin/{}", "a".repeat(5000));
    for target in ["/admin//%61?code=canary", "/elsewhere?canary", &long] {
        let request = Request::get("/check/nginx").header("X-Original-Method", "GET").header("X-Original-URI", target);
        assert_eq!(request.bearer(&token).send(doorward.check).status, 403, "{target}");
    }
    let refused = || -> Vec<Value> {
        let log = doorward.process.output();
        // The last line may not be whole yet.
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == "authz_fail").collect()
    };
    let began = Instant::now();
    while refused().len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", doorward.process.output());
        std::thread::sleep(Duration::from_millis(10));
    }
    let [by_role, by_none, by_long] = &refused()[..] else { panic!("three: {:?}", refused()) };
    assert_eq!((&by_role["path"], &by_role["rule"]), (&json!("/admin/a"), &json!("check.rules[1]")));
    assert_eq!(by_role["subject"], "1");
    assert_eq!((&by_none["path"], &by_none["rule"]), (&json!("/elsewhere"), &Value::Null));
    assert!(by_long["path"].as_str().is_some_and(|path| long.starts_with(path) && path.len() <= 256), "{by_long}");
    assert!(!doorward.process.output().contains("canary"), "a query stands in the log");
}

// SEC-G3, SEC-C2
#[test]
fn a_cookie_that_another_site_sent_is_audited() {
    let doorward = Doorward::start(json!({"check": {"cookie": "__Host-door"}}));
    let request = Request::get("/check/nginx")
        .header("X-Original-Method", "POST")
        .header("X-Original-URI", "/pay?canary")
        .header("Origin", "https://evil.test")
        .header("Cookie", &format!("__Host-door={}", doorward.login(1).access));
    assert_eq!(request.send(doorward.check).status, 403);
    let told = |line: &str| line.contains("authz_fail") && line.contains(r#""outcome":"cross_site""#);
    doorward.process.eventually("the audit event", || doorward.process.output().lines().any(told));
    let log = doorward.process.output();
    let event: Value = serde_json::from_str(log.lines().find(|line| told(line)).expect("an event")).expect("JSON");
    assert_eq!((&event["subject"], &event["path"]), (&json!("1"), &json!("/pay")));
    assert!(!log.contains("canary"), "a query stands in the log");
}

// SEC-G2
#[test]
fn no_user_id_forges_a_log_line() {
    let doorward = over_sqlite();
    for user in ["a\nforged line", "\u{1b}[31mred", "a\r\n{\"event\":\"x\"}"] {
        Request::post("/login", &json!({"user_id": user})).send(doorward.public);
    }
    wait_for("the end of a line", || doorward.process.output().ends_with('\n'));
    let log = doorward.process.output();
    let (whole, _) = log.rsplit_once('\n').expect("a line");
    for line in whole.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not one JSON object a line: {line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn each_step_of_a_session_asks_redis_once_and_a_check_of_what_was_just_minted_not_at_all() {
    if !harness::redis::available() {
        return;
    }
    let redis = RedisServer::start();
    let doorward =
        Doorward::start(json!({"state": {"url": redis.url()}, "check": {"cache": {"activity_interval": "1h"}}}));
    // Another user first: the server learns each script at its first use.
    let other = Pair::of(&doorward.refresh(&doorward.login(2).refresh));
    assert_eq!(doorward.logout(&other.access).status, 200);

    let round = |user: u32| -> [Vec<String>; 5] {
        let mut monitor = Monitor::of(&redis);
        let first = doorward.login(user);
        // All keys of one subject hold its tag, and so does the session's id.
        let claims: Value =
            serde_json::from_slice(&decode(first.access.split('.').nth(1).expect("claims"))).expect("JSON");
        let tag = format!("{{{}}}", &claims["sid"].as_str().expect("a session")[..12]);
        let login = monitor.sent(&tag);
        assert_eq!(doorward.knows(&first.access), 200);
        let check = monitor.sent(&tag);
        let second = Pair::of(&doorward.refresh(&first.refresh));
        let refresh = monitor.sent(&tag);
        assert_eq!(doorward.knows(&second.access), 200);
        assert_eq!(authenticate(&doorward, &second.access).status, 200);
        let check_again = monitor.sent(&tag);
        assert_eq!(doorward.logout(&second.access).status, 200);
        let logout = monitor.sent(&tag);
        assert_eq!(doorward.knows(&second.access), 401);
        [login, check, refresh, check_again, logout]
    };
    // What is not answered within a try's 250 ms is sent again: on a busy machine in one round, hardly in three.
    let rounds = (10..13).map(round);
    let others: Vec<_> = rounds.take_while(|sent| sent.each_ref().map(Vec::len) != [1, 0, 1, 0, 1]).collect();
    assert!(others.len() < 3, "login, check, refresh, check, logout sent {others:#?}");
}

/// Runs the same promises on the embedded database and on Redis, side by side: they mostly wait.
fn over_every_store(config: Value, promise: impl Fn(&Doorward) + Sync) {
    let redis = harness::redis::available().then(RedisServer::start);
    std::thread::scope(|scope| {
        if let Some(redis) = &redis {
            let mut config = config.clone();
            config["state"] = json!({"url": redis.url()});
            scope.spawn(|| promise(&Doorward::start(config)));
        }
        promise(&Doorward::start(config));
    });
}

fn in_parallel<T: Send>(times: usize, call: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..times).map(|_| scope.spawn(&call)).collect();
        calls.into_iter().map(|call| call.join().expect("no panic")).collect()
    })
}

fn decode(part: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).expect("base64url")
}
