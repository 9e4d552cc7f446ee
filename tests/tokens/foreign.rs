//! Tokens of other issuers: whose they are, and what their claims mean here.

use std::collections::BTreeMap;

use doorward::token::jwt::{SetupError, Verifier};
use doorward::token::keys::Algorithm;
use doorward::token::keys::signing::SigningKey;
use doorward::token::remote::{ClaimMapping, IssuerSettings};
use doorward::token::{Claims, Epoch, TokenError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::workbench::*;

/// Signs as the foreign issuer does.
fn foreign_token(key: &SigningKey, claim_change: Value) -> String {
    sign(key, &header(key, json!({"typ": "JWT"})), &foreign_claims(claim_change))
}

/// Verifies a token with these claims under an issuer with these settings.
fn verify(change: impl FnOnce(&mut IssuerSettings), claim_change: Value) -> Result<Claims, TokenError> {
    let key = fresh_key(Algorithm::ES256);
    let dir = TempDir::new().expect("a folder");
    let mut issuer = foreign_issuer(&dir, &jwks([&key]));
    change(&mut issuer);
    let (verifier, _own) = verifier(&[issuer]);
    verifier.verify(&foreign_token(&key, claim_change), NOW)
}

fn with_claims(claims: ClaimMapping, claim_change: Value) -> Result<Claims, TokenError> {
    verify(|issuer| issuer.claims = claims, claim_change)
}

#[test]
fn a_foreign_token_is_verified_and_is_not_own() {
    let claims = verify(|_| (), json!({"jti": "f1", "sid": "whatever", "roles": ["a"], "scope": "x y"})).expect("good");
    assert_eq!((&*claims.issuer, claims.own, claims.sid, claims.epoch), (FOREIGN, false, None, Epoch::default()));
    assert_eq!(claims.subject, "bob");
    assert_eq!(claims.jti.expect("a jti").as_str(), "f1");
    assert_eq!((claims.roles, claims.scope), (vec!["a".to_owned()], vec!["x".to_owned(), "y".to_owned()]));
}

// SEC-T13
#[test]
fn a_foreign_token_needs_iss_sub_exp_and_aud_and_no_more() {
    assert!(verify(|_| (), json!({})).is_ok());
    for name in ["iss", "sub", "exp", "aud"] {
        let mut change = json!({});
        change[name] = Value::Null;
        assert!(verify(|_| (), change).is_err(), "without {name}");
    }
    assert!(verify(|issuer| issuer.audience.clear(), json!({"aud": null})).is_ok(), "aud is not asked");
    assert!(verify(|issuer| issuer.audience.clear(), json!({"aud": 1})).is_err(), "but must be well-formed");
    for change in [json!({"jti": 1}), json!({"iat": "1"}), json!({"roles": 1}), json!({"scope": {}}), json!({"sub": 7})]
    {
        assert!(matches!(verify(|_| (), change.clone()), Err(TokenError::Claim(_))), "{change}");
    }
}

// SEC-T12
#[test]
fn its_type_is_the_configured_one() {
    let key = fresh_key(Algorithm::ES256);
    let dir = TempDir::new().expect("a folder");
    let of_type = |configured: &str, typ: Value| {
        let mut issuer = foreign_issuer(&dir, &jwks([&key]));
        issuer.typ = configured.to_owned();
        let (verifier, _own) = verifier(&[issuer]);
        verifier.verify(&sign(&key, &header(&key, json!({"typ": typ})), &foreign_claims(json!({}))), NOW).is_ok()
    };
    for (configured, typ, fits) in [
        ("", Value::Null, true),
        ("", json!("jwt"), true),
        ("", json!("at+jwt"), true),
        ("", json!("logout+jwt"), false),
        ("at+jwt", json!("application/AT+JWT"), true),
        ("at+jwt", json!("JWT"), false),
        ("at+jwt", Value::Null, false),
        ("x+jwt", json!("X+jwt"), true),
    ] {
        assert_eq!(of_type(configured, typ.clone()), fits, "{configured:?} and {typ}");
    }
}

#[test]
fn claims_are_found_by_path_and_roles_get_our_names() {
    let mapping = ClaimMapping {
        subject: "user.id".into(),
        roles: "realm_access.roles".into(),
        scope: "permissions".into(),
        role_names: BTreeMap::from([("admins".into(), "admin".into())]),
    };
    let given = json!({
        "user": {"id": "b-1"}, "realm_access": {"roles": ["admins", "dev"]}, "permissions": ["a", "b"], "roles": ["root"],
    });
    let claims = with_claims(mapping.clone(), given).expect("good");
    assert_eq!(claims.subject, "b-1");
    assert_eq!(claims.roles, ["admin"]);
    assert_eq!(claims.scope, ["a", "b"]);

    let claims = with_claims(mapping.clone(), json!({"user": {"id": "b"}})).expect("no roles is no error");
    assert!(claims.roles.is_empty());
    for wrong in [
        json!({"user": {"id": "b"}, "realm_access": "admins"}),
        json!({"user": {"id": "b"}, "realm_access": {"roles": [["admins"]]}}),
        json!({"user": "b"}),
        json!({"user": {"id": 5}}),
        json!({}),
    ] {
        assert!(with_claims(mapping.clone(), wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn where_roles_get_our_names_a_role_without_one_counts_for_nothing() {
    let names = |pairs: &[(&str, &str)]| ClaimMapping {
        role_names: pairs.iter().map(|(theirs, ours)| ((*theirs).into(), (*ours).into())).collect(),
        ..ClaimMapping::default()
    };
    let roles = |mapping| with_claims(mapping, json!({"roles": ["admin", "staff", "dev"]})).expect("good").roles;
    assert_eq!(roles(names(&[("staff", "user")])), ["user"], "their `admin` is not ours");
    assert_eq!(roles(names(&[("staff", "user"), ("dev", "dev")])), ["user", "dev"]);
    assert_eq!(roles(names(&[])), ["admin", "staff", "dev"]);
}

#[test]
fn a_claim_named_by_a_url_is_found_whole() {
    let roles = "https://example.com/roles".to_owned();
    let mapping = ClaimMapping { roles: roles.clone(), ..ClaimMapping::default() };
    let claims = with_claims(mapping, json!({roles: "dev ops"})).expect("good");
    assert_eq!(claims.roles, ["dev", "ops"]);
}

// SEC-T12: a key proves only what its issuer may say
#[test]
fn a_foreign_key_can_not_speak_for_us_or_another_issuer() {
    let key = fresh_key(Algorithm::EdDSA);
    let dir = TempDir::new().expect("a folder");
    let (verifier, _own) = verifier(&[foreign_issuer(&dir, &jwks([&key]))]);
    let forged = sign(&key, &header(&key, json!({})), &claims(json!({})));
    assert_eq!(verifier.verify(&forged, NOW).err(), Some(TokenError::Claim("iss")));
    let other = foreign_token(&key, json!({"iss": "https://third.example"}));
    assert_eq!(verifier.verify(&other, NOW).err(), Some(TokenError::Claim("iss")));
    assert!(verifier.verify_even_if_expired(&foreign_token(&key, json!({})), NOW).is_err(), "own tokens only");
}

#[test]
fn issuers_that_share_their_keys_are_told_apart_by_iss() {
    let key = fresh_key(Algorithm::ES256);
    let dir = TempDir::new().expect("a folder");
    let tenants: Vec<IssuerSettings> = (0..20)
        .map(|number| IssuerSettings { issuer: format!("https://id/{number}"), ..foreign_issuer(&dir, &jwks([&key])) })
        .collect();
    let (verifier, _own) = verifier(&tenants);
    for number in [0, 7, 19] {
        let token = foreign_token(&key, json!({"iss": format!("https://id/{number}")}));
        assert_eq!(&*verifier.verify(&token, NOW).expect("its tenant").issuer, format!("https://id/{number}"));
    }
}

#[test]
fn a_colliding_key_id_harms_nobody() {
    // A foreign issuer publishes a key of its own under the kid of ours.
    let own = key(Algorithm::EdDSA);
    let theirs = fresh_key(Algorithm::EdDSA);
    let mut entry = jwk(&theirs);
    entry["kid"] = own.kid().into();
    let dir = TempDir::new().expect("a folder");
    let (verifier, _own) = verifier(&[foreign_issuer(&dir, &json!({"keys": [entry]}))]);
    assert!(verifier.verify(&token(own, json!({}), json!({})), NOW).is_ok());
    let foreign = sign(&theirs, &header(own, json!({"typ": "JWT"})), &foreign_claims(json!({})));
    assert_eq!(&*verifier.verify(&foreign, NOW).expect("theirs").issuer, FOREIGN);
    let forged = sign(&theirs, &header(own, json!({})), &claims(json!({})));
    assert!(verifier.verify(&forged, NOW).is_err());
}

#[test]
fn a_foreign_token_without_key_id_is_tried_with_the_issuers_keys() {
    let keys: Vec<SigningKey> = (0..3).map(|_| fresh_key(Algorithm::ES256)).collect();
    let dir = TempDir::new().expect("a folder");
    let (verifier, _own) = verifier(&[foreign_issuer(&dir, &jwks(&keys))]);
    for key in &keys {
        let token = sign(key, &header(key, json!({"kid": null, "typ": null})), &foreign_claims(json!({})));
        assert!(verifier.verify(&token, NOW).is_ok());
    }
    let stranger = fresh_key(Algorithm::ES256);
    let token = sign(&stranger, &header(&stranger, json!({"kid": null})), &foreign_claims(json!({})));
    assert_eq!(verifier.verify(&token, NOW).err(), Some(TokenError::UnknownKey));
}

#[test]
fn a_key_published_without_kid_verifies_tokens_of_any_kid() {
    let key = fresh_key(Algorithm::ES256);
    let mut entry = jwk(&key);
    entry.as_object_mut().expect("an object").remove("kid");
    let dir = TempDir::new().expect("a folder");
    let (verifier, _own) = verifier(&[foreign_issuer(&dir, &json!({"keys": [entry]}))]);
    assert!(verifier.verify(&foreign_token(&key, json!({})), NOW).is_ok());
}

#[test]
fn settings_that_can_not_be_meant_are_refused() {
    let dir = TempDir::new().expect("a folder");
    let good = foreign_issuer(&dir, &json!({"keys": []}));
    let refused = |issuers: &[IssuerSettings]| {
        let (_, own) = verifier(&[]);
        let keys = doorward::token::jwt::OwnKeys::Remote {
            jwks: own.path().join("own.json").to_string_lossy().into_owned(),
            hs256_secret_file: String::new(),
        };
        Verifier::new(own_profile(), keys, issuers).expect_err("refused")
    };
    let own = IssuerSettings { issuer: ISSUER.into(), ..good.clone() };
    assert!(matches!(refused(&[own]), SetupError::OwnIssuer(_)));
    assert!(matches!(refused(&[good.clone(), good.clone()]), SetupError::Twice(_)));
    let nameless = IssuerSettings { issuer: String::new(), ..good.clone() };
    assert!(matches!(refused(&[nameless]), SetupError::Nameless));
    let shared = IssuerSettings { algorithms: vec![Algorithm::HS256], ..good.clone() };
    assert!(matches!(refused(&[shared]), SetupError::SharedSecret(_)));
    for (jwks_url, jwks_file, discovery) in [
        ("", "", ""),
        ("https://a/jwks", "keys.json", ""),
        ("http://keys.example/jwks", "", ""),
        ("ftp://keys.example/jwks", "", ""),
        ("keys.example", "", ""),
        ("", "", "http://id.example"),
    ] {
        let issuer = IssuerSettings {
            jwks_url: jwks_url.into(),
            jwks_file: jwks_file.into(),
            discovery: discovery.into(),
            ..good.clone()
        };
        assert!(matches!(refused(&[issuer]), SetupError::Place { .. }), "{jwks_url} {jwks_file} {discovery}");
    }
}
