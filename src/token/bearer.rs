//! The bearer credential of a request: what stands in exactly one `Authorization` header (RFC 6750 section 2.1, SEC-T22).
//! Read by `gate` and `web`. Tokens in query strings or bodies are not read.

use http::{HeaderMap, header};

use crate::fault::{Fault, Kind};

/// Why there is no credential to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBearer {
    #[error("no Authorization header came")]
    Absent,
    #[error("the Authorization header is repeated, or no bearer credential")]
    Unusable,
}

impl Fault for NoBearer {
    fn kind(&self) -> Kind {
        Kind::Unauthenticated
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Absent => "no_token",
            Self::Unusable => "invalid_token",
        }
    }
}

/// A token, or a caller's key: anything of visible ASCII. Who takes it knows how long it may be.
///
/// # Errors
/// [`NoBearer`], also where blanks or a comma stand in it: a comma is how some proxies join two headers into one.
pub fn bearer(headers: &HeaderMap) -> Result<&str, NoBearer> {
    text(credential(headers)?, |byte| byte.is_ascii_graphic() && byte != b',').ok_or(NoBearer::Unusable)
}

/// Whatever follows `Bearer `.
///
/// # Errors
/// [`NoBearer`].
pub fn credential(headers: &HeaderMap) -> Result<&[u8], NoBearer> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let line = match (lines.next(), lines.next()) {
        (None, _) => return Err(NoBearer::Absent),
        // Proxies that copy an absent header send an empty one.
        (Some(line), None) if line.is_empty() => return Err(NoBearer::Absent),
        (Some(line), None) => line.as_bytes(),
        (Some(_), Some(_)) => return Err(NoBearer::Unusable),
    };
    match line.split_at_checked("Bearer ".len()) {
        Some((scheme, shown)) if scheme.eq_ignore_ascii_case(b"Bearer ") => Ok(shown),
        _ => Err(NoBearer::Unusable),
    }
}

/// The `b64token` of RFC 6750, without anything around it: every token has this form.
pub fn token(bytes: &[u8]) -> Option<&str> {
    text(bytes, |byte| {
        // Without branches, so that the compiler takes 16 bytes at a time.
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let other = |one: u8| byte == one;
        // `-`, `.`, `/` and the digits are one range.
        letter | (byte.wrapping_sub(b'-') <= b'9' - b'-') | other(b'_') | other(b'~') | other(b'+') | other(b'=')
    })
}

fn text(bytes: &[u8], fits: impl Fn(u8) -> bool) -> Option<&str> {
    let whole = !bytes.is_empty() & bytes.iter().fold(true, |so_far, byte| so_far & fits(*byte));
    std::str::from_utf8(bytes).ok().filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<String, NoBearer> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).expect("a header value"));
        }
        bearer(&headers).map(str::to_owned)
    }

    // SEC-T22
    #[test]
    fn exactly_one_bearer_credential_is_read() {
        assert_eq!(read(&[b"Bearer abc.def"]).as_deref(), Ok("abc.def"));
        assert_eq!(read(&[b"bEaReR abc"]).as_deref(), Ok("abc"));
        assert_eq!(read(&[]), Err(NoBearer::Absent));
        assert_eq!(read(&[b""]), Err(NoBearer::Absent));
        let unusable: [&[&[u8]]; 12] = [
            &[b"Bearer a", b"Bearer b"],
            &[b"Bearer a", b"Bearer a"],
            &[b"Bearer a,Bearer b"],
            &[b"Bearer a, b"],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer  a"],
            &[b"Bearer\ta"],
            &[b"Basic abc"],
            &[b"abc"],
            &[b"", b"Bearer a"],
            &[b"Bearer \xff"],
        ];
        for values in unusable {
            assert_eq!(read(values), Err(NoBearer::Unusable), "{values:?}");
        }
    }

    // Caller keys have other characters than tokens.
    #[test]
    fn a_token_is_of_its_own_alphabet_and_any_other_credential_of_visible_ascii() {
        assert_eq!(read(&[b"Bearer k!y"]).as_deref(), Ok("k!y"));
        assert_eq!(token(b"a.b-c_d~+/="), Some("a.b-c_d~+/="));
        for bytes in [&b""[..], b"k!y", b"a b", b"a,b", b"\"a\"", b"\xff"] {
            assert_eq!(token(bytes), None, "{bytes:?}");
        }
        for byte in 0..=u8::MAX {
            let fits = byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
            assert_eq!(token(&[byte]).is_some(), fits, "{byte:#04x}");
        }
    }
}
