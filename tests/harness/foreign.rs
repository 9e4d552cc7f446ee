//! Another token issuer: an Ed25519 key made for the test, its JWKS file, and tokens with whatever claims the test wants.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const ISSUER: &str = "https://issuer.test";
pub const AUDIENCE: &str = "apps";

pub struct ForeignIssuer {
    key: EncodingKey,
    dir: TempDir,
}

impl ForeignIssuer {
    pub fn new() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a new key");
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "foreign", "x": public}
        ]});
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("jwks.json"), set.to_string()).expect("a writable folder");
        let der = pair.to_pkcs8v1().expect("an encodable key");
        Self { key: EncodingKey::from_ed_der(der.as_ref()), dir }
    }

    pub fn jwks_file(&self) -> PathBuf {
        self.dir.path().join("jwks.json")
    }

    /// One entry of the configuration's `issuers`.
    pub fn settings(&self) -> Value {
        let file: &Path = &self.jwks_file();
        json!({"issuer": ISSUER, "audience": [AUDIENCE], "jwks_file": file, "algorithms": ["EdDSA"]})
    }

    /// A token of ten minutes for the subject, with these roles.
    pub fn token(&self, subject: &str, roles: &[&str]) -> String {
        self.token_with(json!({"sub": subject, "roles": roles}))
    }

    /// The claims given, over `iss`, `aud`, `iat`, `exp` and a `jti` of its own; a null one is left out.
    pub fn token_with(&self, claims: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let jti = format!("{:x}", now.as_nanos());
        let mut all = json!({
            "iss": ISSUER, "aud": AUDIENCE, "iat": now.as_secs(), "exp": now.as_secs() + 600, "jti": jti,
        });
        if let (Some(all), Value::Object(claims)) = (all.as_object_mut(), claims) {
            all.extend(claims);
            all.retain(|_, value| !value.is_null());
        }
        let header = Header { kid: Some("foreign".into()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &all, &self.key).expect("signable claims")
    }
}

impl Default for ForeignIssuer {
    fn default() -> Self {
        Self::new()
    }
}
