//! Forward auth as Traefik, Caddy and HAProxy scripts do it: the original request in `X-Forwarded-Method`, `-Uri` and
//! `-Host`. Denials are relayed to the client as they are.

use http::HeaderName;

use crate::gate::asked::{Asked, Head, X_FORWARDED_HOST, only};

static X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
static X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// All three, each exactly once (SEC-P1), from a peer whose word counts (SEC-P2).
pub(super) fn read<'a>(head: &Head<'a>, trusted: bool) -> Option<Asked<'a>> {
    if !trusted {
        return None;
    }
    let method = only(head.headers, &X_FORWARDED_METHOD)?;
    let target = only(head.headers, &X_FORWARDED_URI)?;
    let host = only(head.headers, &X_FORWARDED_HOST)?;
    // Forward-auth proxies pass all of the client's headers on, so a route among them may be the client's own.
    Asked::new(method, host, target)?.with_hints(head.headers).map(|asked| Asked { route: None, ..asked })
}
