//! JWS compact serialization, read strictly: RFC 7515 sections 3.1 and 5.2, with the advice of RFC 8725.
//!
//! Nothing here knows keys or claims. The verifier asks this before any cryptography: what a lenient reader would let
//! through (padding, doubled members, `crit`, keys inside the token) ends here.

use serde_json::{Map, Value};

use crate::secret::from_base64url;
use crate::token::keys::Algorithm;
use crate::token::{TokenError, json};

/// The longest token that is looked at (SEC-T7). Proxies in front of us allow header lines of about this size.
pub const MAX_LENGTH: usize = 8 * 1024;

/// The longest `kid` that is looked up (SEC-T5).
pub const MAX_KID: usize = 128;

/// A well-formed token whose signature nobody has looked at yet: its payload is bytes, not claims.
#[derive(Clone)]
pub struct Compact<'a> {
    pub header: Header,
    pub payload: Vec<u8>,
    /// The ASCII bytes the signature covers: header and payload as they came, joined by a dot.
    pub signing_input: &'a str,
    pub signature: Vec<u8>,
}

/// The part of a JOSE header that doorward acts on (RFC 7515 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    pub typ: Option<String>,
}

/// Header members that change what a token means, or bring a key along. We implement none of them, so each is refused by
/// its presence: extensions and unencoded or compressed payloads (SEC-T6), keys and where to find them (SEC-T4).
const REFUSED: [&str; 8] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c"];

impl<'a> Compact<'a> {
    /// # Errors
    /// [`TokenError::Malformed`], whose words never hold a part of the token.
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_LENGTH {
            return Err(TokenError::Malformed("longer than 8 KiB"));
        }
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(TokenError::Malformed("not three segments"));
        };
        let signing_input = &token[..header.len() + 1 + payload.len()];
        Ok(Self {
            header: Header::read(&decoded(header)?)?,
            payload: decoded(payload)?,
            signing_input,
            signature: decoded(signature)?,
        })
    }

    /// The payload as claims: one JSON object. To be asked only once the signature holds (SEC-T16).
    ///
    /// # Errors
    /// [`TokenError::Malformed`] unless it is one strict JSON object (SEC-T8).
    pub fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        json::object(&self.payload).ok_or(TokenError::Malformed("the payload is not one strict JSON object"))
    }
}

impl std::fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compact").field("header", &self.header).finish_non_exhaustive()
    }
}

fn decoded(segment: &str) -> Result<Vec<u8>, TokenError> {
    match from_base64url(segment) {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(TokenError::Malformed("a segment is empty or not canonical base64url")),
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, TokenError> {
        let members = json::object(bytes).ok_or(TokenError::Malformed("the header is not one strict JSON object"))?;
        if REFUSED.iter().any(|name| members.contains_key(*name)) {
            return Err(TokenError::Malformed("the header has a member that is never accepted"));
        }
        let text = |name| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(TokenError::Malformed("`alg`, `kid`, `typ` or `cty` is not a string")),
        };
        // `none` in any spelling is no algorithm of ours either (SEC-T2).
        let algorithm = text("alg")?
            .and_then(|name| Algorithm::from_name(&name))
            .ok_or(TokenError::Malformed("`alg` is missing or unknown"))?;
        if text("cty")?.is_some_and(|cty| media_type(&cty).eq_ignore_ascii_case("JWT")) {
            return Err(TokenError::Malformed("a token inside a token"));
        }
        let kid = text("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(TokenError::Malformed("`kid` is longer than 128 bytes"));
        }
        Ok(Self { algorithm, kid, typ: text("typ")? })
    }

    /// Whether `typ` names this media type: without case, and with or without `application/` (RFC 7515 section 4.1.9).
    pub fn is_of_type(&self, wanted: &str) -> bool {
        self.typ.as_deref().is_some_and(|typ| media_type(typ).eq_ignore_ascii_case(media_type(wanted)))
    }
}

fn media_type(text: &str) -> &str {
    const PREFIX: &str = "application/";
    match text.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => &text[PREFIX.len()..],
        _ => text,
    }
}
