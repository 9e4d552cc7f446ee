//! May a cookie speak for this request? A browser adds cookies to requests that other sites make (SEC-C2).

use http::header::ORIGIN;
use http::{HeaderMap, HeaderName};

use crate::gate::asked::only;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// True for methods that change nothing; for others if the browser says that the page's own site asked: by
/// `Sec-Fetch-Site`, and by `Origin` where one came. Neither: false.
pub(super) fn may_use_cookie(method: &str, host: &str, headers: &HeaderMap) -> bool {
    if ["GET", "HEAD", "OPTIONS"].contains(&method) {
        return true;
    }
    let own_origin =
        headers.contains_key(ORIGIN).then(|| only(headers, &ORIGIN).is_some_and(|origin| names_host(origin, host)));
    let own_site = headers.contains_key(&SEC_FETCH_SITE).then(|| only(headers, &SEC_FETCH_SITE));
    match (own_site, own_origin) {
        (_, Some(false)) | (Some(Some("cross-site") | None), _) | (None, None) => false,
        (Some(Some("same-origin" | "none")), _) | (_, Some(true)) => true,
        (Some(Some(_)), None) => false,
    }
}

/// The hosts must be the same, and the ports where both tell one: NGINX's `$host` has none.
fn names_host(origin: &str, host: &str) -> bool {
    let Some((_, origin)) = origin.split_once("://") else { return false };
    let ((name, port), (own_name, own_port)) = (split_port(origin), split_port(host));
    !name.is_empty()
        && name.eq_ignore_ascii_case(own_name)
        && port.zip(own_port).is_none_or(|(port, own_port)| port == own_port)
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        may_use_cookie(method, "app.example:8443", &map)
    }

    // SEC-C2
    #[test]
    fn a_cookie_speaks_only_for_requests_of_its_own_site() {
        assert!(may("GET", &[("sec-fetch-site", "cross-site")]));
        assert!(may("POST", &[("sec-fetch-site", "same-origin")]));
        assert!(may("POST", &[("origin", "https://App.example:8443")]));
        assert!(may("POST", &[("origin", "https://app.example")]));
        assert!(may("POST", &[("sec-fetch-site", "same-site"), ("origin", "https://app.example:8443")]));
        assert!(!may("POST", &[]));
        assert!(!may("post", &[]), "methods compare exactly: an unknown one is unsafe");
        assert!(!may("POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example:8443")]));
        assert!(!may("POST", &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")]));
        assert!(!may("POST", &[("sec-fetch-site", "same-site")]));
        assert!(!may("POST", &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")]));
        for origin in ["null", "https://evil.example", "https://app.example:1", "https://", "app.example:8443"] {
            assert!(!may("DELETE", &[("origin", origin)]), "{origin}");
        }
    }
}
