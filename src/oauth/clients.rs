//! The clients of the configuration: `clients: [{id, secret_hash | jwks, grants, scopes}]`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::secret::{SecretHash, is_unreserved};
use crate::token::remote::Place;
use crate::token::remote::source::{Pace, Source};

/// An OAuth 2 client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// 1 to 128 letters, digits and `-._~`. Its own tokens have `client:` before it in `sub`.
    pub id: String,
    /// What `doorward client secret` prints. With neither this nor `jwks` the client is public: it has no secret to prove.
    pub secret_hash: String,
    /// The client's public keys, for `private_key_jwt` (RFC 7523): a file or an https URL (http on loopback) of a JWK Set.
    pub jwks: String,
    /// What it may get tokens for. None: it may introspect and revoke only.
    pub grants: Vec<Grant>,
    /// What it may ask for as `scope`; it gets all where it asks for none.
    pub scopes: Vec<String>,
}

/// How a token is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// For itself (RFC 6749 section 4.4).
    ClientCredentials,
    /// For a refresh token (RFC 6749 section 6).
    RefreshToken,
}

/// What is wrong with one of a client's settings.
#[derive(Debug)]
pub struct Mistake {
    pub key: &'static str,
    pub what: String,
    pub fix: &'static str,
}

impl ClientSettings {
    /// Everything that is wrong with it by itself.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut told = |wrong: bool, key, what: &str, fix| {
            if wrong {
                mistakes.push(Mistake { key, what: what.to_owned(), fix });
            }
        };
        let id_fits = (1..=128).contains(&self.id.len()) && self.id.bytes().all(is_unreserved);
        told(!id_fits, "id", "a client's id is 1 to 128 letters, digits and `-._~`", "write such as billing");
        let bad_hash = !self.secret_hash.is_empty() && self.secret_hash.parse::<SecretHash>().is_err();
        let fix = "run `doorward client secret`, give the client the secret and write its hash here";
        told(bad_hash, "secret_hash", "this is no hash of a client's secret", fix);
        let place = (!self.jwks.is_empty()).then(|| Place::of_url_or_file(&self.jwks).err()).flatten();
        if let Some(error) = place {
            told(true, "jwks", &error.to_string(), "name a file, or an https URL (http only on loopback)");
        }
        let alone = self.is_public() && self.grants.contains(&Grant::ClientCredentials);
        let what = "anyone could get this client's tokens: it has neither secret_hash nor jwks";
        told(alone, "grants", what, "give it a secret_hash or jwks, or take client_credentials away");
        for scope in &self.scopes {
            let what =
                format!("`{scope}` is no scope: 1 to 128 visible ASCII characters without comma, quote and backslash");
            told(!is_scope(scope), "scopes", &what, "write such as orders:read");
        }
        let together: usize = self.scopes.iter().map(|scope| scope.len() + 1).sum();
        let what = "together they are over 2 KiB: with them in it a token is too long for proxies";
        told(together > MOST_SCOPES, "scopes", what, "name fewer, or shorter ones");
        mistakes
    }

    /// What is no mistake, and yet hardly meant.
    pub fn doubts(&self) -> Vec<Mistake> {
        let mut doubts = Vec::new();
        let mut told = |wrong: bool, key, what: &str, fix| {
            if wrong {
                doubts.push(Mistake { key, what: what.to_owned(), fix });
            }
        };
        let what = "this client can do nothing: it has neither a grant nor a secret or key to introspect with";
        told(self.is_public() && self.grants.is_empty(), "grants", what, "give it a grant, a secret_hash or jwks");
        let both = !self.secret_hash.is_empty() && !self.jwks.is_empty();
        let what = "either proves this client, so whoever has its secret needs none of its keys";
        told(both, "secret_hash", what, "keep one of secret_hash and jwks; both only while you change over");
        let idle = !self.scopes.is_empty() && !self.grants.contains(&Grant::ClientCredentials);
        let what = "nothing ever has these scopes: only client_credentials gives a client's own";
        told(idle, "scopes", what, "add client_credentials to its grants, or take the scopes away");
        doubts
    }

    fn is_public(&self) -> bool {
        self.secret_hash.is_empty() && self.jwks.is_empty()
    }

    fn place(&self) -> Option<Place> {
        Place::of_url_or_file(&self.jwks).ok().filter(|_| !self.jwks.is_empty())
    }
}

/// All scopes of a client, in bytes with what parts them.
const MOST_SCOPES: usize = 2048;

/// A `scope-token` of RFC 6749 section 3.3 that can stand in an identity header too (SEC-P9): else no check would let it pass.
fn is_scope(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',');
    (1..=128).contains(&text.len()) && text.bytes().all(fits)
}

/// A client that may be asked for.
#[derive(Debug)]
pub struct Client {
    pub id: Box<str>,
    pub(super) secret: Option<SecretHash>,
    pub(super) keys: Option<Arc<Source>>,
    grants: Vec<Grant>,
    scopes: Vec<String>,
}

impl Client {
    /// It has no secret, so naming it proves nothing (RFC 6749 section 2.1).
    pub const fn is_public(&self) -> bool {
        self.secret.is_none() && self.keys.is_none()
    }

    pub fn may(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }

    /// The scopes that `asked` stands for, each once; `None` where one is not the client's.
    pub fn scopes(&self, asked: Option<&str>) -> Option<Vec<String>> {
        let Some(asked) = asked else { return Some(self.scopes.clone()) };
        let mut granted: Vec<String> = Vec::new();
        for scope in asked.split(' ') {
            let known = self.scopes.iter().find(|known| *known == scope)?;
            if !granted.contains(known) {
                granted.push(known.clone());
            }
        }
        Some(granted)
    }
}

/// All of them. Their keys are kept fresh as long as this lives.
pub struct Clients {
    by_id: HashMap<Box<str>, Arc<Client>>,
    _keeping: DropGuard,
}

/// Why the clients can't be served.
#[derive(Debug, thiserror::Error)]
#[error("clients[{at}].{}: {}; {}", .mistake.key, .mistake.what, .mistake.fix)]
pub struct UnusableClient {
    at: usize,
    mistake: Mistake,
}

impl Clients {
    /// Keys elsewhere are fetched in the background, so this wants a runtime.
    ///
    /// # Errors
    /// [`UnusableClient`].
    pub fn new(settings: &[ClientSettings]) -> Result<Self, UnusableClient> {
        let stop = CancellationToken::new();
        let mut by_id = HashMap::with_capacity(settings.len());
        for (at, one) in settings.iter().enumerate() {
            if let Some(mistake) = one.mistakes().into_iter().next() {
                return Err(UnusableClient { at, mistake });
            }
            let keys = one.place().map(|place| {
                let named = format!("the client {}", one.id).into();
                let source = Arc::new(Source::new(named, place, Vec::new(), Pace::FOREIGN));
                tokio::spawn(Arc::clone(&source).run(stop.clone()));
                source
            });
            let client = Client {
                id: one.id.as_str().into(),
                secret: one.secret_hash.parse().ok(),
                keys,
                grants: one.grants.clone(),
                scopes: one.scopes.clone(),
            };
            if by_id.insert(client.id.clone(), Arc::new(client)).is_some() {
                let what = format!("`{}` stands for two clients", one.id);
                return Err(UnusableClient { at, mistake: Mistake { key: "id", what, fix: "give each its own" } });
            }
        }
        Ok(Self { by_id, _keeping: stop.drop_guard() })
    }

    pub fn find(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_id.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(scopes: &[&str]) -> Client {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Client { id: "billing".into(), secret: None, keys: None, grants: Vec::new(), scopes }
    }

    #[test]
    fn a_client_gets_what_it_asks_for_of_its_scopes_each_once_and_all_where_it_asks_for_none() {
        let client = client(&["read", "write"]);
        let got = |asked| client.scopes(asked).map(|scopes| scopes.join(" "));
        assert_eq!(got(None).as_deref(), Some("read write"));
        assert_eq!(got(Some("write")).as_deref(), Some("write"));
        assert_eq!(got(Some("write read write")).as_deref(), Some("write read"));
        for wrong in ["admin", "read admin", "read  write", " read", "Read"] {
            assert_eq!(got(Some(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn settings_that_do_nothing_or_contradict_each_other_are_doubted() {
        let doubts =
            |settings: ClientSettings| settings.doubts().into_iter().map(|doubt| doubt.key).collect::<Vec<_>>();
        let (hash, jwks, scopes) = ("sha256:…".to_owned(), "keys.json".to_owned(), vec!["read".to_owned()]);
        let refreshing = vec![Grant::RefreshToken];
        assert_eq!(doubts(ClientSettings::default()), ["grants"]);
        assert!(doubts(ClientSettings { secret_hash: hash.clone(), ..Default::default() }).is_empty());
        assert!(doubts(ClientSettings { grants: refreshing.clone(), ..Default::default() }).is_empty());
        assert_eq!(doubts(ClientSettings { secret_hash: hash, jwks, ..Default::default() }), ["secret_hash"]);
        let scoped =
            |grants| ClientSettings { grants, scopes: scopes.clone(), jwks: "keys.json".into(), ..Default::default() };
        assert_eq!(doubts(scoped(refreshing)), ["scopes"]);
        assert!(doubts(scoped(vec![Grant::ClientCredentials])).is_empty());
    }

    #[test]
    fn settings_that_would_let_anyone_in_or_fit_nothing_are_named() {
        let keys =
            |settings: ClientSettings| settings.mistakes().into_iter().map(|mistake| mistake.key).collect::<Vec<_>>();
        let id = || "billing".to_owned();
        let grants = || vec![Grant::ClientCredentials];
        assert_eq!(keys(ClientSettings { id: id(), ..Default::default() }), Vec::<&str>::new());
        assert_eq!(keys(ClientSettings { id: id(), grants: grants(), ..Default::default() }), ["grants"]);
        let wrong = ClientSettings {
            id: "a b".into(),
            secret_hash: "hunter2".into(),
            jwks: "http://keys.example/jwks".into(),
            scopes: vec!["a b".into()],
            ..Default::default()
        };
        assert_eq!(keys(wrong), ["id", "secret_hash", "jwks", "scopes"]);
        let scoped = |scopes: Vec<String>| keys(ClientSettings { id: id(), scopes, ..Default::default() });
        assert_eq!(scoped(vec!["a,b".into()]), ["scopes"]);
        assert_eq!(scoped(vec!["a".repeat(128); 15]), Vec::<&str>::new());
        assert_eq!(scoped(vec!["a".repeat(128); 16]), ["scopes"]);
    }
}
