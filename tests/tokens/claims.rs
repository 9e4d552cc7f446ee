//! What an own token must say: T12 to T14, and what our signer writes.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::{Clock, FixedClock, Timestamp};
use doorward::token::jwt::{AccessToken, OwnKeys, OwnProfile, Signer, Verifier};
use doorward::token::keys::{Algorithm, KeyRing};
use doorward::token::{Claims, Epoch, Holder, HolderKind, SessionId, SubjectTag, TokenError, TokenId};
use serde_json::{Value, json};

use crate::workbench::*;

fn verify(claim_change: Value) -> Result<Claims, TokenError> {
    let (verifier, _dir) = verifier(&[]);
    verifier.verify(&token(key(Algorithm::EdDSA), json!({}), claim_change), NOW)
}

// SEC-T12
#[test]
fn the_issuer_is_compared_byte_for_byte() {
    for iss in [
        "https://id.example/",
        "https://ID.example",
        "HTTPS://id.example",
        "",
        " https://id.example",
        "https://id.exampl",
    ] {
        assert_eq!(verify(json!({"iss": iss})).err(), Some(TokenError::Claim("iss")), "{iss:?}");
    }
}

// SEC-T12
#[test]
fn the_audience_holds_a_configured_value() {
    for aud in [json!("shop"), json!("desk"), json!(["other", "desk"])] {
        assert!(verify(json!({"aud": aud})).is_ok(), "{aud}");
    }
    for aud in
        [json!("shopping"), json!(""), json!([]), json!(["other"]), json!(["shop", 1]), json!(1), json!({"shop": 1})]
    {
        assert_eq!(verify(json!({"aud": aud})).err(), Some(TokenError::Claim("aud")), "{aud}");
    }
}

// SEC-T12, T15: an ID token of the same issuer and audience is no access token
#[test]
fn the_type_is_that_of_access_tokens() {
    let (verifier, _dir) = verifier(&[]);
    let of_type = |typ: Value| verifier.verify(&token(key(Algorithm::EdDSA), json!({"typ": typ}), json!({})), NOW);
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(of_type(json!(typ)).is_ok(), "{typ}");
    }
    for typ in [
        json!("JWT"),
        json!(""),
        json!("at+jwt "),
        json!("logout+jwt"),
        json!("application/application/at+jwt"),
        Value::Null,
    ] {
        assert_eq!(of_type(typ.clone()).err(), Some(TokenError::Claim("typ")), "{typ}");
    }
}

// SEC-T13: CVE-2026-25537
#[test]
fn required_claims_are_there_and_of_their_type() {
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "sid"] {
        let mut change = json!({});
        change[name] = Value::Null;
        assert!(verify(change).is_err(), "without {name}");
    }
    let wrong = [
        ("iss", json!(["https://id.example"])),
        ("sub", json!(1)),
        ("sub", json!("")),
        ("exp", json!("1900000000")),
        ("exp", json!({})),
        ("iat", json!("1")),
        ("nbf", json!("1")),
        ("nbf", json!(false)),
        ("jti", json!(1)),
        ("jti", json!("")),
        ("jti", json!("j".repeat(257))),
        ("jti", json!("a\u{0}b")),
        ("sid", json!(1)),
        ("sid", json!("abc")),
        ("roles", json!("admin")),
        ("roles", json!([1])),
        ("roles", json!({"admin": true})),
        ("scope", json!(["read"])),
        ("amr", json!("pwd")),
        ("amr", json!([null])),
        ("auth_time", json!("1")),
        ("epoch", json!("3")),
        ("epoch", json!(-1)),
        ("epoch", json!(1.5)),
        ("mark", json!("3")),
        ("mark", json!(-1)),
    ];
    for (name, value) in wrong {
        let mut change = json!({});
        change[name] = value.clone();
        assert!(matches!(verify(change), Err(TokenError::Claim(_))), "{name}: {value}");
    }
    // An explicit null is a wrong type too; `merge` would take the claim out, so it is written by hand.
    let mut with_null = claims(json!({}));
    with_null["nbf"] = Value::Null;
    let (verifier, _dir) = verifier(&[]);
    let token = sign(key(Algorithm::EdDSA), &header(key(Algorithm::EdDSA), json!({})), &with_null);
    assert_eq!(verifier.verify(&token, NOW).err(), Some(TokenError::Claim("nbf")));
}

// SEC-T14
#[test]
fn times_are_numbers_in_range() {
    for time in
        [json!(-1), json!(-0.5), json!(9_007_199_254_740_992_u64), json!(1e300), json!(u64::MAX), json!(i64::MIN)]
    {
        for name in ["exp", "nbf", "iat"] {
            let mut change = json!({});
            change[name] = time.clone();
            assert_eq!(verify(change).err(), Some(TokenError::Claim(name)), "{name}: {time}");
        }
    }
    assert!(verify(json!({"exp": 9_007_199_254_740_991_u64})).is_ok());
}

// SEC-T14
#[test]
fn a_token_ends_at_exp_and_begins_at_nbf_give_or_take_five_seconds() {
    let clock = FixedClock::at(NOW);
    let (verifier, _dir) = verifier(&[]);
    let ending = token(key(Algorithm::EdDSA), json!({}), json!({"exp": NOW.0 + 60}));
    clock.advance(Duration::from_secs(59));
    assert!(verifier.verify(&ending, clock.now()).is_ok());
    clock.advance(Duration::from_secs(1));
    assert_eq!(verifier.verify(&ending, clock.now()).err(), Some(TokenError::Expired));

    for name in ["nbf", "iat"] {
        for (ahead, fits) in [(5, true), (6, false)] {
            let mut change = json!({});
            change[name] = json!(NOW.0 + ahead);
            let answer = verify(change);
            assert_eq!(answer.is_ok(), fits, "{name} {ahead} s ahead");
            assert!(fits || answer.err() == Some(TokenError::NotYetValid));
        }
    }
    assert_eq!(
        verify(json!({"exp": NOW.0 as f64 + 0.9})).err(),
        Some(TokenError::Expired),
        "parts of a second end it early"
    );
    assert_eq!(verify(json!({"nbf": NOW.0 as f64 + 5.1})).err(), Some(TokenError::NotYetValid));
}

#[test]
fn an_expired_token_is_good_for_logging_out_and_nothing_else() {
    let (verifier, _dir) = verifier(&[]);
    let expired = token(key(Algorithm::EdDSA), json!({}), json!({"exp": NOW.0 - 1000}));
    assert_eq!(verifier.verify(&expired, NOW).err(), Some(TokenError::Expired));
    assert!(verifier.verify_even_if_expired(&expired, NOW).is_ok());
    let other = token(key(Algorithm::EdDSA), json!({}), json!({"exp": NOW.0 - 1000, "aud": "else"}));
    assert_eq!(verifier.verify_even_if_expired(&other, NOW).err(), Some(TokenError::Claim("aud")));
}

/// Signs with a fresh ring of this algorithm and verifies in the same process.
fn round_trip(algorithm: Algorithm, holder: &Holder) -> Claims {
    let (settings, _parent) = key_dir(algorithm);
    let ring = Arc::new(KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring"));
    let signer = Signer::new(Arc::clone(&ring));
    let own = OwnProfile { issuer: ISSUER.into(), audience: vec!["desk".into()] };
    let verifier = Verifier::new(own, OwnKeys::Ring(ring), &[]).expect("a good setup");
    assert!(verifier.ready());
    let token = AccessToken {
        issuer: ISSUER,
        audience: &["shop".into(), "desk".into()],
        holder,
        sid: SessionId::fresh(SubjectTag::of(ISSUER, &holder.subject)),
        jti: &TokenId::fresh(),
        epoch: Epoch { mark: 5, subject: 7 },
        issued: NOW,
        expires: NOW.plus(Duration::from_secs(900)),
        auth_time: Some(Timestamp(NOW.0 - 60)),
        device_changed: &[],
    };
    let text = signer.sign(&token, NOW).expect("the key signs");
    let claims = verifier.verify(&text, NOW).expect("our own token");
    assert_eq!(claims.sid, Some(token.sid));
    assert_eq!(claims.jti.as_ref(), Some(token.jti));
    assert_eq!((claims.epoch, claims.auth_time, claims.own), (token.epoch, token.auth_time, true));
    assert_eq!((claims.issued, claims.expires), (Some(NOW), token.expires));
    claims
}

fn holder(kind: HolderKind, subject: &str) -> Holder {
    Holder { subject: subject.into(), kind, roles: vec![], scope: vec![], amr: vec![] }
}

#[test]
fn every_algorithm_signs_what_it_verifies() {
    for algorithm in ALL {
        let claims = round_trip(algorithm, &holder(HolderKind::Account, "alice"));
        assert_eq!(claims.subject, "alice");
    }
}

#[test]
fn an_access_token_has_the_shape_of_rfc_9068() {
    let holder = Holder {
        roles: vec!["admin".into(), "ops".into()],
        scope: vec!["read".into(), "write".into()],
        amr: vec!["pwd".into(), "otp".into()],
        ..holder(HolderKind::Account, "alice")
    };
    let claims = round_trip(Algorithm::EdDSA, &holder);
    assert_eq!((&claims.roles, &claims.scope, &claims.amr), (&holder.roles, &holder.scope, &holder.amr));
    assert_eq!(claims.payload["scope"], "read write");
    assert_eq!(claims.payload["nbf"], NOW.0);
    assert!(!claims.payload.contains_key("user_id"));
}

#[test]
fn an_empty_scope_and_amr_are_left_out_and_roles_are_not() {
    let claims = round_trip(Algorithm::EdDSA, &holder(HolderKind::Account, "alice"));
    assert_eq!(claims.payload["roles"], json!([]));
    assert!(!claims.payload.contains_key("scope") && !claims.payload.contains_key("amr"));
}

#[test]
fn a_clients_own_token_names_the_client_and_no_user() {
    let claims = round_trip(Algorithm::EdDSA, &holder(HolderKind::Client, "client:billing"));
    assert_eq!((claims.subject.as_str(), &claims.payload["client_id"]), ("client:billing", &json!("billing")));
    assert!(!claims.payload.contains_key("user_id"));
}

#[test]
fn a_plain_sessions_user_id_comes_back_as_it_was_given() {
    for (kind, subject, expected) in [
        (HolderKind::PlainNumber, "1", json!(1)),
        (HolderKind::PlainNumber, "18446744073709551615", json!(u64::MAX)),
        (HolderKind::PlainText, "1", json!("1")),
        (HolderKind::PlainText, "a b", json!("a b")),
    ] {
        let claims = round_trip(Algorithm::EdDSA, &holder(kind, subject));
        assert_eq!(claims.payload["user_id"], expected);
        assert_eq!(claims.subject, subject);
    }
}

// SEC-K8
#[test]
fn the_check_roles_shared_secret_fits_its_kid_or_under_another_file_name_every_kid() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let verifier = |name: &str| {
        let hs256_secret_file = write(&dir, name, SHARED_SECRET.as_bytes());
        let keys = OwnKeys::Remote { jwks: String::new(), hs256_secret_file };
        Verifier::new(own_profile(), keys, &[]).expect("a good setup")
    };
    let key = shared_key();
    let (good, other) = (token(&key, json!({}), json!({})), token(&key, json!({"kid": "other"}), json!({})));
    let named = verifier(&format!("{}.hs256", key.kid()));
    assert!(named.ready() && named.verify(&good, NOW).is_ok());
    assert_eq!(named.verify(&other, NOW).err(), Some(TokenError::UnknownKey));
    let unnamed = verifier("doorward_secret");
    assert!(unnamed.verify(&good, NOW).is_ok() && unnamed.verify(&other, NOW).is_ok());
    unnamed.remove_key("other");
    assert!(unnamed.verify(&other, NOW).is_err());
    assert!(unnamed.verify(&token(&key, json!({"kid": null}), json!({})), NOW).is_err(), "ours name their key");
}

#[test]
fn a_check_role_without_keys_is_told_what_is_missing() {
    let keys = OwnKeys::Remote { jwks: String::new(), hs256_secret_file: String::new() };
    let error = Verifier::new(own_profile(), keys, &[]).expect_err("no keys").to_string();
    assert!(error.contains("check.jwks"), "{error}");
    let keys = OwnKeys::Remote { jwks: "http://issuer.example/jwks".into(), hs256_secret_file: String::new() };
    let error = Verifier::new(own_profile(), keys, &[]).expect_err("plain http").to_string();
    assert!(error.contains("https"), "{error}");
}
