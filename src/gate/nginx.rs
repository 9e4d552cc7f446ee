//! NGINX `auth_request`: the original request in `X-Original-Method`, `X-Original-URI` and `Host`. NGINX lets 200 pass
//! and honours 401 and 403; any other status becomes its own 500, and a body would cost the connection.

use http::header::LOCATION;
use http::{HeaderName, HeaderValue, Response};

use crate::check::Denial;
use crate::gate::asked::{Asked, Head, only, own_host};
use crate::gate::body::Body;
use crate::gate::reply;

static X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
static X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
static X_DOORWARD_STATUS: HeaderName = HeaderName::from_static("x-doorward-status");

/// All three, each exactly once (SEC-P1), from a peer whose word counts (SEC-P2).
pub(super) fn read<'a>(head: &Head<'a>, trusted: bool) -> Option<Asked<'a>> {
    if !trusted {
        return None;
    }
    let method = only(head.headers, &X_ORIGINAL_METHOD)?;
    let target = only(head.headers, &X_ORIGINAL_URI)?;
    Asked::new(method, own_host(head)?, target)?.with_hints(head.headers)
}

/// The status again in `X-Doorward-Status`, for an `error_page` of NGINX, which has only a 500 to go by otherwise; and
/// where to sign in as `Location` of the 401: NGINX redirects by itself, since it can't pass on a 302.
pub(super) fn deny(denial: Denial, sign_in: Option<HeaderValue>) -> Response<Body> {
    let mut response = reply::bare_denial(denial);
    let status = response.status().as_u16();
    response.headers_mut().insert(&X_DOORWARD_STATUS, status.into());
    if let Some(location) = sign_in {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
