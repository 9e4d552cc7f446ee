//! The key directory: what is made on a first start, and what is refused, with which words.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use doorward::token::keys::{Algorithm, KeyError, KeyRing, KeyState, Settings};
use tempfile::TempDir;

use crate::workbench::*;

fn mode(file: impl AsRef<Path>) -> u32 {
    fs::metadata(file).expect("it is there").permissions().mode() & 0o777
}

/// A directory with a secret and these files.
fn directory(files: &[(&str, &[u8])], algorithm: Algorithm) -> (Settings, TempDir) {
    let dir = TempDir::new().expect("a folder");
    write(&dir, "server.secret", SHARED_SECRET.as_bytes());
    for (name, bytes) in files {
        write(&dir, name, bytes);
    }
    let path = dir.path().to_str().expect("a UTF-8 path").to_owned();
    (Settings { dir: path, algorithm, secret_file: String::new() }, dir)
}

/// A private key in PEM, as a person would drop it into the directory.
fn pem(algorithm: Algorithm) -> Vec<u8> {
    let (settings, _parent) = key_dir(algorithm);
    KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring");
    fs::read(&key_files(&settings)[0]).expect("the key's file")
}

#[test]
fn a_first_start_makes_a_key_and_a_secret_for_their_owner_alone() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    assert!(matches!(KeyRing::load(&settings, RULES), Err(KeyError::Unreadable { .. })));
    let ring = KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring");
    assert_eq!(mode(&settings.dir), 0o700);
    let files = key_files(&settings);
    assert_eq!(files.len(), 1);
    for file in files.iter().chain([&Path::new(&settings.dir).join("server.secret")]) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let [key] = ring.keys(NOW).try_into().expect("one key");
    assert_eq!((key.state, key.algorithm), (KeyState::Active, Algorithm::EdDSA));

    let again = KeyRing::load_or_create(&settings, RULES, NOW).expect("the same ring");
    assert_eq!(again.keys(NOW)[0].kid, key.kid);
    assert_eq!(again.secret().expose(), ring.secret().expose());
}

#[test]
fn processes_that_start_together_agree_on_one_key() {
    let (settings, _parent) = key_dir(Algorithm::ES256);
    let kids: Vec<String> = std::thread::scope(|scope| {
        let start = || KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring").keys(NOW)[0].kid.clone();
        let started: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
    assert_eq!(key_files(&settings).len(), 1);
}

// SEC-K2
#[test]
fn the_jwks_shows_public_members_only_and_no_shared_secret() {
    for algorithm in ALL {
        let (settings, _parent) = key_dir(algorithm);
        let ring = KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring");
        let jwks = ring.jwks(NOW);
        let keys = jwks["keys"].as_array().expect("keys");
        if algorithm == Algorithm::HS256 {
            assert!(keys.is_empty());
            continue;
        }
        let mut names: Vec<&str> = keys[0].as_object().expect("a key").keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected: &[&str] = match algorithm {
            Algorithm::EdDSA => &["alg", "crv", "kid", "kty", "use", "x"],
            Algorithm::ES256 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            _ => &["alg", "e", "kid", "kty", "n", "use"],
        };
        assert_eq!(names, expected);
        assert_eq!(keys[0]["kid"], ring.keys(NOW)[0].kid);
        assert_eq!(keys[0]["alg"], algorithm.name());
    }
}

// SEC-T3
#[test]
fn weak_and_strange_keys_are_refused_by_file_name_with_a_fix() {
    let (public_half, two) =
        (include_bytes!("weak/public.pem"), [pem(Algorithm::EdDSA), pem(Algorithm::EdDSA)].concat());
    let cases: [(&str, &[u8], &str); 11] = [
        ("rsa-1024.pem", include_bytes!("weak/rsa-1024.pem"), "2048"),
        ("rsa-e3.pem", include_bytes!("weak/rsa-exponent-3.pem"), "65537"),
        ("p384.pem", include_bytes!("weak/ec-p384.pem"), "P-256"),
        ("ed448.pem", include_bytes!("weak/ed448.pem"), "neither an Ed25519"),
        ("sec1.pem", include_bytes!("weak/ec-sec1.pem"), "openssl pkcs8 -topk8"),
        ("encrypted.pem", include_bytes!("weak/encrypted.pem"), "encrypted"),
        ("public.pem", public_half, "no private key"),
        ("two.pem", &two, "more than one key"),
        ("text.pem", b"hello", "no private key"),
        ("short.hs256", b"c2hvcnQ", "32 bytes"),
        ("odd.hs256", b"not base64url: !!!", "base64url"),
    ];
    for (name, bytes, word) in cases {
        let (settings, _dir) = directory(&[("good.pem", &pem(Algorithm::EdDSA)), (name, bytes)], Algorithm::EdDSA);
        let error = KeyRing::load(&settings, RULES).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains(word), "{error}");
        assert!(!error.contains("BEGIN") && !error.contains("c2hvcnQ"), "{error}");
    }
}

// SEC-T3
#[test]
fn a_weak_server_secret_is_refused() {
    let (settings, dir) = directory(&[("good.pem", &pem(Algorithm::EdDSA))], Algorithm::EdDSA);
    for bad in [b"c2hvcnQ" as &[u8], b"", b"????"] {
        write(&dir, "server.secret", bad);
        let error = KeyRing::load(&settings, RULES).expect_err("a weak secret").to_string();
        assert!(error.contains("server.secret") && error.contains("basenc"), "{error}");
    }
}

// SEC-T3
#[test]
fn one_kid_twice_is_refused_naming_both_files() {
    let key = pem(Algorithm::EdDSA);
    let (settings, _dir) = directory(&[("a.pem", &key), ("b.pem", &key)], Algorithm::EdDSA);
    let error = KeyRing::load(&settings, RULES).expect_err("doubled").to_string();
    assert!(error.contains("a.pem") && error.contains("b.pem"), "{error}");
}

// SEC-K6
#[test]
fn a_file_that_others_may_read_or_change_is_refused() {
    let (settings, dir) = directory(&[("key.pem", &pem(Algorithm::EdDSA))], Algorithm::EdDSA);
    for name in ["key.pem", "server.secret"] {
        let file = dir.path().join(name);
        for (mode, fits) in
            [(0o644, false), (0o604, false), (0o660, false), (0o602, false), (0o640, true), (0o400, true)]
        {
            fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode can be set");
            match KeyRing::load(&settings, RULES) {
                Ok(_) => assert!(fits, "{name} with mode {mode:o}"),
                Err(error) => {
                    assert!(!fits, "{name} with mode {mode:o}: {error}");
                    assert!(error.to_string().contains("chmod 600"), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_key_dropped_in_by_hand_signs_without_a_manifest() {
    for algorithm in ALL {
        let (name, bytes) = match algorithm {
            Algorithm::HS256 => ("mine.hs256", SHARED_SECRET.as_bytes().to_vec()),
            _ => ("mine.pem", pem(algorithm)),
        };
        let (settings, dir) = directory(&[(name, &bytes)], algorithm);
        fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).expect("read-only");
        let ring = KeyRing::load_or_create(&settings, RULES, NOW).expect("nothing must be written");
        assert_eq!(ring.signing_key(NOW).expect("it signs").algorithm(), algorithm);
        // Mode bits do not stop root, so look at what is there.
        assert_eq!(fs::read_dir(dir.path()).expect("the directory is there").count(), 2);
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("to be removed");
    }
}

#[test]
fn of_several_unlisted_keys_the_last_file_name_signs_and_all_verify() {
    let files = [("2026-01.pem", pem(Algorithm::EdDSA)), ("2026-02.pem", pem(Algorithm::EdDSA))];
    let (settings, _dir) = directory(&[(files[0].0, &files[0].1), (files[1].0, &files[1].1)], Algorithm::EdDSA);
    let keys = KeyRing::load(&settings, RULES).expect("a ring").keys(NOW);
    assert!(keys[0].file.ends_with("2026-01.pem") && keys[0].state == KeyState::Retiring && keys[0].until.is_none());
    assert!(keys[1].file.ends_with("2026-02.pem") && keys[1].state == KeyState::Active);
}

#[test]
fn an_rsa_key_needs_to_be_told_its_algorithm() {
    let rsa = pem(Algorithm::RS256);
    let (settings, _dir) = directory(&[("rsa.pem", &rsa)], Algorithm::PS256);
    let ring = KeyRing::load(&settings, RULES).expect("the configuration tells it");
    assert_eq!(ring.keys(NOW)[0].algorithm, Algorithm::PS256);
    let (settings, _dir) = directory(&[("rsa.pem", &rsa), ("ed.pem", &pem(Algorithm::EdDSA))], Algorithm::EdDSA);
    let error = KeyRing::load(&settings, RULES).expect_err("nothing tells it").to_string();
    assert!(error.contains("rsa.pem") && error.contains("keys.algorithm"), "{error}");
}

#[test]
fn a_directory_without_a_usable_key_says_what_to_do() {
    let (settings, _dir) = directory(&[], Algorithm::EdDSA);
    assert!(KeyRing::load(&settings, RULES).expect_err("empty").to_string().contains("doorward key generate"));
    let (settings, _dir) = directory(&[("ec.pem", &pem(Algorithm::ES256))], Algorithm::EdDSA);
    let error = KeyRing::load_or_create(&settings, RULES, NOW).expect_err("another algorithm").to_string();
    assert!(error.contains("EdDSA") && error.contains("keys.algorithm"), "{error}");
}

#[test]
fn a_damaged_manifest_is_named() {
    let (settings, _dir) = directory(&[("k.pem", &pem(Algorithm::EdDSA)), ("ring.json", b"{")], Algorithm::EdDSA);
    let error = KeyRing::load(&settings, RULES).expect_err("damaged").to_string();
    assert!(error.contains("ring.json"), "{error}");
}

#[test]
fn the_secret_may_come_from_a_file_elsewhere() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    let elsewhere = TempDir::new().expect("a folder");
    let secret_file = write(&elsewhere, "secret", format!("{SHARED_SECRET}\n").as_bytes());
    let settings = Settings { secret_file, ..settings };
    let ring = KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring");
    assert_eq!(ring.secret().expose(), b"secret bytes that are long enough!");
    assert!(!Path::new(&settings.dir).join("server.secret").exists());
}

#[test]
fn hidden_and_other_files_are_left_alone() {
    let (settings, _dir) =
        directory(&[("k.pem", &pem(Algorithm::EdDSA)), (".old.pem", b"x"), ("README.txt", b"x")], Algorithm::EdDSA);
    assert_eq!(KeyRing::load(&settings, RULES).expect("a ring").keys(NOW).len(), 1);
}

// SEC-K6
#[test]
fn debug_output_holds_no_key() {
    let (settings, _parent) = key_dir(Algorithm::HS256);
    let ring = KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring");
    let secret = fs::read_to_string(&key_files(&settings)[0]).expect("the key's file");
    let shown = format!("{ring:?} {:?}", ring.key_set());
    assert!(!shown.contains(secret.trim()), "{shown}");
}
