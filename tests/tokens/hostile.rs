//! Hostile tokens, built by hand, against the verifier: groups T1 to T16 of the security bar.

use std::net::TcpListener;

use doorward::fault::{Fault, Kind};
use doorward::secret::{base64url, from_base64url};
use doorward::token::TokenError;
use doorward::token::keys::Algorithm;
use doorward::token::keys::signing::SigningKey;
use doorward::token::refresh::{Manner, RefreshToken, Salt};
use doorward::token::{Generation, SessionId, SubjectTag};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::workbench::*;

fn refused(token: &str) -> TokenError {
    let (verifier, _dir) = verifier(&[]);
    verifier.verify(token, NOW).expect_err("a hostile token")
}

fn is_malformed(token: &str) -> bool {
    matches!(refused(token), TokenError::Malformed(_))
}

#[test]
fn an_honest_token_of_each_algorithm_is_verified() {
    let (verifier, _dir) = verifier(&[]);
    for algorithm in Algorithm::ASYMMETRIC {
        let token = token(key(algorithm), json!({}), json!({}));
        let claims = verifier.verify(&token, NOW).expect("an honest token");
        assert_eq!((claims.subject.as_str(), &*claims.kid), ("alice", key(algorithm).kid()));
    }
    verifier.verify(&token(&shared_key(), json!({}), json!({})), NOW).expect("HS256");
}

// SEC-T1
#[test]
fn a_token_of_another_algorithm_than_its_keys_is_refused() {
    for signer in ALL {
        for named in ALL.into_iter().filter(|named| *named != signer) {
            // Signed well by one key, but naming another key or another algorithm.
            let token_for_other_key = token(key(signer), json!({"kid": key(named).kid()}), json!({}));
            assert_eq!(refused(&token_for_other_key), TokenError::Signature, "{signer} under a key of {named}");
            let with_other_alg = token(key(signer), json!({"alg": named.name()}), json!({}));
            assert!(!matches!(refused(&with_other_alg), TokenError::Claim(_)), "{signer} called {named}");
        }
    }
}

// SEC-T1: the classic confusion, CVE-2015-9235
#[test]
fn a_public_key_is_never_taken_for_a_shared_secret() {
    for algorithm in Algorithm::ASYMMETRIC {
        let public = jwk(key(algorithm)).to_string();
        for secret in [public.as_bytes(), &from_base64url(key(algorithm).kid()).expect("a thumbprint")] {
            let forger = SigningKey::from_secret_text(key(algorithm).kid(), base64url(secret).as_bytes());
            let token = token(&forger.expect("long enough"), json!({}), json!({}));
            assert_eq!(refused(&token), TokenError::Signature);
        }
    }
}

// SEC-T2
#[test]
fn no_algorithm_is_none() {
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "HS1", "eddsa", "ES256K", "RS1", "HS384", "RS512"] {
        let payload = claims(json!({})).to_string();
        let header = json!({"alg": alg, "kid": key(Algorithm::EdDSA).kid(), "typ": "at+jwt"}).to_string();
        let unsigned = format!("{}.{}.", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        assert!(is_malformed(&unsigned), "{alg:?}");
        assert!(is_malformed(&token(key(Algorithm::EdDSA), json!({"alg": alg}), json!({}))), "{alg:?}");
    }
    for alg in [Value::Null, json!(1), json!(["EdDSA"]), json!({"a": "EdDSA"}), json!(true)] {
        let header = if alg.is_null() { json!({"typ": "at+jwt"}) } else { json!({"alg": alg, "typ": "at+jwt"}) };
        assert!(is_malformed(&sign(key(Algorithm::EdDSA), &header, &claims(json!({})))), "{alg}");
    }
    let null = br#"{"alg":null,"typ":"at+jwt"}"#;
    assert!(is_malformed(&sign_bytes(key(Algorithm::EdDSA), null, b"{}")));
}

// SEC-T4: CVE-2018-0114
#[test]
fn a_key_in_the_token_is_neither_used_nor_fetched() {
    let door = TcpListener::bind("127.0.0.1:0").expect("a port");
    door.set_nonblocking(true).expect("non-blocking");
    let url = format!("http://{}/keys", door.local_addr().expect("an address"));
    let forger = fresh_key(Algorithm::EdDSA);
    for signer in [&forger, key(Algorithm::EdDSA)] {
        for change in [
            json!({"jwk": jwk(&forger)}),
            json!({"jku": url}),
            json!({"x5u": url}),
            json!({"x5c": ["MIIB"]}),
            json!({"jwk": false}),
        ] {
            assert!(is_malformed(&token(signer, change, json!({}))));
        }
    }
    assert!(door.accept().is_err(), "a connection was opened");
}

// SEC-T5
#[test]
fn a_key_id_is_a_short_string_and_only_a_map_key() {
    for kid in [json!(1), json!(["a"]), json!({}), json!("k".repeat(129)), json!(false)] {
        assert!(is_malformed(&token(key(Algorithm::EdDSA), json!({"kid": kid}), json!({}))));
    }
    for kid in ["../../etc/passwd", "' OR 1=1 --", "own.json", "", "k\u{0}", &"k".repeat(128)] {
        let token = token(key(Algorithm::EdDSA), json!({"kid": kid}), json!({}));
        assert_eq!(refused(&token), TokenError::UnknownKey, "{kid:?}");
    }
    assert_eq!(refused(&token(key(Algorithm::EdDSA), json!({"kid": null}), json!({}))), TokenError::UnknownKey);
}

// SEC-T6
#[test]
fn extensions_and_other_payload_forms_are_refused() {
    for change in [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
        json!({"cty": "JWT"}),
        json!({"cty": "application/jwt"}),
        json!({"cty": 1}),
        json!({"typ": 1}),
    ] {
        assert!(is_malformed(&token(key(Algorithm::EdDSA), change.clone(), json!({}))), "{change}");
    }
}

// SEC-T7
#[test]
fn only_three_canonical_segments_are_read() {
    let good = token(key(Algorithm::EdDSA), json!({}), json!({}));
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().expect("three segments");
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        header.into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{header}.{payload}.{signature}.a.b"),
        format!("{good}="),
        format!("{good}=="),
        format!("{header}=.{payload}.{signature}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{header}.{payload}.{}", signature.replacen('A', "+", 1) + "+"),
        format!("{header}\u{0}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}é"),
        ".".repeat(8000),
        "a".repeat(8193),
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
    ] {
        assert!(is_malformed(&bad), "{bad:.60}");
    }
}

// SEC-T7: the last character of a 64-byte signature has four bits that mean nothing
#[test]
fn another_spelling_of_the_same_signature_is_refused() {
    let good = token(key(Algorithm::EdDSA), json!({}), json!({}));
    let last = good.chars().next_back().expect("not empty");
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars().filter(|c| *c != last) {
        let token = format!("{}{other}", &good[..good.len() - 1]);
        let error = refused(&token);
        assert!(matches!(error, TokenError::Malformed(_) | TokenError::Signature), "{error}");
    }
}

// SEC-T7, D1
#[test]
fn eight_kibibytes_are_read_and_no_more() {
    let (verifier, _dir) = verifier(&[]);
    let padded = |length: usize| token(key(Algorithm::EdDSA), json!({}), json!({"pad": "x".repeat(length)}));
    let short = padded(5000);
    assert!(short.len() < 8192);
    verifier.verify(&short, NOW).expect("a long token");
    let long = padded(6000);
    assert!(long.len() > 8192);
    assert_eq!(refused(&long), TokenError::Malformed("longer than 8 KiB"));
}

// SEC-T8
#[test]
fn header_and_payload_are_strict_json_objects() {
    let key = key(Algorithm::EdDSA);
    let good_header = header(key, json!({})).to_string();
    let good_payload = claims(json!({})).to_string();
    let with = |start: &str, of: &str| format!("{{{start},{}", &of[1..]);
    for bad in [
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "1".to_owned(),
        "null".to_owned(),
        format!("{good_header} {{}}"),
        with(r#""alg":"none""#, &good_header),
        with(r#""\u0061lg":"none""#, &good_header),
        with(r#""x":1e400"#, &good_header),
        with(&format!(r#""x":{}{}"#, "[".repeat(32), "]".repeat(32)), &good_header),
    ] {
        assert!(is_malformed(&sign_bytes(key, bad.as_bytes(), good_payload.as_bytes())), "{bad}");
    }
    for bad in [
        "[]".to_owned(),
        String::from("{"),
        format!("{good_payload}x"),
        with(r#""sub":"mallory""#, &good_payload),
        with(r#""s\u0075b":"mallory""#, &good_payload),
        with(r#""o":{"a":1,"a":2}"#, &good_payload),
        with(r#""x":-1e400"#, &good_payload),
        with(&format!(r#""x":{}1{}"#, r#"{"a":"#.repeat(32), "}".repeat(32)), &good_payload),
    ] {
        assert!(is_malformed(&sign_bytes(key, good_header.as_bytes(), bad.as_bytes())), "{bad}");
    }
    let mut not_utf8 = good_payload.into_bytes();
    let end = not_utf8.len() - 1;
    not_utf8.splice(end..end, b",\"x\":\"\xff\"".iter().copied());
    assert!(is_malformed(&sign_bytes(key, good_header.as_bytes(), &not_utf8)));
}

/// What is done to a signature's bytes.
type Change = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;

/// The token with its signature's bytes changed.
fn with_signature(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = token.rsplit_once('.').expect("a token");
    let changed = change(from_base64url(signature).expect("base64url"));
    format!("{input}.{}", base64url(&changed))
}

// SEC-T9: CVE-2022-21449 and the DER form
#[test]
fn an_es256_signature_is_64_bytes_with_both_numbers_in_range() {
    let good = token(key(Algorithm::ES256), json!({}), json!({}));
    let order = from_base64url("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").expect("the order of P-256");
    let changes: Vec<Change> = vec![
        Box::new(|_| vec![0; 64]),
        Box::new(|s| [&s[..32], &[0; 32]].concat()),
        Box::new(|s| [&[0; 32], &s[32..]].concat()),
        Box::new({
            let n = order.clone();
            move |s| [&s[..32], &n[..]].concat()
        }),
        Box::new({
            let n = order.clone();
            move |s| [&n[..], &s[32..]].concat()
        }),
        Box::new({
            let n = order.clone();
            move |_| [&n[..], &n[..]].concat()
        }),
        Box::new(|s| s[..63].to_vec()),
        Box::new(|s| [&s[..], &[0]].concat()),
        Box::new(|s| [&[0], &s[..32], &[0], &s[32..]].concat()),
        Box::new(|s| [&[0; 32], &s[..]].concat()),
        Box::new(|s| [&[0x30, 0x44, 0x02, 0x20], &s[..32], &[0x02, 0x20], &s[32..]].concat()),
        Box::new(|_| vec![0xff; 64]),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(refused(&with_signature(&good, change)), TokenError::Signature, "change {number}");
    }
}

// SEC-T10
#[test]
fn an_eddsa_signature_has_a_reduced_s_and_a_proper_r() {
    let good = token(key(Algorithm::EdDSA), json!({}), json!({}));
    // L, the order of the base point, little-endian: S + L is another number of the same signature.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let unreduced = with_signature(&good, |mut signature| {
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        signature
    });
    assert_eq!(refused(&unreduced), TokenError::Signature);
    let mut identity = [0; 32];
    identity[0] = 1;
    for r in [[0; 32], identity, [0xff; 32]] {
        let token = with_signature(&good, |signature| [&r[..], &signature[32..]].concat());
        assert_eq!(refused(&token), TokenError::Signature);
    }
    for length in [0, 32, 63, 65, 128] {
        let token = with_signature(&good, |mut signature| {
            signature.resize(length, 0);
            signature
        });
        assert!(matches!(refused(&token), TokenError::Signature | TokenError::Malformed(_)));
    }
}

// SEC-T11
#[test]
fn rsa_signatures_are_of_the_keys_scheme_and_length() {
    for (algorithm, other) in [(Algorithm::RS256, Algorithm::PS256), (Algorithm::PS256, Algorithm::RS256)] {
        let rsa = key(algorithm);
        let good = token(rsa, json!({}), json!({}));
        // The same RSA key, but the other padding.
        let other_token = token(key(other), json!({"kid": rsa.kid(), "alg": algorithm.name()}), json!({}));
        assert_eq!(refused(&other_token), TokenError::Signature);
        let modulus = from_base64url(jwk(rsa)["n"].as_str().expect("a modulus")).expect("base64url");
        let changes: Vec<Change> = vec![
            Box::new(|s| s[1..].to_vec()),
            Box::new(|s| s[..255].to_vec()),
            Box::new(|s| [&[0], &s[..]].concat()),
            Box::new(|s| [&s[..], &[0]].concat()),
            Box::new(|_| vec![0; 256]),
            Box::new(|_| [&[0; 255][..], &[1]].concat()),
            Box::new(move |_| modulus.clone()),
            Box::new(|_| vec![0xff; 256]),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(refused(&with_signature(&good, change)), TokenError::Signature, "{algorithm}, change {number}");
        }
    }
}

// SEC-T15
#[test]
fn a_refresh_token_is_no_access_token() {
    let sid = SessionId::fresh(SubjectTag::of(ISSUER, "alice"));
    let refresh = RefreshToken {
        sid,
        generation: Generation(0),
        salt: Salt::fresh(),
        manner: Manner::Rotating,
        of_account: false,
    };
    let text = refresh.encode(&RefreshToken::key(&doorward::secret::Secret::new(vec![7; 32])));
    assert!(is_malformed(&text));
}

// SEC-T16
#[test]
fn the_client_can_not_tell_which_check_failed() {
    let good = token(key(Algorithm::EdDSA), json!({}), json!({}));
    for bad in [
        "x".to_owned(),
        token(key(Algorithm::EdDSA), json!({"kid": "unknown"}), json!({})),
        with_signature(&good, |_| vec![1; 64]),
        token(key(Algorithm::EdDSA), json!({}), json!({"aud": "else"})),
        token(key(Algorithm::EdDSA), json!({}), json!({"exp": NOW.0 - 1})),
        token(key(Algorithm::EdDSA), json!({}), json!({"nbf": NOW.0 + 100})),
    ] {
        let error = refused(&bad);
        assert_eq!((error.kind(), error.code()), (Kind::Unauthenticated, "invalid_token"), "{error}");
    }
}

// SEC-T16
#[test]
fn no_claim_is_read_before_the_signature_holds() {
    // Were the payload parsed first, this would be `Malformed`.
    let forger = fresh_key(Algorithm::EdDSA);
    let header = header(key(Algorithm::EdDSA), json!({})).to_string();
    assert_eq!(refused(&sign_bytes(&forger, header.as_bytes(), b"not json")), TokenError::Signature);
}

// SEC-K3
#[test]
fn a_removed_key_never_verifies_again() {
    let (verifier, _dir) = verifier(&[]);
    let token = token(key(Algorithm::EdDSA), json!({}), json!({}));
    verifier.verify(&token, NOW).expect("still good");
    verifier.remove_key(key(Algorithm::EdDSA).kid());
    assert!(verifier.verify(&token, NOW).is_err());
    assert!(verifier.verify_even_if_expired(&token, NOW).is_err());
    let other = crate::workbench::token(key(Algorithm::ES256), json!({}), json!({}));
    verifier.verify(&other, NOW).expect("other keys live on");
}

proptest! {
    // One changed character anywhere makes another token, and no other token is ours.
    #[test]
    fn no_changed_character_is_accepted(at in 0_usize..400, with in "[A-Za-z0-9_.-]") {
        let good = token(key(Algorithm::EdDSA), json!({}), json!({"sid": SessionId::from_bytes([1; 24]).to_string()}));
        let at = at % good.len();
        let changed = format!("{}{with}{}", &good[..at], &good[at + 1..]);
        let (verifier, _dir) = verifier(&[]);
        prop_assert!(changed == good || verifier.verify(&changed, NOW).is_err());
    }
}
