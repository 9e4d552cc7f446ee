//! What the client showed: `Authorization` and `Cookie` lines, against a slow and plain reading of the rule (SEC-T22): one
//! `Bearer` token, or one cookie of ours; two of anything are none.

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE as COOKIE_HEADER};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;

use super::door::{self, Answer, COOKIE, Shown};

/// Each line of the input is an `Authorization` header.
pub fn authorization(data: &[u8]) {
    let Some((lines, answer)) = answer(data, &AUTHORIZATION) else { return };
    let expected = match lines.as_slice() {
        [] => Shown::Nothing,
        [b""] => Shown::Nothing,
        [line] => match (line.get(..7).map(<[u8]>::to_ascii_lowercase).as_deref(), line.get(7..)) {
            (Some(b"bearer "), Some(token)) => token_of(token),
            _ => Shown::Unusable,
        },
        _ => Shown::Unusable,
    };
    assert_eq!(answer.asked.expect("asked").credential, expected, "{lines:?}");
}

/// Each line of the input is a `Cookie` header.
pub fn cookie(data: &[u8]) {
    let Some((lines, answer)) = answer(data, &COOKIE_HEADER) else { return };
    let mut ours = Vec::new();
    for line in &lines {
        for pair in line.split(|byte| *byte == b';') {
            if let Some(value) = pair.trim_ascii().strip_prefix(format!("{COOKIE}=").as_bytes()) {
                ours.push(token_of(value));
            }
        }
    }
    let expected = match ours.as_slice() {
        [] => Shown::Nothing,
        [one] => one.clone(),
        _ => Shown::Unusable,
    };
    assert_eq!(answer.asked.expect("asked").credential, expected, "{lines:?}");
}

/// Asks with the input's lines as headers of this name; `None` where one can be no header.
fn answer<'a>(data: &'a [u8], name: &HeaderName) -> Option<(Vec<&'a [u8]>, Answer)> {
    let lines: Vec<&[u8]> = if data.is_empty() { vec![] } else { data.split(|byte| *byte == b'\n').collect() };
    // More would be refused as too many headers before they are read.
    if lines.len() > 16 || data.len() > 8192 {
        return None;
    }
    let mut request = Request::get("http://app.example/check/nginx")
        .header("x-original-method", "GET")
        .header("x-original-uri", "/a")
        .body(Full::<Bytes>::default())
        .expect("a request");
    for line in &lines {
        request.headers_mut().append(name.clone(), HeaderValue::from_bytes(line).ok()?);
    }
    let answer = door::ask(request);
    assert_eq!(answer.status.as_u16(), 401, "a denial for want of a token");
    Some((lines, answer))
}

fn token_of(bytes: &[u8]) -> Shown {
    let text: String = bytes.iter().copied().map(char::from).collect();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if text.is_empty() || !text.chars().all(fits) { Shown::Unusable } else { Shown::Token(text) }
}
