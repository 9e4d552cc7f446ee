//! Revoking tokens (RFC 7009).

use serde_json::json;

use crate::harness::foreign::ForeignIssuer;
use crate::on_every_store;
use crate::server::{GATEWAY, SECRET, Server, basic, post, refused};
use crate::service::{Store, Tokens};

on_every_store!(a_refresh_token_takes_its_session_along_and_an_access_token_goes_alone);

fn a_refresh_token_takes_its_session_along_and_an_access_token_goes_alone(store: Store) {
    let server = Server::start(store);
    server.service.register("alice@example.com");
    let pair = server.service.login("alice@example.com");
    let other = server.service.login("alice@example.com");
    let gone = server.revoke(&pair.access);
    assert_eq!((gone.status, gone.header("cache-control")), (200, Some("no-store")), "{gone:?}");
    assert_eq!((server.service.check(&pair.access), server.service.check(&other.access)), (401, 200));
    let pair = Tokens::of(&server.service.refresh(&pair.refresh));
    assert_eq!(server.service.check(&pair.access), 200);
    assert_eq!(server.revoke(&pair.refresh).status, 200);
    assert_eq!((server.service.check(&pair.access), server.service.check(&other.access)), (401, 200));
    refused(&server.refresh(&pair.refresh), 400, "invalid_grant");
    for known_to_nobody in [pair.refresh.as_str(), &pair.access, "x", "a.b.c", "dwr_x"] {
        assert_eq!(server.revoke(known_to_nobody).status, 200, "{known_to_nobody}");
    }
    // A client's own.
    let token = server.client_token();
    let ask = || post("/oauth2/revoke", &format!("token={token}&token_type_hint=access_token"));
    refused(&server.service.send(&ask()), 401, "invalid_client");
    refused(&server.service.send(&basic(ask(), "gateway", GATEWAY)), 400, "unauthorized_client");
    refused(&server.service.send(&basic(ask(), "billing", GATEWAY)), 401, "invalid_client");
    assert_eq!(server.service.check(&token), 200);
    assert_eq!(server.service.send(&basic(ask(), "billing", SECRET)).status, 200);
    assert_eq!(server.service.check(&token), 401);
}

// SEC-T24
#[test]
fn another_issuers_token_is_denied_by_its_jti_or_said_not_to_be() {
    let foreign = ForeignIssuer::new();
    let server = Server::start_with(Store::Sqlite, json!({"issuers": [foreign.settings()]}));
    let [token, other] = [(); 2].map(|()| foreign.token("bob", &[]));
    assert_eq!([&token, &other].map(|token| server.service.check(token)), [200, 200]);
    assert_eq!(server.revoke(&token).status, 200);
    assert_eq!([&token, &other].map(|token| server.service.check(token)), [401, 200]);
    assert!(server.is_dead(&token) && !server.is_dead(&other));
    let nameless = foreign.token_with(json!({"sub": "bob", "jti": null}));
    refused(&server.revoke(&nameless), 400, "unsupported_token_type");
}

// SEC-T24, SEC-F1
#[test]
fn what_could_not_be_written_or_asked_is_503() {
    let mut server = Server::start(Store::SqliteAndRedis);
    server.service.register("bob@example.com");
    let (pair, other) = (server.service.login("bob@example.com"), server.service.login("bob@example.com"));
    server.service.redis.as_mut().unwrap().kill();
    for shown in [&pair.refresh, &other.access] {
        let reply = server.revoke(shown);
        refused(&reply, 503, "temporarily_unavailable");
        assert!(reply.header("retry-after").is_some());
    }
    refused(&server.refresh(&pair.refresh), 503, "temporarily_unavailable");
    refused(&server.token("grant_type=client_credentials"), 503, "temporarily_unavailable");
    // Nobody knows whether it was shown before.
    refused(&server.with_assertion(&server.assertion(json!({}))), 503, "temporarily_unavailable");
    let ask = basic(post("/oauth2/introspect", &format!("token={}", pair.refresh)), "gateway", GATEWAY);
    refused(&server.service.send(&ask), 503, "temporarily_unavailable");
    server.service.redis.as_mut().unwrap().restart();
    let works = || server.token("grant_type=client_credentials").status == 200;
    server.service.doorward.process.eventually("it works again", works);
}
