//! A running service with a few clients, and how they ask.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward::oauth::secret::SecretHash;
use serde_json::{Value, json};

use crate::harness::doorward::merge;
use crate::harness::foreign::ForeignIssuer;
use crate::harness::http::{Reply, Request};
use crate::harness::wait::answered;
use crate::service::{Service, Store};

/// Of `billing`.
pub const SECRET: &str = "dwc_billing-0123456789abcdefghijklmnopq";
/// Of `gateway`, which may only ask about tokens.
pub const GATEWAY: &str = "dwc_gateway-0123456789abcdefghijklmnopq";
pub const CALLER_KEY: &str = "a-caller-key-of-32-characters-ok";

pub struct Server {
    pub service: Service,
    /// Signs for `batch`.
    pub batch: ForeignIssuer,
}

impl Server {
    pub fn start(store: Store) -> Self {
        Self::start_with(store, json!({}))
    }

    pub fn start_with(store: Store, over: Value) -> Self {
        let batch = ForeignIssuer::new();
        let hash = |secret| SecretHash::of(secret).unwrap().to_string();
        let grants = ["client_credentials", "refresh_token"];
        let clients = json!([
            {"id": "billing", "secret_hash": hash(SECRET), "grants": grants, "scopes": ["orders:read", "orders:write"]},
            {"id": "gateway", "secret_hash": hash(GATEWAY)},
            {"id": "batch", "jwks": batch.jwks_file(), "grants": grants},
            {"id": "web", "grants": ["refresh_token"]},
        ]);
        let keys = batch.jwks_file().with_file_name("callers");
        std::fs::write(&keys, CALLER_KEY).unwrap();
        let mut config = json!({
            "clients": clients,
            "limits": {"clients": "off"},
            "auth": {"trusted_login": {"caller_keys_file": keys}},
        });
        merge(&mut config, over);
        Self { service: Service::start_with(store, config), batch }
    }

    pub fn issuer(&self) -> &'static str {
        "doorward"
    }

    pub fn token_endpoint(&self) -> String {
        format!("http://{}/oauth2/token", self.service.public())
    }

    /// As `billing`.
    pub fn token(&self, form: &str) -> Reply {
        self.service.send(&basic(post("/oauth2/token", form), "billing", SECRET))
    }

    /// A new token of `billing`'s.
    pub fn client_token(&self) -> String {
        access(&self.token("grant_type=client_credentials"))
    }

    pub fn refresh(&self, refresh: &str) -> Reply {
        self.service.send(&post("/oauth2/token", &format!("grant_type=refresh_token&refresh_token={refresh}")))
    }

    /// What the gateway is told of the token.
    pub fn introspect(&self, token: &str) -> Value {
        let request = basic(post("/oauth2/introspect", &format!("token={token}")), "gateway", GATEWAY);
        let reply = answered(|| self.service.send(&request));
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
        reply.json()
    }

    pub fn is_dead(&self, token: &str) -> bool {
        let told = self.introspect(token);
        if told["active"] == false {
            assert_eq!(told, json!({"active": false}), "every dead token looks the same");
        }
        told["active"] == false
    }

    pub fn revoke(&self, token: &str) -> Reply {
        self.service.send(&post("/oauth2/revoke", &format!("token={token}")))
    }

    /// The claims over those that an assertion of `batch` must have.
    pub fn assertion(&self, claims: Value) -> String {
        let mut all = json!({"iss": "batch", "sub": "batch", "aud": self.token_endpoint()});
        merge(&mut all, claims);
        self.batch.token_with(all)
    }

    pub fn with_assertion(&self, assertion: &str) -> Reply {
        self.service.send(&post("/oauth2/token", &format!("grant_type=client_credentials{}", asserted(assertion))))
    }
}

pub fn asserted(assertion: &str) -> String {
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    format!("&client_assertion_type={kind}&client_assertion={assertion}")
}

pub fn post(path: &str, form: &str) -> Request {
    Request::new("POST", path).header("Content-Type", "application/x-www-form-urlencoded").body(form)
}

pub fn basic(request: Request, id: &str, secret: &str) -> Request {
    request.header("Authorization", &format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}

#[track_caller]
pub fn access(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), (Some("no-store"), Some("no-cache")));
    let body = reply.json();
    assert_eq!((&body["token_type"], body["expires_in"].is_u64()), (&json!("Bearer"), true), "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

pub fn claims(access: &str) -> Value {
    let payload = access.split('.').nth(1).and_then(doorward::secret::from_base64url).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// Asserts a refusal of RFC 6749 section 5.2.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, error: &str) {
    let body = reply.json();
    assert_eq!((reply.status, &body["error"]), (status, &json!(error)), "{reply:?}");
    let mut members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["error", "error_description"]);
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), (Some("no-store"), Some("no-cache")));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{reply:?}");
    assert!(!reply.body.contains(SECRET));
}
