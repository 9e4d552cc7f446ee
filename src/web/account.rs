//! Accounts for the people who have them: registering, signing in and out, the profile, the password. What the answers look like
//! is in `docs/accounts.md` and, made of this file, in `/openapi.json`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::password::Others;
use crate::accounts::{AccountError, Accounts, Caller};
use crate::issue::TokenPair;
use crate::state::Device;
use crate::token::bearer::bearer;
use crate::users::User;
use crate::web::Desk;
use crate::web::body::{Members, members};
use crate::web::problem::{Problem, ProblemBody};
use crate::web::session::{BEARER_WANTED, unstored, user_agent};
use crate::web::view::UserView;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    #[schema(examples("alice@example.com"), max_length = 254)]
    email: String,
    /// At most 1024 bytes of UTF-8.
    #[schema(format = Password, max_length = 1024)]
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    #[schema(format = Password, max_length = 1024)]
    current_password: String,
    #[schema(format = Password, max_length = 1024)]
    new_password: String,
    /// Whether the account's other sessions live on.
    #[serde(default)]
    keep_other_sessions: bool,
}

impl Members for SignIn {
    const SHAPE: &'static str = "`email` and `password`, both texts";
}

impl Members for Refresh {
    const SHAPE: &'static str = "`refresh_token`, a text";
}

impl Members for ChangePassword {
    const SHAPE: &'static str =
        "`current_password` and `new_password`, both texts; `keep_other_sessions`, true or false, may be left out";
}

/// A pair of tokens (RFC 6749 section 5.1).
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    /// A JWT (RFC 9068).
    access_token: String,
    #[schema(examples("Bearer"))]
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// Opaque; good for one refresh.
    refresh_token: String,
    /// Seconds until the session ends, however often it is refreshed.
    refresh_expires_in: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Ended {
    /// How many sessions there were.
    pub(super) ended: u64,
}

/// Makes an account. It opens no session.
#[utoipa::path(post, path = "/auth/register", tag = "accounts", request_body = SignIn, responses(
    (status = 201, body = UserView),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed_request, invalid_email, password_too_long or weak_password"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "registration_off"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "email_taken"),
    (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "too_large"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable; see Retry-After"),
))]
pub async fn register(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let SignIn { email, password } = members(request).await?;
    let user = desk.accounts()?.register(&email, &password, &call).await.map_err(|error| Problem::account(&error))?;
    Ok((StatusCode::CREATED, unstored(&UserView::of(&user))).into_response())
}

/// Opens a session. A token of an earlier one, sent as bearer, also a spent or expired one, tells the device apart from
/// strangers who try the same account.
#[utoipa::path(post, path = "/auth/login", tag = "accounts", request_body = SignIn, responses(
    (status = 200, body = Tokens),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed_request, invalid_email or password_too_long"),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "invalid_credentials"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "session_limit"),
    (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "too_large"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable; see Retry-After"),
))]
pub async fn login(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let (call, device) = (desk.call(&request), device(&desk, &request));
    let known = bearer(request.headers()).ok().map(str::to_owned);
    let SignIn { email, password } = members(request).await?;
    let opened = desk.accounts()?.login(&email, &password, known.as_deref(), device, &call).await;
    opened.map(tokens).map_err(|error| Problem::account(&error))
}

/// Gives the next pair for a refresh token.
#[utoipa::path(post, path = "/auth/refresh", tag = "accounts", request_body = Refresh, responses(
    (status = 200, body = Tokens),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed_request"),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "invalid_token, refresh_reused, session_lost or device_changed"),
    (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "too_large"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable; the refresh token stays good"),
))]
pub async fn refresh(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let (call, device) = (desk.call(&request), device(&desk, &request));
    let Refresh { refresh_token } = members(request).await?;
    let refreshed = desk.accounts()?.refresh(&refresh_token, &device, &call).await;
    refreshed.map(tokens).map_err(|error| Problem::account(&error))
}

/// Ends the session of the bearer token: an access token, also an expired one, or a refresh token.
#[utoipa::path(post, path = "/auth/logout", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, description = "The session has ended, now or before."),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "no_token or invalid_token"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable: the session may live on"),
))]
pub async fn logout(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let shown = bearer(request.headers()).map_err(|none| Problem::of(&none, BEARER_WANTED))?;
    desk.accounts()?.logout(shown, &call).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&json!({})))
}

/// Ends all sessions of the account, this one too.
#[utoipa::path(post, path = "/auth/logout-all", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, body = Ended),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "no_token or invalid_token"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
))]
pub async fn logout_all(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (accounts, caller) = desk.account_call(request.headers()).await?;
    let ended = accounts.logout_all(&caller, &call).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&Ended { ended }))
}

/// The account as it is now.
#[utoipa::path(get, path = "/profile", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, body = UserView),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "no_token or invalid_token"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
))]
pub async fn profile(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (accounts, caller) = desk.account_call(request.headers()).await?;
    let user: User = accounts.profile(&caller, &call).await.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&UserView::of(&user)))
}

/// Sets a new password, and ends all other sessions of the account.
#[utoipa::path(put, path = "/auth/password", tag = "accounts", security(("bearer" = [])), request_body = ChangePassword, responses(
    (status = 200, description = "The new password counts."),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed_request, password_too_long or weak_password"),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "no_token, invalid_token or invalid_credentials"),
    (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "too_large"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "rate_limited; see Retry-After"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable, or sessions_not_ended: then the password is changed"),
))]
pub async fn change_password(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    let (accounts, caller) = desk.account_call(request.headers()).await?;
    let ChangePassword { current_password, new_password, keep_other_sessions } = members(request).await?;
    let others = if keep_other_sessions { Others::Keep } else { Others::End };
    let changed = accounts.change_password(&caller, &current_password, &new_password, others, &call).await;
    changed.map_err(|error| Problem::account(&error))?;
    Ok(unstored(&json!({})))
}

fn tokens(pair: TokenPair) -> Response {
    unstored(&Tokens {
        access_token: pair.access,
        token_type: "Bearer",
        expires_in: pair.expires_in.as_secs(),
        refresh_token: pair.refresh,
        refresh_expires_in: pair.refresh_expires_in.as_secs(),
    })
}

pub(super) fn device(desk: &Desk, request: &Request) -> Device {
    Device { user_agent: user_agent(request.headers()), ip: desk.call(request).client }
}

impl Desk {
    /// The accounts, where this service keeps any.
    pub(crate) fn accounts(&self) -> Result<&Accounts, Problem> {
        self.accounts.as_ref().ok_or_else(Problem::not_found)
    }

    /// What every handler of somebody's own account begins with.
    pub(crate) async fn account_call(&self, headers: &HeaderMap) -> Result<(&Accounts, Caller), Problem> {
        Ok((self.accounts()?, self.caller(headers).await?))
    }

    /// Whose access token came.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let shown = bearer(headers).map_err(|none| Problem::of(&none, BEARER_WANTED))?;
        let identity = self.authenticates.authenticate(shown).await;
        let identity = identity.map_err(|denial| Problem::of(&denial, "The token was not accepted."))?;
        let sid = identity.sid().filter(|_| identity.of_account);
        let caller = sid.and_then(|sid| Caller::of(sid, identity.subject()));
        caller.ok_or_else(|| Problem::account(&AccountError::NoAccount))
    }
}
