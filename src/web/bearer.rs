//! The bearer credential of a request, read from exactly one `Authorization` header (RFC 6750 section 2.1, SEC-T22).
//! Tokens in query strings or bodies are not read.

use http::{HeaderMap, header};

use crate::fault::{Fault, Kind};

/// The longest credential that is looked at.
const LONGEST: usize = 8 * 1024;

/// Why there is no credential to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBearer {
    #[error("no Authorization header came")]
    Absent,
    #[error("the Authorization header is repeated, too long, or no bearer credential")]
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

pub fn bearer(headers: &HeaderMap) -> Result<&str, NoBearer> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(NoBearer::Absent),
        // Proxies that copy an absent header send an empty one.
        (Some(value), None) if value.is_empty() => return Err(NoBearer::Absent),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(NoBearer::Unusable),
    };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(NoBearer::Unusable)?;
    // A comma is how some proxies join two headers into one.
    let whole = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    if scheme.eq_ignore_ascii_case("bearer") && whole && token.len() <= LONGEST {
        Ok(token)
    } else {
        Err(NoBearer::Unusable)
    }
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
        let longest = format!("Bearer {}", "a".repeat(LONGEST));
        assert!(read(&[longest.as_bytes()]).is_ok());
        assert_eq!(read(&[format!("{longest}a").as_bytes()]), Err(NoBearer::Unusable));
    }
}
