//! Services that get tokens for themselves.

use serde_json::json;

use crate::harness::doorward::program;
use crate::on_every_store;
use crate::server::{GATEWAY, SECRET, Server, access, basic, claims, post, refused};
use crate::service::{Store, at_once};

on_every_store!(a_client_gets_a_token_of_its_own_that_checks_let_pass, a_token_of_a_client_ends_as_every_session_does,);

fn a_client_gets_a_token_of_its_own_that_checks_let_pass(store: Store) {
    let server = Server::start(store);
    let reply = server.token("grant_type=client_credentials&scope=orders%3Aread");
    let token = access(&reply);
    let body = reply.json();
    assert_eq!((&body["scope"], body.get("refresh_token")), (&json!("orders:read"), None));
    let told = claims(&token);
    assert_eq!((&told["sub"], &told["client_id"]), (&json!("client:billing"), &json!("billing")));
    assert_eq!((&told["scope"], &told["roles"]), (&json!("orders:read"), &json!([])));
    assert_eq!((told.get("auth_time"), told.get("amr"), told.get("user_id")), (None, None, None), "nobody signed in");
    assert_eq!(server.service.check(&token), 200);
    let passed = server.service.doorward.check(&token);
    assert_eq!(passed.header("x-auth-subject"), Some("client:billing"));
    // By each way to prove itself; all scopes where it asks for none.
    let body = format!("grant_type=client_credentials&client_id=billing&client_secret={SECRET}");
    let all = server.service.send(&post("/oauth2/token", &body));
    assert_eq!(claims(&access(&all))["scope"], "orders:read orders:write");
    let signed = access(&server.with_assertion(&server.assertion(json!({}))));
    assert_eq!((&claims(&signed)["client_id"], server.service.check(&signed)), (&json!("batch"), 200));
    // It is no account's, though it is ours.
    for path in ["/profile", "/auth/sessions", "/admin/users"] {
        assert_eq!(server.service.get(path, &token).status, 401, "{path}");
    }
}

fn a_token_of_a_client_ends_as_every_session_does(store: Store) {
    let server = Server::start_with(store, json!({"auth": {"access_lifetime": "5s", "max_sessions_per_user": 2}}));
    let tokens = at_once(6, |_| server.client_token());
    assert!(tokens.iter().all(|token| server.service.check(token) == 200), "the limit of people is none of a client's");
    let sids: Vec<_> = tokens.iter().map(|token| claims(token)["sid"].clone()).collect();
    assert!(sids.iter().enumerate().all(|(at, sid)| !sids[..at].contains(sid)), "each has a session of its own");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !server.is_dead(&tokens[0]) {
        assert!(std::time::Instant::now() < until, "it lives no longer than it says");
    }
    let token = server.client_token();
    let file = server.service.doorward.folder().join("doorward.yaml");
    let mut command = program();
    command.args(["session", "revoke", "--user", "client:billing", "--yes", "-c"]).arg(file);
    let done = command.current_dir(server.service.doorward.folder()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    server.service.doorward.process.eventually("its token is refused", || server.service.check(&token) == 401);
}

// SEC-T16, SEC-T21
#[test]
fn who_does_not_prove_itself_gets_one_answer() {
    let server = Server::start(Store::Sqlite);
    let form = "grant_type=client_credentials";
    let send = |request| server.service.send(&request);
    let wrong = send(basic(post("/oauth2/token", form), "billing", &SECRET.replace('0', "1")));
    refused(&wrong, 401, "invalid_client");
    assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"oauth2\""));
    let body = |id: &str, secret: &str| post("/oauth2/token", &format!("{form}&client_id={id}&client_secret={secret}"));
    for request in [
        basic(post("/oauth2/token", form), "nobody", SECRET),
        basic(post("/oauth2/token", form), "billing", ""),
        basic(post("/oauth2/token", form), "billing", GATEWAY),
        basic(post("/oauth2/token", form), "batch", SECRET),
        basic(post("/oauth2/token", form), "web", SECRET),
        post("/oauth2/token", form).header("Authorization", "Basic !"),
        post("/oauth2/token", form).header("Authorization", "Digest x"),
        post("/oauth2/token", form),
        post("/oauth2/token", &format!("{form}&client_id=billing")),
        post("/oauth2/token", &format!("{form}&client_id=nobody")),
        post("/oauth2/token", &format!("{form}&client_id=web")),
        body("billing", GATEWAY),
        body("nobody", SECRET),
        // A hash is no secret.
        body("billing", "sha256%3Ax"),
    ] {
        let reply = send(request);
        refused(&reply, 401, "invalid_client");
        assert_eq!(reply.body, wrong.body);
        assert_eq!(reply.header("www-authenticate"), wrong.header("www-authenticate"));
    }
    let log = server.service.doorward.process.output();
    assert!(log.contains("authn_login_fail") && !log.contains(SECRET) && !log.contains(GATEWAY));
}

#[test]
fn a_client_gets_only_what_it_is_configured_for() {
    let server = Server::start(Store::Sqlite);
    for scope in ["admin", "orders%3Aread+admin", "orders%3Aread++orders%3Awrite"] {
        refused(&server.token(&format!("grant_type=client_credentials&scope={scope}")), 400, "invalid_scope");
    }
    let gateway = basic(post("/oauth2/token", "grant_type=client_credentials"), "gateway", GATEWAY);
    refused(&server.service.send(&gateway), 400, "unauthorized_client");
    let scope = claims(&access(&server.token("grant_type=client_credentials&scope=")))["scope"].clone();
    assert_eq!(scope, "orders:read orders:write", "a parameter without value is left out");
}

#[test]
fn a_changed_configuration_brings_and_takes_clients_without_a_restart() {
    let server = Server::start(Store::Sqlite);
    let token = server.client_token();
    let file = server.service.doorward.folder().join("doorward.yaml");
    let with = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, with.replace("\"id\":\"billing\"", "\"id\":\"shop\"")).unwrap();
    server.service.doorward.process.signal("HUP");
    let ask = |id| server.service.send(&basic(post("/oauth2/token", "grant_type=client_credentials"), id, SECRET));
    server.service.doorward.process.eventually("the new client is known", || ask("shop").status == 200);
    refused(&ask("billing"), 401, "invalid_client");
    assert_eq!(server.service.check(&token), 200, "what it got lives on for its minutes");
}
