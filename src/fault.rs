//! Kinds of failure, and the one table that turns a kind into an HTTP or gRPC status.
//!
//! Every error of a decision or a store names its [`Kind`]; only this file knows status codes.

use http::StatusCode;
use tonic::Code;

/// What went wrong, as far as the caller may act on it.
///
/// There is no "internal error": what we cannot know is [`Kind::Unavailable`], an explicit answer that asks to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be understood as it is.
    Malformed,
    /// No credential, or one that does not count.
    Unauthenticated,
    /// A known caller who may not.
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    TooLarge,
    /// Too many attempts.
    Limited,
    /// A dependency gave no answer: neither yes nor no.
    Unavailable,
}

impl Kind {
    pub const fn status(self) -> (StatusCode, Code) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::Forbidden => (StatusCode::FORBIDDEN, Code::PermissionDenied),
            Self::NotFound => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented),
            Self::Conflict => (StatusCode::CONFLICT, Code::AlreadyExists),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument),
            Self::Limited => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        }
    }

    pub const fn http(self) -> StatusCode {
        self.status().0
    }

    pub const fn grpc(self) -> Code {
        self.status().1
    }
}

/// An error that knows its kind. Doors log the source chain once and send only `code` and the kind's words.
pub trait Fault: std::error::Error {
    fn kind(&self) -> Kind;

    /// A stable snake_case word for clients and logs, such as `refresh_reused`.
    fn code(&self) -> &'static str;
}
