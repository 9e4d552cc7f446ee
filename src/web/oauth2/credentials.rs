//! What a request shows of its client: HTTP Basic, parameters of the body, an assertion, or a caller's key. One way at a
//! time (RFC 6749 section 2.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

use super::answer::Refusal;
use super::form::Form;
use crate::oauth::proof::Proof;
use crate::token::bearer::bearer;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) enum Shown<'a> {
    Nothing,
    Basic { id: String, secret: String },
    Body { id: &'a str, secret: &'a str },
    Assertion { id: Option<&'a str>, jwt: &'a str },
    Name(&'a str),
    Bearer(&'a str),
}

impl<'a> Shown<'a> {
    pub(super) fn of(headers: &'a HeaderMap, form: &'a Form) -> Result<Self, Refusal> {
        let id = form.get("client_id");
        let secret = form.get("client_secret");
        let assertion = (form.get("client_assertion_type"), form.get("client_assertion"));
        if headers.contains_key(header::AUTHORIZATION) {
            if secret.is_some() || assertion != (None, None) {
                return Err(Refusal::request("The client must prove itself in one way, not in two."));
            }
            let shown = authorization(headers)?;
            if let (Self::Basic { id: user, .. }, Some(id)) = (&shown, id)
                && user != id
            {
                return Err(Refusal::request("The client_id is not that of the Authorization header."));
            }
            return Ok(shown);
        }
        match (secret, assertion, id) {
            (Some(_), (Some(_), _) | (_, Some(_)), _) => {
                Err(Refusal::request("The client must prove itself in one way, not in two."))
            }
            (Some(secret), (None, None), Some(id)) => Ok(Self::Body { id, secret }),
            (Some(_), (None, None), None) => Err(Refusal::request("The parameter client_id is missing.")),
            (None, (Some(JWT_BEARER), Some(jwt)), id) => Ok(Self::Assertion { id, jwt }),
            (None, (None, None), Some(id)) => Ok(Self::Name(id)),
            (None, (None, None), None) => Ok(Self::Nothing),
            (None, ..) => {
                Err(Refusal::request("client_assertion_type must be the one of RFC 7523, beside client_assertion."))
            }
        }
    }

    /// The client's proof, if any came.
    pub(super) fn proof(&self) -> Result<Option<Proof<'_>>, Refusal> {
        Ok(Some(match self {
            Self::Nothing => return Ok(None),
            Self::Basic { id, secret } => Proof::Secret { id, secret },
            Self::Body { id, secret } => Proof::Secret { id, secret },
            Self::Assertion { id, jwt } => Proof::Assertion { id: *id, jwt },
            Self::Name(id) => Proof::Name(id),
            Self::Bearer(_) => return Err(Refusal::client()),
        }))
    }

    /// A caller's key, if that is what came.
    pub(super) const fn bearer(&self) -> Option<&str> {
        match self {
            Self::Bearer(key) => Some(key),
            _ => None,
        }
    }
}

fn authorization(headers: &HeaderMap) -> Result<Shown<'_>, Refusal> {
    if let Ok(key) = bearer(headers) {
        return Ok(Shown::Bearer(key));
    }
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(Refusal::request("The Authorization header came twice."));
    };
    basic(line.as_bytes()).ok_or_else(Refusal::client)
}

/// RFC 7617, with the form encoding inside that RFC 6749 section 2.3.1 asks for.
fn basic<'a>(line: &[u8]) -> Option<Shown<'a>> {
    let (scheme, encoded) = line.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some(Shown::Basic { id: decoded(id), secret: decoded(secret) })
}

/// One form-encoded value: `=` and `&` stand in none, and where they do they are the value's own.
fn decoded(text: &str) -> String {
    let text = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes()).next().map(|(value, _)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, String)> {
        match basic(line.as_bytes())? {
            Shown::Basic { id, secret } => Some((id, secret)),
            _ => None,
        }
    }

    #[test]
    fn basic_credentials_are_read_with_the_form_encoding_inside() {
        let line = |pair: &str| format!("bAsIc {}", STANDARD.encode(pair));
        let got = |pair: &str| read(&line(pair)).expect("credentials");
        assert_eq!(got("billing:dwc_a-b"), ("billing".into(), "dwc_a-b".into()));
        assert_eq!(got("a%3Ab:c%26+d:e"), ("a:b".into(), "c& d:e".into()));
        assert_eq!(got("a&b=c:"), ("a&b=c".into(), String::new()));
        for wrong in ["Basic", "Basic !", "Basic YQ==", "Basic /w==", "Digest YTpi", "Basic  YTpi"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
