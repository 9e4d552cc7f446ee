//! Hostile JWK Sets (SEC-K7): one bad key is left out by itself; a set that tells of deeper trouble is refused whole.

use doorward::clock::Timestamp;
use doorward::secret::{base64url, from_base64url};
use doorward::token::keys::Algorithm;
use doorward::token::keys::jwk::{SetError, read_set};
use doorward::token::keys::set::KeySet;
use serde_json::{Value, json};

use crate::workbench::*;

fn read(keys: &[Value]) -> Result<KeySet, SetError> {
    read_set(json!({"keys": keys}).to_string().as_bytes(), &[])
}

/// The public JWK of this algorithm's key with some members changed; a null takes one out.
fn changed(algorithm: Algorithm, changes: Value) -> Value {
    let mut entry = jwk(key(algorithm));
    merge(&mut entry, changes);
    entry
}

#[test]
fn good_keys_of_each_kind_are_taken() {
    let keys: Vec<Value> = Algorithm::ASYMMETRIC.into_iter().map(|algorithm| changed(algorithm, json!({}))).collect();
    assert_eq!(read(&keys).expect("a good set").len(), 4);
    for change in [
        json!({"use": null}),
        json!({"key_ops": ["verify"]}),
        json!({"alg": null}),
        json!({"x5c": ["MIIB"], "x5t": "abc"}),
    ] {
        assert_eq!(read(&[changed(Algorithm::ES256, change)]).expect("a good set").len(), 1);
    }
}

// SEC-K7
#[test]
fn an_unusable_key_is_left_out_by_itself() {
    let short_modulus = base64url(&[0xff; 128]);
    let long_modulus = base64url(&[0xff; 1025]);
    for (algorithm, change) in [
        (Algorithm::ES256, json!({"use": "enc"})),
        (Algorithm::ES256, json!({"use": 1})),
        (Algorithm::ES256, json!({"key_ops": ["encrypt"]})),
        (Algorithm::ES256, json!({"key_ops": "verify"})),
        (Algorithm::ES256, json!({"crv": "P-384"})),
        (Algorithm::ES256, json!({"crv": "secp256k1"})),
        (Algorithm::ES256, json!({"kty": "RSA"})),
        (Algorithm::ES256, json!({"kty": "XYZ"})),
        (Algorithm::ES256, json!({"alg": "ES384"})),
        (Algorithm::ES256, json!({"alg": "HS256"})),
        (Algorithm::ES256, json!({"alg": "RS256"})),
        (Algorithm::ES256, json!({"alg": "ECDH-ES"})),
        (Algorithm::ES256, json!({"x": base64url(&[1; 32])})),
        (Algorithm::ES256, json!({"x": base64url(&[0; 32]), "y": base64url(&[0; 32])})),
        (Algorithm::ES256, json!({"x": base64url(&[1; 31])})),
        (Algorithm::ES256, json!({"y": null})),
        (Algorithm::ES256, json!({"kid": 1})),
        (Algorithm::ES256, json!({"kid": "k".repeat(129)})),
        (Algorithm::EdDSA, json!({"crv": "X25519"})),
        (Algorithm::EdDSA, json!({"crv": "Ed448"})),
        (Algorithm::EdDSA, json!({"x": base64url(&[0; 32])})),
        (Algorithm::EdDSA, json!({"x": base64url(&[0xff; 32])})),
        (Algorithm::EdDSA, json!({"x": "AA=="})),
        (Algorithm::EdDSA, json!({"alg": "ES256"})),
        (Algorithm::RS256, json!({"e": "Aw"})),
        (Algorithm::RS256, json!({"e": "AQ"})),
        (Algorithm::RS256, json!({"e": "AQAA"})),
        (Algorithm::RS256, json!({"e": base64url(&[1, 0, 0, 0, 0, 1])})),
        (Algorithm::RS256, json!({"n": short_modulus})),
        (Algorithm::RS256, json!({"n": long_modulus})),
        (Algorithm::RS256, json!({"n": ""})),
        (Algorithm::RS256, json!({"alg": "RS512"})),
        (Algorithm::RS256, json!({"alg": "RSA-OAEP"})),
        (Algorithm::RS256, json!({"alg": "EdDSA"})),
    ] {
        let good = changed(Algorithm::PS256, json!({}));
        let set = read(&[changed(algorithm, change.clone()), good]).expect("the set itself is fine");
        assert_eq!(set.len(), 1, "{algorithm} with {change}");
        assert!(set.knows(key(Algorithm::PS256).kid()));
    }
}

// SEC-T10, K7
#[test]
fn points_of_small_order_are_left_out() {
    let identity = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(from_base64url(identity).map(|bytes| bytes.len()), Some(32));
    assert!(read(&[changed(Algorithm::EdDSA, json!({"x": identity}))]).expect("a set").is_empty());
}

// SEC-K7
#[test]
fn a_private_or_shared_key_refuses_the_whole_set() {
    let good = changed(Algorithm::ES256, json!({}));
    for bad in [
        json!({"kty": "oct", "k": base64url(&[7; 32]), "alg": "HS256", "kid": "s"}),
        json!({"kty": "oct"}),
        changed(Algorithm::EdDSA, json!({"d": base64url(&[7; 32])})),
        changed(Algorithm::EdDSA, json!({"d": base64url(&[7; 32]), "use": "enc"})),
        changed(Algorithm::RS256, json!({"p": "AQ"})),
        changed(Algorithm::RS256, json!({"k": "AQ"})),
    ] {
        assert_eq!(read(&[good.clone(), bad.clone()]).err(), Some(SetError::Private), "{bad}");
    }
}

// SEC-K7
#[test]
fn a_doubled_kid_among_usable_keys_refuses_the_whole_set() {
    let twice = [changed(Algorithm::ES256, json!({"kid": "k"})), changed(Algorithm::EdDSA, json!({"kid": "k"}))];
    assert!(matches!(read(&twice).err(), Some(SetError::DoubledKid(_))));
    // Providers do publish a key for encryption under the same kid.
    let once =
        [changed(Algorithm::ES256, json!({"kid": "k"})), changed(Algorithm::RS256, json!({"kid": "k", "use": "enc"}))];
    assert_eq!(read(&once).expect("one usable").len(), 1);
}

// SEC-O8, T8
#[test]
fn only_a_strict_set_of_at_most_a_hundred_keys_is_read() {
    for bytes in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[]}x"#] {
        assert_eq!(read_set(bytes.as_bytes(), &[]).err(), Some(SetError::NotASet), "{bytes}");
    }
    let junk = vec![json!({"kty": "XYZ"}); 100];
    assert_eq!(read(&junk).expect("a hundred").len(), 0);
    let more = vec![json!({"kty": "XYZ"}); 101];
    assert_eq!(read(&more).err(), Some(SetError::TooMany));
}

// SEC-T1
#[test]
fn only_configured_algorithms_are_taken_and_an_rsa_key_gets_exactly_one() {
    let set = json!({"keys": [
        changed(Algorithm::EdDSA, json!({})), changed(Algorithm::ES256, json!({})), changed(Algorithm::RS256, json!({"alg": null})),
    ]})
    .to_string();
    let algorithm_of_rsa = |allowed: &[Algorithm]| {
        let set = read_set(set.as_bytes(), allowed).expect("a set");
        set.candidates(Some(key(Algorithm::RS256).kid()), Timestamp(0)).next().map(|found| found.key.algorithm())
    };
    assert_eq!(algorithm_of_rsa(&[]), Some(Algorithm::RS256));
    assert_eq!(algorithm_of_rsa(&[Algorithm::PS256]), Some(Algorithm::PS256));
    assert_eq!(algorithm_of_rsa(&[Algorithm::RS256, Algorithm::PS256]), Some(Algorithm::RS256));
    assert_eq!(algorithm_of_rsa(&[Algorithm::ES256]), None);
    assert_eq!(read_set(set.as_bytes(), &[Algorithm::ES256]).expect("a set").len(), 1);
}
