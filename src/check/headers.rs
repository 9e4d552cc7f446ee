//! From claims to identity headers: which headers there are, and what a claim may look like to become one (SEC-P8, P9).
//!
//! `app` makes the plan from the settings, `lookup` applies it once to each verified token; a hit only copies the result.

use std::sync::Arc;

use http::HeaderName;
use serde_json::{Map, Value};

use crate::check::cell::Cell;
use crate::check::identity::{HeaderNames, HeaderSettings, Identity, Preset, PresetSettings};
use crate::token::Claims;

/// Longest value of one claim.
const MAX_VALUE: usize = 256;
/// Longest sum of all names and values: NGINX gives up on answers whose headers pass 4 KiB.
const MAX_TOTAL: usize = 2048;

/// Which claim becomes which header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPlan {
    headers: Box<[(HeaderName, String)]>,
    names: HeaderNames,
}

/// What is wrong with the configured headers, and what to write.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("check.headers: `{0}` is no header name; write such as `X-Auth-Subject`")]
    Name(String),
    #[error("check.headers: `{0}` holds an underscore, which proxies drop or confuse with `-`; write `-`")]
    Underscore(String),
    #[error("check.headers: `{0}` means something to proxies or servers already; write such as `X-Auth-Subject`")]
    Reserved(String),
    #[error("check.headers: `{0}` is given twice; header names are compared without case")]
    Twice(String),
    #[error(
        "check.headers: `preset` stands alone; write all headers of your own, such as `{{X-User: sub}}`, or a preset only"
    )]
    PresetAndMore,
    #[error("check.headers: `{0}` names no claim; write such as `sub` or `realm_access.roles`")]
    Claim(String),
}

/// A claim that can't become a header, so its bearer can't be told to the upstream: such a token is denied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untellable {
    #[error("the claim `{0}` is not made of visible ASCII without comma, at most {MAX_VALUE} bytes")]
    Characters(String),
    #[error("the claim `{0}` is neither text nor number nor a list of them")]
    Type(String),
    #[error("the identity headers take more than {MAX_TOTAL} bytes")]
    TooLong,
}

impl HeaderPlan {
    /// # Errors
    /// The first header that must not be an identity header.
    pub fn new(settings: &HeaderSettings) -> Result<Self, HeaderError> {
        let pairs: Vec<(&str, &str)> = match settings {
            HeaderSettings::Preset(preset) => of_preset(preset.preset).to_vec(),
            HeaderSettings::Map(map) => map.iter().map(|(name, claim)| (name.as_str(), claim.as_str())).collect(),
        };
        let mut headers: Vec<(HeaderName, String)> = Vec::with_capacity(pairs.len());
        for (text, claim) in pairs {
            // Beside other headers it is read as the name of one, and those of the preset would be missing.
            if text == "preset" {
                return Err(HeaderError::PresetAndMore);
            }
            let name = HeaderName::try_from(text).map_err(|_| HeaderError::Name(text.into()))?;
            if text.contains('_') {
                return Err(HeaderError::Underscore(text.into()));
            }
            if is_reserved(name.as_str()) {
                return Err(HeaderError::Reserved(text.into()));
            }
            if headers.iter().any(|(earlier, _)| *earlier == name) {
                return Err(HeaderError::Twice(text.into()));
            }
            if claim.split('.').any(str::is_empty) {
                return Err(HeaderError::Claim(claim.into()));
            }
            headers.push((name, claim.into()));
        }
        if let HeaderSettings::Preset(PresetSettings { preset }) = settings {
            // Each hit copies the names: static ones as they are, while others keep a count that all cores write.
            for ((name, _), (text, _)) in headers.iter_mut().zip(of_preset(*preset)) {
                *name = HeaderName::from_static(text);
            }
        }
        let names: Vec<_> = headers.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { headers: headers.into(), names: names.into() })
    }

    /// All identity headers: whichever is not set on a request is to be removed from it.
    pub fn names(&self) -> HeaderNames {
        self.names.clone()
    }

    /// # Errors
    /// A claim that is to become a header and can't.
    pub fn identify(&self, claims: &Claims, cell: Arc<Cell>) -> Result<Identity, Untellable> {
        let mut values = Vec::with_capacity(self.headers.len());
        let mut total = 0;
        for (name, claim) in &self.headers {
            let value = text_of(claims, claim)?;
            total += value.as_ref().map_or(0, |value| name.as_str().len() + value.len());
            values.push(value);
        }
        if total > MAX_TOTAL {
            return Err(Untellable::TooLong);
        }
        let values: Vec<_> = values.iter().map(Option::as_deref).collect();
        Ok(Identity::new(claims, cell, self.names.clone(), &values))
    }
}

const fn of_preset(preset: Preset) -> &'static [(&'static str, &'static str)] {
    match preset {
        Preset::Doorward => &[
            ("x-auth-subject", "sub"),
            ("x-auth-session", "sid"),
            ("x-auth-roles", "roles"),
            ("x-auth-scope", "scope"),
        ],
        Preset::Oauth2Proxy => &[
            ("x-auth-request-user", "sub"),
            ("x-auth-request-email", "email"),
            ("x-auth-request-groups", "roles"),
            ("x-auth-request-preferred-username", "preferred_username"),
        ],
        Preset::Authelia => {
            &[("remote-user", "sub"), ("remote-groups", "roles"), ("remote-name", "name"), ("remote-email", "email")]
        }
    }
}

/// Headers that carry credentials, frame messages, steer proxies, or tell us what the original request was. Whoever
/// let a claim set one of these would let a token's holder do more than be told to the upstream.
fn is_reserved(name: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        "access-control-",
        "content-",
        "if-",
        "proxy-",
        "sec-",
        "x-doorward-",
        "x-envoy-",
        "x-forwarded-",
        "x-original-",
    ];
    const NAMES: [&str; 30] = [
        "accept",
        "accept-encoding",
        "age",
        "allow",
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "location",
        "max-forwards",
        "origin",
        "range",
        "referer",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "via",
        "www-authenticate",
        "x-http-method-override",
        "x-real-ip",
        "x-request-id",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The claim as one header value; lists are joined with one comma, since repeated headers lose values in proxies.
/// `sub`, `sid`, `roles`, `scope` and `amr` are what doorward made of the token, other names are looked up in it.
fn text_of(claims: &Claims, name: &str) -> Result<Option<String>, Untellable> {
    let joined = |list: &[String]| {
        list.iter().try_for_each(|text| tellable(name, text))?;
        Ok((!list.is_empty()).then(|| list.join(",")))
    };
    let alone = |text: &str| tellable(name, text).map(|()| Some(text.to_owned()));
    match name {
        "sub" => alone(&claims.subject),
        "sid" => Ok(claims.sid.as_ref().map(ToString::to_string)),
        "roles" => joined(&claims.roles),
        "scope" => joined(&claims.scope),
        "amr" => joined(&claims.amr),
        _ => match find_claim(&claims.payload, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::Array(items)) => {
                let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
                joined(&texts.ok_or_else(|| Untellable::Type(name.into()))?)
            }
            Some(value) => alone(&scalar(value).ok_or_else(|| Untellable::Type(name.into()))?),
        },
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A member of that very name (`https://example.com/roles`), else the way into objects that its dots tell.
fn find_claim<'a>(within: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    within.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        find_claim(within.get(outer)?.as_object()?, inner)
    })
}

fn tellable(claim: &str, text: &str) -> Result<(), Untellable> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if visible && (1..=MAX_VALUE).contains(&text.len()) { Ok(()) } else { Err(Untellable::Characters(claim.into())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::known::Holder;
    use crate::check::testing;

    fn plan(pairs: &[(&str, &str)]) -> Result<HeaderPlan, HeaderError> {
        let map = pairs.iter().map(|(name, claim)| (name.to_string(), claim.to_string())).collect();
        HeaderPlan::new(&HeaderSettings::Map(map))
    }

    fn told(claims: &Claims, claim: &str) -> Result<Option<String>, Untellable> {
        let identity: Holder = plan(&[("X-It", claim)]).expect("a plan").identify(claims, Arc::default())?.into();
        assert_eq!(identity.headers().count() + identity.absent().count(), 1);
        Ok(identity.headers().next().map(|(_, value)| value.to_str().expect("ASCII").to_owned()))
    }

    fn with(payload: &Value) -> Claims {
        let mut claims = testing::claims("alice");
        claims.payload = payload.as_object().expect("an object").clone();
        claims
    }

    // SEC-P8
    #[test]
    fn every_configured_header_is_either_set_or_named_as_absent() {
        let plan = HeaderPlan::new(&HeaderSettings::default()).expect("the default");
        let mut claims = testing::claims("alice");
        claims.roles = vec!["admin".into(), "editor".into()];
        let identity: Holder = plan.identify(&claims, Arc::default()).expect("tellable").into();
        let set: Vec<_> = identity.headers().collect();
        assert_eq!(
            set.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["x-auth-subject", "x-auth-session", "x-auth-roles"]
        );
        assert_eq!(set[2].1, "admin,editor");
        assert_eq!(identity.absent().collect::<Vec<_>>(), ["x-auth-scope"]);
        assert_eq!(plan.names().len(), 4);
    }

    #[test]
    fn claims_are_found_by_their_whole_name_or_inside_objects() {
        let claims = || {
            with(&json!({
                "realm_access": {"roles": ["a", "b"]}, "https://e.com/x": "flat", "n": 7, "b": true, "none": null,
                "empty": "", "list": [], "object": {}, "lists": [["a"]],
            }))
        };
        assert_eq!(told(&claims(), "realm_access.roles"), Ok(Some("a,b".into())));
        assert_eq!(told(&claims(), "https://e.com/x"), Ok(Some("flat".into())));
        assert_eq!(told(&claims(), "n"), Ok(Some("7".into())));
        assert_eq!(told(&claims(), "b"), Ok(Some("true".into())));
        for absent in ["none", "empty", "list", "missing", "realm_access.x", "n.x"] {
            assert_eq!(told(&claims(), absent), Ok(None), "{absent}");
        }
        for odd in ["object", "lists"] {
            assert_eq!(told(&claims(), odd), Err(Untellable::Type(odd.into())));
        }
    }

    // SEC-P9
    #[test]
    fn a_claim_that_could_forge_or_split_a_header_denies_its_token() {
        let long = "x".repeat(257);
        for text in ["a,b", "a\rb", "a\nb", "a\0b", "a b", "é", "a\u{7f}", "\t", long.as_str()] {
            assert!(told(&with(&json!({ "c": text })), "c").is_err(), "{text:?}");
            assert!(told(&with(&json!({ "c": ["fine", text] })), "c").is_err(), "{text:?}");
            assert!(told(&testing::claims(text), "sub").is_err(), "{text:?}");
        }
        assert!(told(&with(&json!({ "c": ["a", ""] })), "c").is_err());
        assert!(told(&with(&json!({ "c": "x".repeat(256) })), "c").is_ok());
    }

    #[test]
    fn headers_too_long_for_a_proxy_deny_their_token() {
        let many = vec!["x".repeat(200); 11];
        assert_eq!(told(&with(&json!({ "c": many })), "c"), Err(Untellable::TooLong));
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in ["Authorization", "cookie", "Host", "Connection", "content-length", "X-Forwarded-For", "TE"] {
            assert_eq!(plan(&[(name, "sub")]), Err(HeaderError::Reserved(name.into())));
        }
        for name in ["X-Original-URI", "X-Doorward-Reason", "x-envoy-auth-headers-to-remove", "Transfer-Encoding"] {
            assert_eq!(plan(&[(name, "sub")]), Err(HeaderError::Reserved(name.into())));
        }
        assert_eq!(plan(&[("X_User", "sub")]), Err(HeaderError::Underscore("X_User".into())));
        assert_eq!(plan(&[(":path", "sub")]), Err(HeaderError::Name(":path".into())));
        assert_eq!(plan(&[("preset", "doorward"), ("X-User", "sub")]), Err(HeaderError::PresetAndMore));
        assert_eq!(plan(&[("", "sub")]), Err(HeaderError::Name(String::new())));
        assert_eq!(plan(&[("X-User", "sub"), ("x-user", "sid")]), Err(HeaderError::Twice("x-user".into())));
        assert_eq!(plan(&[("X-User", "a..b")]), Err(HeaderError::Claim("a..b".into())));
    }

    #[test]
    fn every_preset_makes_a_plan() {
        for preset in [Preset::Doorward, Preset::Oauth2Proxy, Preset::Authelia] {
            let plan = HeaderPlan::new(&HeaderSettings::Preset(PresetSettings { preset })).expect("a plan");
            assert_eq!(plan.names().len(), 4);
        }
    }
}
