//! Refusals: every "no" as a status with rich error details (`google.rpc.ErrorInfo` and its like). Handlers return a
//! [`Problem`] as REST's do; `every_call` words it, since only there the request id and the limit are at hand.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::fault::Kind;
use crate::limit::Standing;
use crate::web::problem::Problem;

/// The `domain` of our `ErrorInfo`.
const DOMAIN: &str = "doorward";

/// A problem on its way out, and the field it is about.
#[derive(Clone, Debug)]
struct Refusal {
    problem: Problem,
    field: Option<&'static str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.detail)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    fn status(self) -> Status {
        let mut status = Status::new(self.problem.kind.grpc(), self.to_string());
        status.set_source(Arc::new(self));
        status
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let field = match problem.code {
            "invalid_email" => Some("email"),
            "password_too_long" | "weak_password" => Some("password"),
            _ => None,
        };
        Refusal { problem, field }.status()
    }
}

/// The field, which must not be empty. In proto3 an empty text is one that was not sent.
pub(super) fn wanted(field: &'static str, text: String) -> Result<String, Status> {
    if text.is_empty() {
        let problem = Problem::malformed(format!("The field `{field}` is missing."));
        return Err(Refusal { problem, field: Some(field) }.status());
    }
    Ok(text)
}

/// The status as the client gets it.
pub(super) fn worded(status: &Status, request_id: &str, limit: Option<&Standing>) -> Status {
    let refusal = std::error::Error::source(status).and_then(|source| source.downcast_ref::<Refusal>()).cloned();
    let mut details = ErrorDetails::new();
    details.set_request_info(request_id, "");
    let Some(Refusal { problem, field }) = refusal.or_else(|| of_tonic(status)) else {
        details.set_error_info(capitals(&format!("{:?}", status.code())), DOMAIN, HashMap::new());
        // For a method that a service does not have, tonic has no words.
        let words = Some(status.message()).filter(|words| !words.is_empty());
        return Status::with_error_details(status.code(), words.unwrap_or("No such method is served here."), details);
    };
    let Problem { kind, code, detail } = &problem;
    details.set_error_info(code.to_ascii_uppercase(), DOMAIN, HashMap::new());
    if let Some(field) = field {
        details.add_bad_request_violation(field, detail.as_ref());
    }
    match (kind, limit) {
        (Kind::Limited, Some(standing)) => {
            details.set_retry_info(Some(Duration::from_secs(standing.retry_after())));
        }
        (Kind::Unavailable, _) => {
            details.set_retry_info(Some(Duration::from_secs(1)));
        }
        _ => {}
    }
    Status::with_error_details(kind.grpc(), detail.as_ref(), details)
}

/// What tonic itself refuses of a message, in our words: it knows no fault of the client's here.
fn of_tonic(status: &Status) -> Option<Refusal> {
    let problem = match status.code() {
        Code::OutOfRange => Problem::new(Kind::TooLarge, "too_large", "The message is larger than 64 KiB."),
        Code::Internal | Code::Unknown => Problem::malformed("The message can't be read."),
        _ => return None,
    };
    Some(Refusal { problem, field: None })
}

/// `DeadlineExceeded` as `DEADLINE_EXCEEDED`.
fn capitals(name: &str) -> String {
    let mut told = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !told.is_empty() {
            told.push('_');
        }
        told.push(letter.to_ascii_uppercase());
    }
    told
}
