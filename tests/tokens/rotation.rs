//! Rotation in time: SEC-K1 and K3, by a clock that stands still until it is moved.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::{Clock, FixedClock, Timestamp};
use doorward::token::jwt::{OwnKeys, Signer, Verifier, sign_claims};
use doorward::token::keys::{Algorithm, KeyError, KeyRing, KeyState, Settings, generate, revoke, rotate};
use serde_json::json;

use crate::workbench::*;

fn load(settings: &Settings) -> KeyRing {
    KeyRing::load(settings, RULES).expect("a ring")
}

fn states(settings: &Settings, now: Timestamp) -> Vec<KeyState> {
    load(settings).keys(now).iter().map(|key| key.state).collect()
}

/// Signs with the ring's active key, as the issuer does at this moment.
fn signed(ring: &KeyRing, now: Timestamp) -> String {
    let key = ring.signing_key(now).expect("a key signs");
    let claims = claims(json!({"iat": now.0, "nbf": now.0, "exp": now.0 + 900}));
    sign_claims(key, "at+jwt", claims.as_object().expect("an object")).expect("signed")
}

fn verifier_of(ring: KeyRing) -> Verifier {
    Verifier::new(own_profile(), OwnKeys::Ring(Arc::new(ring)), &[]).expect("a good setup")
}

// SEC-K1
#[test]
fn a_new_key_is_published_before_it_signs_and_the_old_one_verifies_after() {
    let clock = FixedClock::at(NOW);
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    let first = KeyRing::load_or_create(&settings, RULES, clock.now()).expect("a ring").keys(NOW)[0].kid.clone();

    let rotated = rotate(&settings, RULES, clock.now()).expect("rotated");
    assert!(rotated.made);
    assert_eq!((rotated.key.state, rotated.key.active_from), (KeyState::Next, Some(NOW.plus(RULES.publish_ahead))));
    let ring = load(&settings);
    assert_eq!(ring.signing_key(clock.now()).expect("signs").kid(), first);
    assert_eq!(ring.jwks(clock.now())["keys"].as_array().expect("keys").len(), 2);

    clock.advance(RULES.publish_ahead - Duration::from_secs(1));
    assert_eq!(ring.signing_key(clock.now()).expect("signs").kid(), first);
    let last_of_first = signed(&ring, clock.now());
    clock.advance(Duration::from_secs(1));
    assert_eq!(ring.signing_key(clock.now()).expect("signs").kid(), rotated.key.kid);
    assert_eq!(states(&settings, clock.now()), [KeyState::Retiring, KeyState::Active]);

    let verifier = verifier_of(load(&settings));
    clock.advance(Duration::from_secs(898));
    verifier.verify(&last_of_first, clock.now()).expect("the old key's last token lives to its end");
    clock.advance(RULES.keep_after - Duration::from_secs(898));
    assert_eq!(states(&settings, clock.now()), [KeyState::Retired, KeyState::Active]);
    assert_eq!(load(&settings).jwks(clock.now())["keys"].as_array().expect("keys").len(), 1);
    assert!(verifier.verify_even_if_expired(&last_of_first, clock.now()).is_err(), "a retired key verifies nothing");
}

// SEC-K1: every token signed at any moment of three rotations is good until it expires
#[test]
fn rotation_denies_no_valid_token() {
    let clock = FixedClock::at(NOW);
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    KeyRing::load_or_create(&settings, RULES, clock.now()).expect("a ring");
    let mut alive: Vec<(Timestamp, String)> = Vec::new();
    for minute in 0..60 {
        if minute % 20 == 5 {
            rotate(&settings, RULES, clock.now()).expect("rotated");
        }
        let ring = load(&settings);
        alive.push((clock.now().plus(Duration::from_secs(900)), signed(&ring, clock.now())));
        alive.retain(|(end, _)| *end > clock.now());
        let verifier = verifier_of(ring);
        for (_, token) in &alive {
            verifier.verify(token, clock.now()).expect("a living token");
        }
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(load(&settings).keys(clock.now()).len(), 4);
}

#[test]
fn rotating_twice_changes_nothing_more() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring");
    let first = rotate(&settings, RULES, NOW).expect("rotated");
    let again = rotate(&settings, RULES, NOW.plus(Duration::from_secs(60))).expect("rotated");
    assert_eq!((&again.key, again.made), (&first.key, false));
}

#[test]
fn a_generated_key_waits_and_is_promoted_once_it_was_published_long_enough() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    let first = generate(&settings, RULES, NOW).expect("the first key");
    assert_eq!(first.state, KeyState::Active, "the first key of all signs at once");
    let second = generate(&settings, RULES, NOW).expect("a second key");
    assert_eq!((second.state, second.active_from), (KeyState::Next, None));
    let much_later = NOW.plus(Duration::from_secs(1_000_000));
    assert_eq!(load(&settings).signing_key(much_later).expect("signs").kid(), first.kid, "it waits to be told");

    let soon = NOW.plus(Duration::from_secs(60));
    let (other, _other_parent) = key_dir(Algorithm::EdDSA);
    generate(&other, RULES, NOW).expect("the first key");
    generate(&other, RULES, NOW).expect("a second key");
    let rotated = rotate(&other, RULES, soon).expect("too young to sign at once");
    assert_eq!((rotated.made, rotated.key.active_from), (false, Some(NOW.plus(RULES.publish_ahead))));

    let rotated = rotate(&settings, RULES, much_later).expect("rotated");
    assert_eq!((rotated.made, rotated.key.state, &rotated.key.kid), (false, KeyState::Active, &second.kid));
}

// SEC-K3
#[test]
fn revoking_the_only_key_makes_another_at_once() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    let ring = Arc::new(KeyRing::load_or_create(&settings, RULES, NOW).expect("a ring"));
    let kid = ring.keys(NOW)[0].kid.clone();
    let token = signed(&ring, NOW);
    let (signer, verifier) = (Signer::new(Arc::clone(&ring)), verifier_of(load(&settings)));
    verifier.verify(&token, NOW).expect("still good");

    let revoked = revoke(&settings, RULES, &kid, NOW).expect("revoked");
    let replacement = revoked.replacement.expect("a new key");
    assert_eq!((replacement.state, replacement.active_from), (KeyState::Active, Some(NOW)));
    let ring = Arc::new(load(&settings));
    signer.replace(Arc::clone(&ring));
    verifier.replace_ring(&ring);
    assert!(verifier.verify(&token, NOW).is_err(), "its tokens die");
    assert_eq!(signer.ring().signing_key(NOW).expect("signs").kid(), replacement.kid);
    assert!(!ring.jwks(NOW).to_string().contains(&kid));
    assert!(matches!(revoke(&settings, RULES, &kid, NOW), Err(KeyError::UnknownKid { .. })));
}

#[test]
fn revoking_the_active_key_promotes_the_one_that_waits() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    let first = generate(&settings, RULES, NOW).expect("a key");
    let second = generate(&settings, RULES, NOW).expect("a key");
    let revoked = revoke(&settings, RULES, &first.kid, NOW).expect("revoked");
    assert_eq!(revoked.replacement.expect("a replacement").kid, second.kid);
    assert_eq!(states(&settings, NOW), [KeyState::Active]);
}

#[test]
fn revoking_a_key_that_does_not_sign_replaces_nothing() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    let first = generate(&settings, RULES, NOW).expect("a key");
    let second = generate(&settings, RULES, NOW).expect("a key");
    assert_eq!(revoke(&settings, RULES, &second.kid, NOW).expect("revoked").replacement, None);
    assert_eq!(load(&settings).signing_key(NOW).expect("signs").kid(), first.kid);
}

#[test]
fn revoking_the_active_key_does_not_bring_a_superseded_one_back() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    let first = generate(&settings, RULES, NOW).expect("a key");
    let second = rotate(&settings, RULES, NOW).expect("rotated").key;
    let later = NOW.plus(Duration::from_secs(100_000));
    let revoked = revoke(&settings, RULES, &second.kid, later).expect("revoked");
    let replacement = revoked.replacement.expect("a new key");
    assert_ne!(replacement.kid, first.kid);
    assert_eq!(load(&settings).signing_key(later).expect("signs").kid(), replacement.kid);
}

#[test]
fn the_algorithm_is_changed_without_a_gap() {
    let (eddsa, _parent) = key_dir(Algorithm::EdDSA);
    let ring = KeyRing::load_or_create(&eddsa, RULES, NOW).expect("a ring");
    let old = signed(&ring, NOW);
    let es256 = Settings { algorithm: Algorithm::ES256, ..eddsa };
    let rotated = rotate(&es256, RULES, NOW).expect("a key of the new algorithm");
    assert_eq!((rotated.made, rotated.key.algorithm), (true, Algorithm::ES256));
    let ring = load(&es256);
    assert_eq!(ring.signing_key(NOW).expect("signs").algorithm(), Algorithm::EdDSA, "until the new one is known");
    let then = NOW.plus(RULES.publish_ahead);
    assert_eq!(ring.signing_key(then).expect("signs").algorithm(), Algorithm::ES256);
    verifier_of(ring).verify(&old, then).expect("the old key's tokens live on");
}

#[test]
fn two_changes_at_once_lose_nothing() {
    let (settings, _parent) = key_dir(Algorithm::EdDSA);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| generate(&settings, RULES, NOW).expect("a key"));
        }
    });
    let keys = load(&settings).keys(NOW);
    assert_eq!(keys.len(), 6);
    assert_eq!(keys.iter().filter(|key| key.state == KeyState::Active).count(), 1);
    assert_eq!(keys.iter().filter(|key| key.active_from.is_none()).count(), 5, "every one is in the manifest");
}
