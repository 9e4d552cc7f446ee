//! Envoy `ext_authz` over HTTP: the check is the original request with `/check/envoy` before its path, so method, path
//! and host are the check's own. (A raw `#` never gets here: Envoy refuses it, and hyper would cut it off.)

use http::header::COOKIE;
use http::{HeaderName, HeaderValue, Response};

use crate::check::known::Holder;
use crate::gate::asked::{Asked, Head, own_host};
use crate::gate::body::Body;
use crate::gate::reply;

const PREFIX: &str = "/check/envoy";
static X_ENVOY_AUTH_HEADERS_TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// The check's own words need no trust; a route and other hints do (SEC-P2).
pub(super) fn read<'a>(head: &Head<'a>, trusted: bool) -> Option<Asked<'a>> {
    let target = head.uri.path_and_query()?.as_str().strip_prefix(PREFIX)?;
    let asked = Asked::new(head.method.as_str(), own_host(head)?, target)?;
    if trusted { asked.with_hints(head.headers) } else { Some(asked) }
}

/// Envoy passes on a client's own header unless the answer sets or removes it (contract rule 11); so also the cookies,
/// where ours is among them.
pub(super) fn allow(
    identity: Option<&Holder>,
    remove: Option<HeaderValue>,
    cookies: Option<HeaderValue>,
) -> Response<Body> {
    let mut response = reply::allow(identity);
    let headers = response.headers_mut();
    let mut names = remove;
    match cookies {
        Some(none) if none.is_empty() => {
            let others = names.iter().filter_map(|names| names.to_str().ok());
            let all: Vec<_> = others.chain(std::iter::once(COOKIE.as_str())).collect();
            names = HeaderValue::try_from(all.join(", ")).ok();
        }
        Some(others) => {
            headers.insert(COOKIE, others);
        }
        None => {}
    }
    if let Some(names) = names {
        headers.insert(&X_ENVOY_AUTH_HEADERS_TO_REMOVE, names);
    }
    response
}
