//! `/openapi.json`: the description of this API, OpenAPI 3.1, made from the handlers that answer it.

use axum::response::{IntoResponse, Response};
use http::header;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// What is no handler's to say.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "doorward",
        description = "Accounts and sessions. Errors are application/problem+json (RFC 9457) with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "accounts", description = "Registering, signing in and out, the profile"),
        (name = "sessions", description = "An account's own sessions"),
        (name = "admin", description = "Other people's accounts; needs the role `admin`"),
        (name = "service", description = "How the service is doing")
    ),
    modifiers(&Bearer)
)]
pub(super) struct Described;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        api.components.get_or_insert_with(Default::default).add_security_scheme("bearer", scheme);
    }
}

/// The description as it is served: the same bytes each time.
pub(super) fn serve(api: &utoipa::openapi::OpenApi) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, api.to_json().unwrap_or_default()).into_response()
}
