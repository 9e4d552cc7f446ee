//! Refusals in the words of GraphQL: an error with `extensions.code` as Apollo's clients know them, and what NestJS adds to it.

use async_graphql::{Error, ErrorExtensions, Value, value};

use crate::fault::Kind;
use crate::web::problem::Problem;

/// The document can't be read.
pub(super) const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// It asks for what there is not, in a wrong way, or for too much.
pub(super) const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";

/// `extensions.code`.
pub(super) const fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::Malformed => "BAD_USER_INPUT",
        Kind::Unauthenticated => "UNAUTHENTICATED",
        Kind::Forbidden => "FORBIDDEN",
        Kind::NotFound => "NOT_FOUND",
        Kind::MethodNotAllowed => "METHOD_NOT_ALLOWED",
        Kind::Conflict => "CONFLICT",
        Kind::TooLarge => "PAYLOAD_TOO_LARGE",
        Kind::Limited => "TOO_MANY_REQUESTS",
        Kind::Unavailable => "SERVICE_UNAVAILABLE",
    }
}

/// What a field is refused with. `reason` is the code that the other faces give.
impl From<&Problem> for Error {
    fn from(problem: &Problem) -> Self {
        Self::new(problem.detail.as_ref()).extend_with(|_, extensions| {
            extensions.set("code", code(problem.kind));
            extensions.set("reason", problem.code);
            extensions.set("originalError", original(problem));
        })
    }
}

/// The exception as NestJS tells it beside the code.
fn original(problem: &Problem) -> Value {
    value!({ "statusCode": (problem.kind.http().as_u16()), "message": (problem.detail.to_string()) })
}
