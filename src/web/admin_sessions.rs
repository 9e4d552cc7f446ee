//! `/admin`, where sessions end and locks are lifted: one user's, one session, everyone's.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::lock::Lock;
use crate::clock::Millis;
use crate::web::Desk;
use crate::web::account::Ended;
use crate::web::account_sessions::Sessions;
use crate::web::admin::{asked, named, page_of};
use crate::web::problem::{Problem, ProblemBody};
use crate::web::session::unstored;
use crate::web::view::{PastSessionView, SessionView, moment};

#[derive(Serialize, ToSchema)]
pub(super) struct Locks {
    locks: Vec<LockView>,
}

/// No password is looked at until then.
#[derive(Serialize, ToSchema)]
pub(super) struct LockView {
    /// The session whose device guessed wrong; null for strangers, who are counted together.
    session: Option<String>,
    #[schema(format = DateTime)]
    until: String,
}

impl LockView {
    fn of(lock: &Lock) -> Self {
        Self { session: lock.device.map(|sid| sid.to_string()), until: moment(lock.until) }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Newest {
    /// At most this many: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PastSessions {
    sessions: Vec<PastSessionView>,
}

/// How everyone's sessions ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Everyone {
    /// Sessions opened before this moment are over. Of two within one second, too, the store knows which came first.
    #[schema(format = DateTime)]
    not_before: String,
}

/// A user's live sessions, oldest first.
#[utoipa::path(get, path = "/admin/users/{id}/sessions", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), responses(
    (status = 200, body = Sessions),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn sessions(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, caller) = desk.admin(request.headers(), &call).await?;
    let sessions = admin.sessions_of(&named(&id)?).await.map_err(|error| Problem::account(&error))?;
    let view = |session| SessionView::of(session, session.sid == caller.sid);
    Ok(unstored(&Sessions { sessions: sessions.iter().map(view).collect() }))
}

/// A user's sessions as they are remembered, ended ones too, newest first: for as long as `retention` says, and also of a user
/// who was deleted since.
#[utoipa::path(get, path = "/admin/users/{id}/history", tag = "admin", security(("bearer" = [])), params(("id" = String, Path), Newest), responses(
    (status = 200, body = PastSessions),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn history(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    query: Result<Query<Newest>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let Newest { limit } = asked(query)?;
    let past = admin.history_of(&named(&id)?, page_of(limit)?).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&PastSessions { sessions: past.iter().map(PastSessionView::of).collect() }))
}

/// Ends all sessions of a user.
#[utoipa::path(delete, path = "/admin/users/{id}/sessions", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), responses(
    (status = 200, body = Ended),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn end_sessions(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let ended = admin.end_all_of(&named(&id)?).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&Ended { ended }))
}

/// What too many wrong passwords have locked: nothing, strangers' attempts, or those of a device that is signed in.
#[utoipa::path(get, path = "/admin/users/{id}/lock", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), responses(
    (status = 200, body = Locks),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn locks(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let locks = admin.locks_of(&named(&id)?).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&Locks { locks: locks.iter().map(LockView::of).collect() }))
}

/// Lets the account be signed in to at once, as if no password had been wrong.
#[utoipa::path(delete, path = "/admin/users/{id}/lock", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), responses(
    (status = 200, description = "Nothing is locked."),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn unlock(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    admin.unlock(&named(&id)?).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&json!({})))
}

/// Ends one session of anybody.
#[utoipa::path(delete, path = "/admin/sessions/{id}", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), responses(
    (status = 200, description = "The session has ended."),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn end_session(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    admin.end_session(&id).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&json!({})))
}

/// Ends everyone's sessions, the caller's too, and refuses every token issued until now. What is opened after it lives.
#[utoipa::path(post, path = "/admin/logout-everyone", tag = "admin", security(("bearer" = [])), responses(
    (status = 200, body = Everyone),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn end_everyone(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let mark = admin.end_everyone().await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&Everyone { not_before: moment(Millis(mark.0)) }))
}
