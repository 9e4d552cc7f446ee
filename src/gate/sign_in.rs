//! Where a browser without a valid token is sent: the configured page, with the wanted URL as `rd`. NGINX can't encode a
//! URL into another, so it is done here. Only a trusted proxy tells the scheme, and without one there is no `rd`.

use std::fmt::Write;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

use crate::check::Denial;
use crate::fault::{Fault, Kind};
use crate::gate::asked::Asked;

/// NGINX reads answer heads of 4 KiB by default and turns longer ones into 500: better sign in and land on the front page.
const LONGEST_RETURN: usize = 2048;

#[derive(Debug)]
pub(super) struct SignIn {
    url: String,
    /// The page's URL, as it is without `rd`.
    bare: HeaderValue,
}

impl SignIn {
    /// `None` for the empty string, and for what could never be a `Location`.
    pub(super) fn at(url: &str) -> Option<Self> {
        let bare = HeaderValue::from_str(url).ok().filter(|value| !value.is_empty())?;
        Some(Self { url: url.to_owned(), bare })
    }

    /// The `Location` of a denial that signing in may cure, for a browser that wanted to see a page. Where `or_silent`,
    /// a request without `Accept` counts as a browser's: NGINX's configuration decides there, and may not pass it on.
    pub(super) fn location(
        &self,
        denial: Denial,
        asked: &Asked<'_>,
        headers: &HeaderMap,
        or_silent: bool,
    ) -> Option<HeaderValue> {
        let page = ["GET", "HEAD"].contains(&asked.method);
        if denial.kind() != Kind::Unauthenticated || !page || !wants_html(headers, or_silent) {
            return None;
        }
        let back = asked.scheme().map(|scheme| encoded(&format!("{scheme}://{}{}", asked.shown_host(), asked.target)));
        match back.filter(|back| back.len() <= LONGEST_RETURN) {
            None => Some(self.bare.clone()),
            Some(back) => {
                let joint = if self.url.contains('?') { '&' } else { '?' };
                HeaderValue::try_from(format!("{}{joint}rd={back}", self.url)).ok()
            }
        }
    }
}

fn wants_html(headers: &HeaderMap, or_silent: bool) -> bool {
    let html = b"text/html";
    let mut lines = headers.get_all(ACCEPT).iter().peekable();
    (or_silent && lines.peek().is_none())
        || lines.any(|line| line.as_bytes().windows(html.len()).any(|part| part.eq_ignore_ascii_case(html)))
}

/// Percent-encoding of all but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            write!(out, "%{byte:02X}").expect("a String takes all");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::asked::Page;

    fn location(url: &str, target: &str, scheme: Option<&'static str>, accept: Option<&str>) -> Option<String> {
        let page = Page::Scheme(scheme.unwrap_or_default());
        let asked = Asked { page, ..Asked::new("GET", "app.example", target).unwrap() };
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        let location = SignIn::at(url)?.location(Denial::NoToken, &asked, &headers, false)?;
        Some(location.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_browser_is_sent_to_the_page_with_the_wanted_url_encoded() {
        let page = "https://login.example/sign-in";
        let html = Some("text/html,application/xhtml+xml");
        assert_eq!(
            location(page, "/a?b=1&c=%20", Some("https"), html).as_deref(),
            Some("https://login.example/sign-in?rd=https%3A%2F%2Fapp.example%2Fa%3Fb%3D1%26c%3D%2520")
        );
        assert_eq!(
            location("https://l.example/?x=1", "/", Some("http"), html).as_deref(),
            Some("https://l.example/?x=1&rd=http%3A%2F%2Fapp.example%2F")
        );
        assert_eq!(location(page, "/", None, html).as_deref(), Some(page), "an unknown scheme is not guessed");
        assert_eq!(location(page, &format!("/{}", "a".repeat(4000)), Some("https"), html).as_deref(), Some(page));
    }

    #[test]
    fn others_than_browsers_are_not_sent_anywhere() {
        assert_eq!(location("https://l.example/", "/", Some("https"), Some("application/json")), None);
        assert_eq!(location("https://l.example/", "/", Some("https"), None), None);
        assert_eq!(location("", "/", Some("https"), Some("text/html")), None);
        let sign_in = SignIn::at("https://l.example/").unwrap();
        let asked = Asked::new("POST", "app.example", "/").unwrap();
        assert_eq!(sign_in.location(Denial::NoToken, &asked, &HeaderMap::new(), true), None, "a POST would be lost");
        let asked = Asked::new("GET", "app.example", "/").unwrap();
        assert!(sign_in.location(Denial::NoToken, &asked, &HeaderMap::new(), true).is_some());
        for denial in [Denial::Forbidden, Denial::Unavailable, Denial::BadPath] {
            assert_eq!(sign_in.location(denial, &asked, &HeaderMap::new(), true), None, "{denial}");
        }
    }
}
