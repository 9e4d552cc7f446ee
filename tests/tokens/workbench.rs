//! Keys, hand-made tokens and verifiers for the tests here.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::secret::base64url;
use doorward::token::jwt::{OwnKeys, OwnProfile, Verifier};
use doorward::token::keys::signing::SigningKey;
use doorward::token::keys::{Algorithm, RingRules, Settings};
use doorward::token::remote::IssuerSettings;
use doorward::token::{SessionId, SubjectTag};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);
pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const AUDIENCE: &str = "shop";
pub(crate) const FOREIGN: &str = "https://other.example";

pub(crate) const RULES: RingRules =
    RingRules { publish_ahead: Duration::from_secs(300), keep_after: Duration::from_secs(905) };

pub(crate) fn fresh_key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).expect("a key can be made").0
}

/// One key of each algorithm, the same in all tests of this binary: RSA keys take long to make.
pub(crate) fn key(algorithm: Algorithm) -> &'static SigningKey {
    static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| ALL.into_iter().map(fresh_key).collect());
    KEYS.iter().find(|key| key.algorithm() == algorithm).expect("one of each is made")
}

pub(crate) const ALL: [Algorithm; 5] =
    [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::PS256, Algorithm::HS256];

pub(crate) fn jwk(key: &SigningKey) -> Value {
    key.verification().jwk(key.kid()).expect("a public key")
}

pub(crate) fn jwks<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Value {
    json!({"keys": keys.into_iter().map(jwk).collect::<Vec<_>>()})
}

/// The claims of a good own token, with `change` merged in; a null takes a claim out.
pub(crate) fn claims(change: Value) -> Value {
    let sid = SessionId::fresh(SubjectTag::of(ISSUER, "alice"));
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": NOW.0 - 10, "nbf": NOW.0 - 10, "exp": NOW.0 + 900,
        "jti": "token-1", "sid": sid.to_string(), "epoch": 3, "roles": ["admin"], "scope": "read write",
    });
    merge(&mut claims, change);
    claims
}

pub(crate) fn foreign_claims(change: Value) -> Value {
    let mut claims = json!({"iss": FOREIGN, "aud": "shop", "sub": "bob", "exp": NOW.0 + 900});
    merge(&mut claims, change);
    claims
}

/// Puts members into an object; a null takes one out.
pub(crate) fn merge(into: &mut Value, change: Value) {
    let (Some(into), Value::Object(change)) = (into.as_object_mut(), change) else { panic!("objects only") };
    for (name, value) in change {
        if value.is_null() {
            into.remove(&name);
        } else {
            into.insert(name, value);
        }
    }
}

/// The header a good own token has, with `change` merged in.
pub(crate) fn header(key: &SigningKey, change: Value) -> Value {
    let mut header = json!({"alg": key.algorithm().name(), "kid": key.kid(), "typ": "at+jwt"});
    merge(&mut header, change);
    header
}

/// Signs any bytes as header and payload.
pub(crate) fn sign_bytes(key: &SigningKey, header: &[u8], payload: &[u8]) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = key.sign(&input).expect("the key signs");
    format!("{input}.{signature}")
}

pub(crate) fn sign(key: &SigningKey, header: &Value, payload: &Value) -> String {
    sign_bytes(key, header.to_string().as_bytes(), payload.to_string().as_bytes())
}

/// A good own token but for these changes.
pub(crate) fn token(key: &SigningKey, header_change: Value, claim_change: Value) -> String {
    sign(key, &header(key, header_change), &claims(claim_change))
}

/// A verifier with one key of each algorithm as its own, and the folder its files are in.
pub(crate) fn verifier(issuers: &[IssuerSettings]) -> (Verifier, TempDir) {
    let dir = TempDir::new().expect("a folder");
    let asymmetric: Vec<&SigningKey> = Algorithm::ASYMMETRIC.into_iter().map(key).collect();
    let jwks = write(&dir, "own.json", jwks(asymmetric).to_string().as_bytes());
    let shared = key(Algorithm::HS256);
    let secret = write(&dir, &format!("{}.hs256", shared.kid()), SHARED_SECRET.as_bytes());
    let keys = OwnKeys::Remote { jwks, hs256_secret_file: secret };
    (Verifier::new(own_profile(), keys, issuers).expect("a good setup"), dir)
}

/// What the tests' HS256 tokens are signed with.
pub(crate) const SHARED_SECRET: &str = "c2VjcmV0IGJ5dGVzIHRoYXQgYXJlIGxvbmcgZW5vdWdoIQ";

pub(crate) fn shared_key() -> SigningKey {
    SigningKey::from_secret_text(key(Algorithm::HS256).kid(), SHARED_SECRET.as_bytes()).expect("long enough")
}

pub(crate) fn own_profile() -> OwnProfile {
    OwnProfile { issuer: ISSUER.into(), audience: vec![AUDIENCE.into(), "desk".into()] }
}

/// A foreign issuer with these keys in a file.
pub(crate) fn foreign_issuer(dir: &TempDir, keys: &Value) -> IssuerSettings {
    let jwks_file = write(dir, "foreign.json", keys.to_string().as_bytes());
    IssuerSettings { issuer: FOREIGN.into(), audience: vec!["shop".into()], jwks_file, ..IssuerSettings::default() }
}

/// A file that only its owner can read; returns its path.
pub(crate) fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> String {
    use std::os::unix::fs::PermissionsExt;
    let file = dir.path().join(name);
    std::fs::write(&file, bytes).expect("the folder can be written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    file.to_str().expect("a UTF-8 path").to_owned()
}

/// Settings of a key directory that is not there yet, and the folder it will be in.
pub(crate) fn key_dir(algorithm: Algorithm) -> (Settings, TempDir) {
    let parent = TempDir::new().expect("a folder");
    let dir = parent.path().join("keys").to_str().expect("a UTF-8 path").to_owned();
    (Settings { dir, algorithm, secret_file: String::new() }, parent)
}

/// The directory's key files.
pub(crate) fn key_files(settings: &Settings) -> Vec<PathBuf> {
    let files = std::fs::read_dir(&settings.dir).expect("the directory is there");
    let is_key = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "pem" || ending == "hs256");
    files.map(|file| file.expect("an entry").path()).filter(is_key).collect()
}
