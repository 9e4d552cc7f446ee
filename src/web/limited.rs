//! What limits say, in the answer's head: `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10 where a
//! limit was asked, `Retry-After` where it refused.

use std::sync::{Arc, OnceLock};

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::limit::Standing;

static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Travels with a request, for the limit that is asked to leave its word.
#[derive(Clone, Debug, Default)]
pub(crate) struct LimitNote(pub(crate) Arc<OnceLock<Standing>>);

impl LimitNote {
    pub(crate) fn tell(&self, response: &mut Response) {
        let Some(standing) = self.0.get() else { return };
        let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
        let headers = response.headers_mut();
        for (name, value) in [(&RATELIMIT_POLICY, standing.policy()), (&RATELIMIT, standing.field())] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        if refused {
            headers.insert(header::RETRY_AFTER, standing.retry_after().into());
        }
    }
}
