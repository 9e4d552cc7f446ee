//! Bodies of `/oauth2`: `application/x-www-form-urlencoded`, each parameter once (RFC 6749 section 3.2), at most 16 KiB.

use std::collections::HashMap;

use axum::extract::Request;
use http::header;

use super::answer::Refusal;
use crate::web::body;

/// Values may be secrets, so it has no `Debug`.
#[derive(Default)]
pub(super) struct Form(HashMap<String, String>);

impl Form {
    pub(super) async fn read(request: Request) -> Result<Self, Refusal> {
        if request.uri().query().is_some() {
            // Where it stands in logs.
            return Err(Refusal::request("Parameters belong into the body, not into the URL."));
        }
        let mut kinds = request.headers().get_all(header::CONTENT_TYPE).iter();
        let essence = kinds.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = essence.split(';').next().unwrap_or_default().trim();
        if kinds.next().is_some() || !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::request("The Content-Type must be application/x-www-form-urlencoded."));
        }
        Self::of(&body::whole(request.into_body()).await?)
    }

    fn of(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut values = HashMap::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            // What could not be read as UTF-8 stands there as U+FFFD.
            if name.contains(odd) || value.contains(odd) {
                return Err(Refusal::request("A parameter has a character that no parameter may have."));
            }
            if values.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(Refusal::request("A parameter came twice."));
            }
        }
        // Without a value it counts as left out.
        values.retain(|_, value| !value.is_empty());
        Ok(Self(values))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::request(format!("The parameter {name} is missing.")))
    }
}

fn odd(c: char) -> bool {
    c.is_control() || c == char::REPLACEMENT_CHARACTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_stands_once_and_one_without_value_is_left_out() {
        let form = Form::of(b"token=a%2Bb+c&scope=&x").unwrap_or_else(|_| panic!("a form"));
        assert_eq!((form.get("token"), form.get("scope"), form.get("x")), (Some("a+b c"), None, None));
        for wrong in
            [&b"token=a&token=b"[..], b"token=a&token=", b"x&x", b"t%6fken=a&token=b", b"a=%00", b"a=%ff", b"a=\xff"]
        {
            assert!(Form::of(wrong).is_err(), "{wrong:?}");
        }
    }
}
