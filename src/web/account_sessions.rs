//! An account's own sessions: the list, and ending one of them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::web::Desk;
use crate::web::problem::{Problem, ProblemBody};
use crate::web::session::unstored;
use crate::web::view::SessionView;

#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    pub(super) sessions: Vec<SessionView>,
}

/// The account's live sessions, oldest first.
#[utoipa::path(get, path = "/auth/sessions", tag = "sessions", security(("bearer" = [])), responses(
    (status = 200, body = Sessions),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "no_token or invalid_token"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
))]
pub async fn list(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (accounts, caller) = desk.account_call(request.headers()).await?;
    let sessions = accounts.sessions(&caller, &call).await.map_err(|error| Problem::account(&error))?;
    let sessions = sessions.iter().map(|own| SessionView::of(&own.session, own.current)).collect();
    Ok(unstored(&Sessions { sessions }))
}

/// Ends one session of the account.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "sessions", security(("bearer" = [])),
    params(("id" = String, Path, description = "As the list gives it")), responses(
    (status = 200, description = "The session has ended."),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "no_token or invalid_token"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "session_not_found: this account has no such session"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
))]
pub async fn end(State(desk): State<Arc<Desk>>, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (accounts, caller) = desk.account_call(request.headers()).await?;
    accounts.end_session(&caller, &id, &call).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&json!({})))
}

/// The same as DELETE, for clients that know it so.
#[utoipa::path(put, path = "/auth/sessions/{id}", tag = "sessions", security(("bearer" = [])),
    params(("id" = String, Path, description = "As the list gives it")), responses(
    (status = 200, description = "The session has ended."),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "no_token or invalid_token"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "session_not_found: this account has no such session"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
))]
pub async fn put(desk: State<Arc<Desk>>, id: Path<String>, request: Request) -> Result<Response, Problem> {
    end(desk, id, request).await
}
