//! Signing, in this process: a key as doorward keeps it against one that aws-lc-rs keeps.

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use doorward::token::keys::Algorithm;
use doorward::token::keys::signing::SigningKey;

use crate::kit::compare::median;
use crate::kit::world::World;
use crate::table::{Line, Mark};

pub fn measure(world: &World) -> Vec<Line> {
    let token = &world.tokens()[0];
    let input = token.rsplit_once('.').expect("a signature").0;
    let algorithms = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::PS256, Algorithm::HS256];
    algorithms.map(|algorithm| one(world, algorithm, input)).into()
}

fn one(world: &World, algorithm: Algorithm, input: &str) -> Line {
    let (ours, file) = SigningKey::generate(algorithm).expect("a key");
    let kept = kept(algorithm, &file);
    let times = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => 100,
        _ => 2000,
    };
    let each = |sign: &dyn Fn()| {
        let began = Instant::now();
        (0..times).for_each(|_| sign());
        began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
    };
    let pairs: Vec<_> = (0..2 * world.rounds())
        .map(|_| {
            let ours = each(&|| drop(black_box(ours.sign(black_box(input)))));
            // Both give text.
            let floor = each(&|| drop(black_box(BASE64_URL_SAFE_NO_PAD.encode(kept(black_box(input.as_bytes()))))));
            (ours, floor)
        })
        .collect();
    let of = |side: fn(&(f64, f64)) -> f64| median(pairs.iter().map(side));
    Line::new(
        &format!("signing, {algorithm}"),
        Mark::AtMost(1.15),
        of(|(ours, floor)| ours / floor),
        format!("{:.1} µs against {:.1} µs of a kept key in aws-lc-rs", of(|pair| pair.0), of(|pair| pair.1)),
    )
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn kept(algorithm: Algorithm, file: &str) -> Sign {
    let body: String = file.lines().filter(|line| !line.starts_with('-')).collect();
    let der = || BASE64_STANDARD.decode(&body).expect("base64");
    let rsa = move |key: RsaKeyPair, padding: &'static dyn aws_lc_rs::signature::RsaEncoding| -> Sign {
        Box::new(move |input| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(padding, &SystemRandom::new(), input, &mut signature).expect("a signature");
            signature
        })
    };
    match algorithm {
        Algorithm::EdDSA => {
            let key = Ed25519KeyPair::from_pkcs8(&der()).expect("a key");
            Box::new(move |input| key.sign(input).as_ref().to_vec())
        }
        Algorithm::ES256 => {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der()).expect("a key");
            Box::new(move |input| key.sign(&SystemRandom::new(), input).expect("a signature").as_ref().to_vec())
        }
        Algorithm::RS256 => rsa(RsaKeyPair::from_pkcs8(&der()).expect("a key"), &RSA_PKCS1_SHA256),
        Algorithm::PS256 => rsa(RsaKeyPair::from_pkcs8(&der()).expect("a key"), &RSA_PSS_SHA256),
        Algorithm::HS256 => {
            let secret = BASE64_URL_SAFE_NO_PAD.decode(body.trim()).expect("base64url");
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            Box::new(move |input| hmac::sign(&key, input).as_ref().to_vec())
        }
    }
}
