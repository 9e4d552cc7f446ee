//! Assertions that a client signs about itself (RFC 7523).

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::doorward::Doorward;
use crate::harness::foreign::ForeignIssuer;
use crate::on_every_store;
use crate::server::{Server, access, asserted, post, refused};
use crate::service::{Store, at_once};

on_every_store!(an_assertion_counts_once);

fn an_assertion_counts_once(store: Store) {
    let server = Server::start(store);
    let assertion = server.assertion(json!({"aud": [server.issuer(), "other"]}));
    let mut statuses = at_once(8, |_| server.with_assertion(&assertion).status);
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[7]), (200, 401, 401), "{statuses:?}");
    // The same words, signed again.
    let with_id = |id: &str| server.with_assertion(&server.assertion(json!({"jti": id}))).status;
    assert_eq!((with_id("one"), with_id("one"), with_id("two")), (200, 401, 200));
}

#[test]
fn an_assertion_says_who_whom_and_until_when() {
    let server = Server::start(Store::Sqlite);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let wrong: [Value; 17] = [
        json!({"iss": "billing"}),
        json!({"sub": "billing"}),
        json!({"iss": "billing", "sub": "billing"}),
        json!({"iss": "nobody", "sub": "nobody"}),
        json!({"iss": null}),
        json!({"sub": 1}),
        json!({"aud": "https://other.example/oauth2/token"}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"exp": now}),
        json!({"exp": now + 3700}),
        json!({"exp": null}),
        json!({"exp": "later"}),
        json!({"nbf": now + 60}),
        json!({"iat": now + 60}),
        json!({"jti": ""}),
        json!({"jti": null}),
    ];
    for claims in wrong {
        let reply = server.with_assertion(&server.assertion(claims.clone()));
        refused(&reply, 401, "invalid_client");
        assert_eq!(reply.json()["error_description"], "The client is unknown, or did not prove itself.", "{claims}");
    }
    access(&server.with_assertion(&server.assertion(json!({"aud": server.token_endpoint(), "exp": now + 3600}))));
}

#[test]
fn an_assertion_is_signed_by_the_client_that_sends_it() {
    let server = Server::start(Store::Sqlite);
    let claims = json!({"iss": "batch", "sub": "batch", "aud": server.token_endpoint()});
    refused(&server.with_assertion(&ForeignIssuer::new().token_with(claims)), 401, "invalid_client");
    let good = server.assertion(json!({}));
    let mut cut = good.clone();
    cut.truncate(good.len() - 4);
    for assertion in [cut.as_str(), "a.b.c", "x", &format!("{}.e30.", "eyJhbGciOiJub25lIn0")] {
        refused(&server.with_assertion(assertion), 401, "invalid_client");
    }
    let send = |more: &str| {
        let form = format!("grant_type=client_credentials{}{more}", asserted(&server.assertion(json!({}))));
        server.service.send(&post("/oauth2/token", &form))
    };
    refused(&send("&client_id=billing"), 401, "invalid_client");
    refused(&send("&client_secret=x&client_id=batch"), 400, "invalid_request");
    access(&send("&client_id=batch"));
    // Our own access token is no assertion, and an assertion is no access token.
    refused(&server.with_assertion(&server.client_token()), 401, "invalid_client");
    assert_eq!(server.service.check(&good), 401);
}

#[test]
fn an_assertion_that_one_node_took_no_other_takes() {
    let server = Server::start(Store::SqliteAndRedis);
    let file = server.service.doorward.folder().join("doorward.yaml");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("listen");
    let other = Doorward::start(config);
    let at_other = |assertion: &str| {
        post("/oauth2/token", &format!("grant_type=client_credentials{}", asserted(assertion))).send(other.public)
    };
    let assertion = server.assertion(json!({"aud": server.issuer()}));
    let token = access(&at_other(&assertion));
    assert_eq!(server.service.check(&token), 200);
    refused(&server.with_assertion(&assertion), 401, "invalid_client");
    refused(&at_other(&assertion), 401, "invalid_client");
}
