//! What a token says, for people: decoded, **not verified**, with notes on what would speak against it.
//!
//! Called by `doorward token explain`. Nothing that decides anything may use this.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::secret::from_base64url;
use crate::token::jws::Compact;
use crate::token::refresh::RefreshToken;
use crate::token::{TokenError, json};

/// A token's readable parts. Its signature was not checked.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    pub header: Map<String, Value>,
    pub payload: Map<String, Value>,
    /// What a reader should know: why doorward would refuse it, how its times stand.
    pub notes: Vec<String>,
}

/// Decodes what can be decoded. Reads leniently where the verifier does not, and then says so in a note.
///
/// # Errors
/// [`TokenError::Malformed`] where there is nothing to show: a refresh token, which is opaque, or text that is no token.
pub fn explain(token: &str, now: Timestamp) -> Result<Explained, TokenError> {
    let token = token.trim();
    if RefreshToken::looks_like_one(token) {
        return Err(TokenError::Malformed("this is a refresh token of doorward: opaque, it says nothing to read"));
    }
    let mut segments = token.split('.');
    let mut part = || {
        let bytes = from_base64url(segments.next()?.trim_end_matches('='))?;
        // Where strict reading fails, a doubled member shows as its last value; the note of the strict parser says so.
        json::object(&bytes).or_else(|| serde_json::from_slice(&bytes).ok())
    };
    let (Some(header), Some(payload)) = (part(), part()) else {
        return Err(TokenError::Malformed("not a JWT: it needs a header and a payload that are JSON objects"));
    };
    let mut notes = vec!["decoded only: the signature was not checked".to_owned()];
    if let Err(refused) = Compact::parse(token).and_then(|compact| compact.claims()) {
        notes.push(format!("doorward refuses it: {refused}"));
    }
    for (name, past, future) in [
        ("exp", "expired {} ago", "expires in {}"),
        ("nbf", "valid since {}", "not valid for another {}"),
        ("iat", "issued {} ago", "issued {} in the future: does a clock differ?"),
    ] {
        match payload.get(name).map(Value::as_f64) {
            None => {}
            Some(Some(at)) if at >= 0.0 => {
                let at = Timestamp(at as u64);
                let (words, span) = if at <= now { (past, now.since(at)) } else { (future, at.since(now)) };
                notes.push(words.replace("{}", &crate::units::Span(span).to_string()));
            }
            Some(_) => notes.push(format!("`{name}` is not a number of seconds")),
        }
    }
    if !payload.contains_key("exp") {
        notes.push("it has no `exp`: doorward refuses it".to_owned());
    }
    Ok(Explained { header, payload, notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::base64url;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.AAAA", base64url(header.as_bytes()), base64url(payload.as_bytes()))
    }

    #[test]
    fn it_shows_both_parts_and_how_the_times_stand() {
        let text = token(r#"{"alg":"EdDSA"}"#, r#"{"sub":"alice","exp":160,"iat":40,"nbf":40}"#);
        let shown = explain(&text, Timestamp(100)).expect("a token");
        assert_eq!(shown.payload["sub"], "alice");
        let notes = shown.notes.join("\n");
        assert!(notes.contains("expires in 1m") && notes.contains("issued 1m ago"), "{notes}");
        assert!(notes.contains("not checked") && !notes.contains("refuses"), "{notes}");
    }

    #[test]
    fn it_says_why_a_token_would_be_refused() {
        let shown = explain(&token(r#"{"alg":"none"}"#, r#"{"sub":1}"#), Timestamp(100)).expect("readable");
        let notes = shown.notes.join("\n");
        assert!(notes.contains("refuses it") && notes.contains("no `exp`"), "{notes}");
        assert!(explain("dwr_abc", Timestamp(0)).is_err());
        assert!(explain("hello", Timestamp(0)).is_err());
    }
}
