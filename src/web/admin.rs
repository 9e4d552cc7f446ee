//! `/admin`: other people's accounts, for administrators. Who is one is asked of the users' database at each request, not of
//! the token alone.

use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::admin::{Admin, MOST_LISTED};
use crate::accounts::{AccountError, Caller};
use crate::issue::Call;
use crate::users::audit_tail::AuditLine;
use crate::users::{Page, UserId};
use crate::web::Desk;
use crate::web::body::{Members, members};
use crate::web::problem::{Problem, ProblemBody};
use crate::web::session::unstored;
use crate::web::view::{UserView, moment};

/// How many are listed where nobody says.
const USUAL_PAGE: u32 = 100;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListUsers {
    /// Part of an address.
    search: Option<String>,
    /// The last address of the page before.
    after: Option<String>,
    /// At most this many: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListEvents {
    /// Of this user, by id, or by the address of an account that is there.
    user: Option<String>,
    /// Before this event, by its number.
    #[param(minimum = 0)]
    before: Option<i64>,
    /// At most this many: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUser {
    #[schema(examples("bob@example.com"), max_length = 254)]
    email: String,
    /// Without one the account can't sign in until it is given one.
    #[schema(format = Password, max_length = 1024)]
    password: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Roles {
    roles: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Disabled {
    disabled: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstAdmin {
    /// What `first-admin.secret` in the folder of keys holds.
    secret: String,
    #[schema(max_length = 254)]
    email: String,
    #[schema(format = Password, max_length = 1024)]
    password: String,
}

impl Members for CreateUser {
    const SHAPE: &'static str = "`email`, a text; `password`, a text, and `roles`, a list of texts, may be left out";
}
impl Members for Roles {
    const SHAPE: &'static str = "`roles`, a list of texts";
}
impl Members for Disabled {
    const SHAPE: &'static str = "`disabled`, true or false";
}
impl Members for FirstAdmin {
    const SHAPE: &'static str = "`secret`, `email` and `password`, all texts";
}

#[derive(Serialize, ToSchema)]
pub(super) struct UserList {
    users: Vec<UserView>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EventList {
    /// The newest first.
    events: Vec<EventView>,
}

/// One audit event.
#[derive(Serialize, ToSchema)]
pub(super) struct EventView {
    number: u64,
    #[schema(format = DateTime)]
    at: String,
    /// A name of the OWASP logging vocabulary.
    event: String,
    user: String,
    session: String,
    ip: Option<String>,
    request_id: String,
    outcome: String,
}

/// Makes the first administrator, once, for who reads the one-time secret.
#[utoipa::path(post, path = "/admin/first", tag = "admin", request_body = FirstAdmin, responses(
    (status = 201, body = UserView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn first(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let FirstAdmin { secret, email, password } = members(request).await?;
    let made = desk.accounts()?.create_first_admin(&desk.first_admin, &secret, &email, &password, &call).await;
    let user = made.map_err(|error| Problem::account(&error))?;
    Ok((StatusCode::CREATED, unstored(&UserView::of(&user))).into_response())
}

/// Users by address.
#[utoipa::path(get, path = "/admin/users", tag = "admin", security(("bearer" = [])), params(ListUsers), responses(
    (status = 200, body = UserList),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn users(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<ListUsers>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let ListUsers { search, after, limit } = asked(query)?;
    let page = Page { after, limit: page_of(limit)?, search };
    let users = admin.users(&page).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&UserList { users: users.iter().map(UserView::of).collect() }))
}

/// Makes an account.
#[utoipa::path(post, path = "/admin/users", tag = "admin", security(("bearer" = [])), request_body = CreateUser, responses(
    (status = 201, body = UserView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn create(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let CreateUser { email, password, roles } = members(request).await?;
    let made = admin.create(&email, password.as_deref(), roles).await;
    let user = made.map_err(|error| Problem::account(&error))?;
    Ok((StatusCode::CREATED, unstored(&UserView::of(&user))).into_response())
}

/// One user.
#[utoipa::path(get, path = "/admin/users/{id}", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), responses(
    (status = 200, body = UserView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn user(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let user = admin.user(&named(&id)?).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&UserView::of(&user)))
}

/// Deletes an account and ends its sessions.
#[utoipa::path(delete, path = "/admin/users/{id}", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), responses(
    (status = 200, description = "The account is gone."),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable, or sessions_not_ended: then the user is deleted"),
))]
pub(super) async fn delete(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    admin.delete(&named(&id)?).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&json!({})))
}

/// Sets all roles of an account; its access tokens are refused, and a refresh brings new ones.
#[utoipa::path(put, path = "/admin/users/{id}/roles", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), request_body = Roles, responses(
    (status = 200, body = UserView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable, or sessions_not_ended: then the roles are changed, and tokens with the old ones live on until they expire"),
))]
pub(super) async fn set_roles(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let Roles { roles } = members(request).await?;
    let user = admin.set_roles(&named(&id)?, roles).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&UserView::of(&user)))
}

/// Disables an account and ends its sessions, or enables it again.
#[utoipa::path(put, path = "/admin/users/{id}/disabled", tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), request_body = Disabled, responses(
    (status = 200, body = UserView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable, or sessions_not_ended: then the account is disabled"),
))]
pub(super) async fn set_disabled(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let Disabled { disabled } = members(request).await?;
    let user = admin.set_disabled(&named(&id)?, disabled).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&UserView::of(&user)))
}

/// The last audit events that concern accounts, the newest first.
#[utoipa::path(get, path = "/admin/audit", tag = "admin", security(("bearer" = [])), params(ListEvents), responses(
    (status = 200, body = EventList),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn audit(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<ListEvents>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (admin, _) = desk.admin(request.headers(), &call).await?;
    let ListEvents { user, before, limit } = asked(query)?;
    let before = before.map(u64::try_from).transpose();
    let before = before.map_err(|_| Problem::malformed("`before` is the number of an event."))?;
    let lines = admin.audit_tail(user.as_deref(), before, page_of(limit)?).await;
    let lines = lines.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&EventList { events: lines.into_iter().map(event).collect() }))
}

impl Desk {
    /// What the caller may do as an administrator, and who it is.
    pub(super) async fn admin<'a>(
        &'a self,
        headers: &HeaderMap,
        call: &'a Call,
    ) -> Result<(Admin<'a>, Caller), Problem> {
        let (accounts, caller) = self.account_call(headers).await?;
        let admin = accounts.admin(&caller, call).await.map_err(|error| Problem::account(&error))?;
        Ok((admin, caller))
    }
}

fn event(line: AuditLine) -> EventView {
    let AuditLine { number, at, event } = line;
    EventView {
        number,
        at: moment(at),
        event: event.kind,
        user: event.user,
        session: event.sid,
        ip: event.client.map(|ip| ip.to_string()),
        request_id: event.request_id,
        outcome: event.outcome,
    }
}

pub(super) fn page_of(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(USUAL_PAGE);
    let fits = (1..=MOST_LISTED).contains(&limit);
    if fits { Ok(limit) } else { Err(Problem::malformed("`limit` is 1 to 1000.")) }
}

pub(super) fn named(id: &str) -> Result<UserId, Problem> {
    UserId::new(id).ok_or_else(|| Problem::account(&AccountError::NoSuchUser))
}

pub(super) fn asked<T>(query: Result<Query<T>, axum::extract::rejection::QueryRejection>) -> Result<T, Problem> {
    let Query(asked) =
        query.map_err(|_| Problem::malformed("A parameter of the query is unknown or of the wrong kind."))?;
    Ok(asked)
}
