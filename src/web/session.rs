//! The plain surface: ping, login for trusted callers, refresh, logout, authenticate. Shapes and errors are described for
//! its users in `docs/sessions.md`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::check::identity::Identity;
use crate::fault::Fault;
use crate::issue::login::PlainId;
use crate::issue::{Call, TokenPair};
use crate::listen::client::client_address;
use crate::listen::peer::Peer;
use crate::state::Device;
use crate::token::bearer::bearer;
use crate::token::jws::Compact;
use crate::web::Desk;
use crate::web::body::only_member;
use crate::web::limited::LimitNote;
use crate::web::problem::Problem;
use crate::web::request_id::RequestId;

/// What is kept of a `User-Agent` for the list of sessions, in bytes.
const LONGEST_USER_AGENT: usize = 256;

pub async fn ping() -> &'static str {
    "pong"
}

pub async fn login(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let call = desk.call(&request);
    desk.plain(&call).await?;
    let shown = bearer(request.headers()).ok();
    if let Err(refusal) = desk.callers.load().judge(request.headers(), shown, peer.ip()) {
        desk.issuer.refused_login("trusted", None, &call, refusal.code());
        return Err(Problem::of(&refusal, "Only trusted callers may log users in; see auth.trusted_login."));
    }
    let device = Device { user_agent: user_agent(request.headers()), ip: call.client };
    let id = only_member(request, "user_id").await?;
    let id = PlainId::try_from(&id).map_err(|fault| Problem::malformed(fault.to_string()))?;
    let opened = desk.issuer.open(id.holder(), device, &call).await;
    opened.map(pair).map_err(|error| Problem::of(&error, "The login could not be completed."))
}

pub async fn refresh(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    desk.plain(&call).await?;
    let device = Device { user_agent: user_agent(request.headers()), ip: call.client };
    let shown = only_member(request, "refresh").await?;
    let shown = shown.as_str().ok_or_else(|| Problem::malformed("The member `refresh` must be a string."))?;
    if let Some(accounts) = desk.accounts.as_ref().filter(|_| desk.issuer.is_of_account(shown)) {
        // Under the limits of accounts, and on the device of its sign-in (SEC-R12).
        let refreshed = accounts.refresh(shown, &device, &call).await;
        return refreshed.map(pair).map_err(|error| Problem::account(&error));
    }
    let refreshed = desk.issuer.refresh(shown, &call).await;
    refreshed.map(pair).map_err(|error| Problem::of(&error, "The session could not be refreshed."))
}

pub async fn logout(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    let call = desk.call(&request);
    desk.plain(&call).await?;
    let shown = bearer(request.headers()).map_err(|none| Problem::of(&none, BEARER_WANTED))?;
    desk.issuer.logout(shown, &call).await.map_err(|error| Problem::of(&error, "The session could not be ended."))?;
    Ok(unstored(&json!({})))
}

pub async fn authenticate(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Problem> {
    desk.plain(&desk.call(&request)).await?;
    let shown = bearer(request.headers()).map_err(|none| Problem::of(&none, BEARER_WANTED))?;
    let identity = desk.authenticates.authenticate(shown).await;
    let identity = identity.map_err(|denial| Problem::of(&denial, "The token was not accepted."))?;
    // The payload of a token that counts is to be trusted, and need not be kept to be told.
    let claims = Compact::parse(shown).and_then(|token| token.claims());
    let claims = claims.map_err(|error| Problem::of(&error, "The token was not accepted."))?;
    Ok(unstored(&described(&identity, claims)))
}

pub(crate) const BEARER_WANTED: &str = "Send the token in exactly one `Authorization: Bearer` header.";

/// The claims, with three names that the plain surface's clients read: `user_id` as given at login, `uid`, `type`.
fn described(identity: &Identity, claims: Map<String, Value>) -> Map<String, Value> {
    let mut told = claims;
    let own = identity.sid().is_some();
    if !own || !told.contains_key("user_id") {
        told.insert("user_id".into(), identity.subject().into());
    }
    told.insert("uid".into(), told.get("jti").cloned().unwrap_or_default());
    told.insert("type".into(), "access".into());
    told
}

fn pair(pair: TokenPair) -> Response {
    #[derive(Serialize)]
    struct Tokens {
        access: String,
        refresh: String,
    }
    let TokenPair { access, refresh, .. } = pair;
    unstored(&Tokens { access, refresh })
}

/// Compact JSON that no cache may keep (SEC-R13).
pub(super) fn unstored(body: &impl Serialize) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    let body = serde_json::to_string(body).expect("names are strings and nothing here fails to serialize");
    (headers, body).into_response()
}

/// It is shown in terminals and pages, where control and bidirectional characters could pass for something else: only
/// visible ASCII and spaces are kept.
pub(crate) fn user_agent(headers: &HeaderMap) -> String {
    let sent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let sent = String::from_utf8_lossy(sent);
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    sent.chars().take(LONGEST_USER_AGENT).map(plain).collect()
}

impl Desk {
    /// Who calls, for audit events and limits.
    pub(crate) fn call(&self, request: &Request) -> Call {
        let known = request.extensions();
        let client = known.get().and_then(|peer| client_address(peer, &self.proxies, request.headers()));
        Call {
            client,
            request_id: known.get().map_or_else(|| "".into(), |RequestId(id)| Arc::clone(id)),
            limit: known.get().map(|LimitNote(note)| Arc::clone(note)).unwrap_or_default(),
        }
    }

    /// The plain surface's own limit.
    pub(crate) async fn plain(&self, call: &Call) -> Result<(), Problem> {
        let Some(limits) = &self.limits else { return Ok(()) };
        call.limited(limits.plain(call.client).await).map_err(|limited| Problem::limited(&limited))
    }
}
