//! Request bodies: one JSON object of known members, each once, at most 16 KiB (SEC-L11, D1).

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::fault::Kind;
use crate::token::json;
use crate::web::problem::Problem;

/// The largest body that is read.
const MOST: usize = 16 * 1024;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The members of a body, as a struct that knows them all: `#[serde(deny_unknown_fields)]`.
pub(super) trait Members: DeserializeOwned {
    /// What the body must have, for whoever sent another one. What came is not quoted: it may be a password.
    const SHAPE: &'static str;
}

/// Reads the body's object.
pub(super) async fn members<T: Members>(request: Request) -> Result<T, Problem> {
    let object = object(request).await?;
    serde_json::from_value(Value::Object(object)).map_err(|_| {
        Problem::malformed(format!("The body must be one JSON object with {}, and nothing else.", T::SHAPE))
    })
}

/// The one member that the body's object must have, and may have.
pub async fn only_member(request: Request, name: &'static str) -> Result<Value, Problem> {
    let mut object = object(request).await?;
    let value = object.remove(name).ok_or_else(|| Problem::malformed(format!("The member `{name}` is missing.")))?;
    if object.is_empty() {
        Ok(value)
    } else {
        Err(Problem::malformed(format!("Only the member `{name}` is known here.")))
    }
}

/// The body's object, for who must know that it came as JSON: a page of another site can send any body without asking
/// first, but not under that name.
pub(super) async fn json_object(request: Request) -> Result<Map<String, Value>, Problem> {
    if !request.headers().contains_key(header::CONTENT_TYPE) {
        return Err(not_json());
    }
    object(request).await
}

async fn object(request: Request) -> Result<Map<String, Value>, Problem> {
    says_json(request.headers())?;
    let bytes = whole(request.into_body()).await?;
    json::object(&bytes)
        .ok_or_else(|| Problem::malformed("The body must be one JSON object in which each member stands once."))
}

/// `application/json`, whatever its parameters. Clients that name no type are taken at their body.
fn says_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if values.next().is_none() && essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(not_json())
}

fn not_json() -> Problem {
    Problem::malformed("The Content-Type must be application/json.")
}

/// All of it, where that is not too much and comes in time.
pub(super) async fn whole(body: Body) -> Result<bytes::Bytes, Problem> {
    read(body, PATIENCE).await
}

async fn read(body: Body, patience: Duration) -> Result<bytes::Bytes, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, "too_large", "The body is larger than 16 KiB.");
    // A declared length is believed before a byte is read.
    if body.size_hint().lower() > MOST as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(patience, Limited::new(body, MOST).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::malformed("The body broke off.")),
        Err(_) => Err(Problem::malformed("The body did not come in time.")),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;

    use super::*;

    /// The client sends its head and then nothing.
    struct Never;

    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    // SEC-D2
    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let problem = read(Body::new(Never), Duration::from_millis(1)).await.expect_err("nothing came");
        assert_eq!(problem.answer("id").status(), http::StatusCode::BAD_REQUEST);
    }
}
