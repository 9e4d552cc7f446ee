//! What the client showed: one bearer token (RFC 6750 section 2.1), or one cookie where that is configured (SEC-T22).
//!
//! Whatever is not plainly one token is [`Credential::Unusable`]: two `Authorization` lines, the same joined by a comma
//! (as Envoy does), another scheme, blanks or control bytes in the token, our cookie twice, or a cookie that differs from
//! the header. A query string is never looked at.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::check::Credential;
use crate::token::bearer::{self, NoBearer};

/// The credential, and whether only a cookie carried it: browsers send those unasked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub(super) credential: Credential<'a>,
    pub(super) by_cookie: bool,
}

/// `cookie` is the name of the cookie that may carry a token; empty: none may.
pub(super) fn read<'a>(headers: &'a HeaderMap, cookie: &str) -> Shown<'a> {
    let header = from_authorization(headers);
    let cookie = if cookie.is_empty() { Credential::None } else { from_cookies(headers, cookie.as_bytes()) };
    match (header, cookie) {
        (header, Credential::None) => Shown { credential: header, by_cookie: false },
        (Credential::None, cookie) => Shown { credential: cookie, by_cookie: true },
        (Credential::Bearer(one), Credential::Bearer(other)) if one == other => {
            Shown { credential: header, by_cookie: false }
        }
        _ => Shown { credential: Credential::Unusable, by_cookie: false },
    }
}

fn from_authorization(headers: &HeaderMap) -> Credential<'_> {
    match bearer::credential(headers) {
        Ok(shown) => token_of(shown),
        Err(NoBearer::Absent) => Credential::None,
        Err(NoBearer::Unusable) => Credential::Unusable,
    }
}

/// Every `Cookie` line, split at `;` only: a comma may stand in another cookie's value (contract rule 9).
fn from_cookies<'a>(headers: &'a HeaderMap, name: &[u8]) -> Credential<'a> {
    let mut ours = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="));
    match (ours.next(), ours.next()) {
        (None, _) => Credential::None,
        (Some(token), None) => token_of(token),
        (Some(_), Some(_)) => Credential::Unusable,
    }
}

/// The cookies without ours, where ours came: the app is to know who asks, never to hold the token (SEC-P13).
pub(super) fn other_cookies(headers: &HeaderMap, name: &str) -> Option<HeaderValue> {
    let ours = |pair: &&[u8]| pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
    let lines = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let (taken, left): (Vec<_>, Vec<_>) = lines.map(<[u8]>::trim_ascii).partition(ours);
    let others = || HeaderValue::from_bytes(&left.join(&b"; "[..])).unwrap_or(HeaderValue::from_static(""));
    (!name.is_empty() && !taken.is_empty()).then(others)
}

fn token_of(bytes: &[u8]) -> Credential<'_> {
    bearer::token(bytes).map_or(Credential::Unusable, Credential::Bearer)
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn shown(authorization: &[&str], cookies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        for line in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let shown = read(&headers, "door");
        match shown.credential {
            Credential::None => "none".into(),
            Credential::Unusable => "unusable".into(),
            Credential::Bearer(token) if shown.by_cookie => format!("cookie {token}"),
            Credential::Bearer(token) => format!("header {token}"),
        }
    }

    // SEC-T22
    #[test]
    fn exactly_one_bearer_token_is_read() {
        assert_eq!(shown(&[], &[]), "none");
        assert_eq!(shown(&[""], &[]), "none");
        assert_eq!(shown(&["Bearer a.b-c_d"], &[]), "header a.b-c_d");
        assert_eq!(shown(&["bEARER a"], &[]), "header a");
        for line in [
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "Bearer a,Bearer b",
            "Bearer\ta",
            "Basic YTpi",
            "Bearera",
            "Bearer é",
            "a.b.c",
            "Bearer a\tb",
            "é",
        ] {
            assert_eq!(shown(&[line], &[]), "unusable", "{line:?}");
        }
        assert_eq!(shown(&["Bearer a", "Bearer a"], &[]), "unusable");
        assert_eq!(shown(&["", "Bearer a"], &[]), "unusable");
        assert_eq!(shown(&["Bearer a", "Basic YTpi"], &[]), "unusable");
    }

    // SEC-C1, contract rule 9
    #[test]
    fn the_cookie_is_found_in_any_line_and_counts_once() {
        assert_eq!(shown(&[], &["x=1; door=a; y=2"]), "cookie a");
        assert_eq!(shown(&[], &["x=1", "door=a"]), "cookie a");
        assert_eq!(shown(&[], &["x=1,2; door=a"]), "cookie a", "a comma belongs to another cookie's value");
        assert_eq!(shown(&[], &["x=1,door=a"]), "none", "no cookie begins after a comma");
        assert_eq!(shown(&[], &["Door=a; doors=b; x=door=c"]), "none");
        for cookies in
            [["door=a", "door=b"], ["door=a", "door=a"], ["door=a,x=1", ""], ["door=", ""], ["door=\"a\"", ""]]
        {
            assert_eq!(shown(&[], &cookies), "unusable", "{cookies:?}");
        }
    }

    // SEC-T22
    #[test]
    fn a_header_and_a_cookie_must_agree() {
        assert_eq!(shown(&["Bearer a"], &["door=a"]), "header a");
        assert_eq!(shown(&["Bearer a"], &["door=b"]), "unusable");
        assert_eq!(shown(&["Basic YTpi"], &["door=b"]), "unusable");
        assert_eq!(shown(&["Bearer a"], &["door=b; door=b"]), "unusable");
    }

    // SEC-T22
    #[test]
    fn no_length_panics() {
        let long = "a".repeat(1 << 20);
        assert_eq!(shown(&[&format!("Bearer {long}")], &[]), format!("header {long}"));
        for n in 0..8 {
            shown(&[&"Bearer é"[..n]], &[]);
        }
    }
}
