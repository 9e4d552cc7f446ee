//! The original request as a proxy told it, and how its headers are read: once, or not at all (SEC-P1).

use http::header::HOST;
use http::{HeaderMap, HeaderName, Method, Request, Uri};

use crate::check::host;

pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_DOORWARD_ROUTE: HeaderName = HeaderName::from_static("x-doorward-route");
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The check's own head, borrowed: most are answered without taking the request apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    pub(super) fn of<B>(request: &'a Request<B>) -> Self {
        Self { method: request.method(), uri: request.uri(), headers: request.headers() }
    }
}

/// What a check is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// Raw path and query.
    pub(super) target: &'a str,
    pub(super) route: Option<&'a str>,
    /// To tell a browser where it was; no decision asks it.
    pub(super) page: Page<'a>,
}

/// How the browser sees the place, as far as a proxy tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page<'a> {
    /// By its scheme, if at all.
    Scheme(&'a str),
    /// By a trusted proxy's headers, read when they are asked for: few checks end in a redirect.
    Hints(&'a HeaderMap),
}

impl<'a> Asked<'a> {
    /// `None` unless all parts are there.
    pub(super) fn new(method: &'a str, host: &'a str, target: &'a str) -> Option<Self> {
        let whole = !method.is_empty() && !host.is_empty() && target.starts_with('/');
        whole.then_some(Self { method, host, target, route: None, page: Page::Scheme("") })
    }

    /// Adds what a trusted proxy tells besides: route, port and scheme. `None` where the route is told twice.
    pub(super) fn with_hints(self, headers: &'a HeaderMap) -> Option<Self> {
        let mut routes = headers.get_all(&X_DOORWARD_ROUTE).iter();
        let route = match (routes.next(), routes.next()) {
            (None, _) => None,
            (Some(route), _) if route.is_empty() => None,
            (Some(route), None) => Some(route.to_str().ok()?),
            (Some(_), Some(_)) => return None,
        };
        Some(Self { route, page: Page::Hints(headers), ..self })
    }

    /// `http` or `https`, where it is known.
    pub(super) fn scheme(&self) -> Option<&'a str> {
        let told = match self.page {
            Page::Scheme(scheme) => Some(scheme),
            Page::Hints(headers) => only(headers, &X_FORWARDED_PROTO),
        };
        told.filter(|scheme| ["http", "https"].contains(scheme))
    }

    /// The host with the port that the browser sees, to send it back there: NGINX's `$host` has no port. Never another
    /// host than the one decided on.
    pub(super) fn shown_host(&self) -> &'a str {
        let Page::Hints(headers) = self.page else { return self.host };
        let same = |shown: &&str| {
            host::canonical(shown).zip(host::canonical(self.host)).is_some_and(|(shown, own)| shown == own)
        };
        only(headers, &X_FORWARDED_HOST).filter(same).unwrap_or(self.host)
    }
}

/// The value of a header that came exactly once, in visible ASCII and blanks.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok(),
        _ => None,
    }
}

/// The check's own host: one `Host` line, or HTTP/2's `:authority`; both only if they agree.
pub(super) fn own_host<'a>(head: &Head<'a>) -> Option<&'a str> {
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    match authority {
        Some(authority) if !head.headers.contains_key(HOST) => Some(authority),
        authority => only(head.headers, &HOST).filter(|host| authority.is_none_or(|it| it == *host)),
    }
}

/// The proxy's id of the request, if it is one that fits a log line.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    only(headers, &X_REQUEST_ID).filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
}
