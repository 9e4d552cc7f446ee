//! OAuth 2 over HTTP: `/oauth2/token`, `/oauth2/introspect`, `/oauth2/revoke`. Shapes and errors are those of RFC 6749, 7662 and
//! 7009; `docs/oauth2.md` describes them for clients.

mod answer;
mod credentials;
mod form;
pub mod metadata;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Map, Value, json};

use self::answer::Refusal;
use self::credentials::Shown;
use self::form::Form;
use crate::audit::Event;
use crate::check::Denial;
use crate::fault::Fault;
use crate::issue::Call;
use crate::oauth::OAuth;
use crate::token::jws::Compact;
use crate::token::refresh::RefreshToken;
use crate::web::Desk;
use crate::web::account::device;
use crate::web::problem::Problem;
use crate::web::session::unstored;

/// A token for a client itself, or the next pair for a refresh token.
pub(super) async fn token(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let Some(oauth) = &desk.oauth else { return Problem::not_found().into_response() };
    let (call, device) = (desk.call(&request), device(&desk, &request));
    let headers = request.headers().clone();
    let granted = async {
        let form = Form::read(request).await?;
        // An unknown one is told before any client is looked at.
        let grant = form.required("grant_type")?;
        let scope = form.get("scope");
        let body = match grant {
            "client_credentials" => {
                let proof = Shown::of(&headers, &form)?;
                let token = oauth.client_credentials(proof.proof()?, scope, device, &call).await?;
                let mut body = pair(&token.pair.access, token.pair.expires_in.as_secs());
                if !token.scope.is_empty() {
                    body["scope"] = token.scope.join(" ").into();
                }
                body
            }
            "refresh_token" => {
                let shown = form.required("refresh_token")?;
                let proof = Shown::of(&headers, &form)?;
                let next = oauth.refresh(proof.proof()?, shown, scope, &device, &call).await?;
                let mut body = pair(&next.access, next.expires_in.as_secs());
                body["refresh_token"] = next.refresh.into();
                body["refresh_expires_in"] = next.refresh_expires_in.as_secs().into();
                body
            }
            _ => return Err(Refusal::grant_type()),
        };
        Ok(answer::unkept(unstored(&body)))
    };
    granted.await.unwrap_or_else(|refusal| refusal.answer(&headers))
}

fn pair(access: &str, expires_in: u64) -> Value {
    json!({"access_token": access, "token_type": "Bearer", "expires_in": expires_in})
}

/// What a token means now (RFC 7662): to a client with something to prove, or to a caller with a key.
pub(super) async fn introspect(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let Some(oauth) = &desk.oauth else { return Problem::not_found().into_response() };
    let call = desk.call(&request);
    let headers = request.headers().clone();
    let told = async {
        let form = Form::read(request).await?;
        caller(&desk, oauth, &headers, &form, &call).await?;
        let token = form.required("token")?;
        let told = if RefreshToken::looks_like_one(token) {
            refresh_token(oauth, token).await?
        } else {
            access_token(&desk, token).await?
        };
        // Every dead token looks the same (SEC-T24).
        Ok(answer::unkept(unstored(&told.map_or_else(|| json!({"active": false}), Value::Object))))
    };
    told.await.unwrap_or_else(|refusal: Refusal| refusal.answer(&headers))
}

/// Who asks about tokens must have proved who that is.
async fn caller(desk: &Desk, oauth: &OAuth, headers: &HeaderMap, form: &Form, call: &Call) -> Result<(), Refusal> {
    let shown = Shown::of(headers, form)?;
    if let Some(key) = shown.bearer() {
        oauth.admit(call).await?;
        // By its key alone: an address has proved nothing.
        return desk.callers.load().judge(headers, Some(key), None).map_err(|refusal| {
            desk.issuer.record(call, Event::AuthnLoginFail, None, None, refusal.code());
            Refusal::client()
        });
    }
    let proof = shown.proof()?.ok_or_else(Refusal::client)?;
    oauth.prove_confidential(proof, call).await?;
    Ok(())
}

/// The same by the head of a request alone, for the face that has no form: HTTP Basic, or a caller's key.
pub(crate) async fn caller_by_head(desk: &Desk, headers: &HeaderMap, call: &Call) -> Result<(), Problem> {
    let oauth = desk.oauth.as_ref().ok_or_else(Problem::not_found)?;
    Ok(caller(desk, oauth, headers, &Form::default(), call).await?)
}

/// The claims, which the checker has verified.
async fn access_token(desk: &Desk, token: &str) -> Result<Option<Map<String, Value>>, Refusal> {
    match desk.authenticates.authenticate(token).await {
        Ok(_) => {}
        Err(Denial::Unavailable) => return Err(Refusal::unavailable()),
        Err(_) => return Ok(None),
    }
    let Ok(mut told) = Compact::parse(token).and_then(|token| token.claims()) else { return Ok(None) };
    told.insert("active".into(), true.into());
    told.insert("token_type".into(), "Bearer".into());
    told.insert("token_use".into(), "access_token".into());
    Ok(Some(told))
}

/// Not `token_type: Bearer`, nor an audience: nobody is to take it for an access token.
async fn refresh_token(oauth: &OAuth, token: &str) -> Result<Option<Map<String, Value>>, Refusal> {
    let Some(session) = oauth.session_of_refresh(token).await? else { return Ok(None) };
    let told = json!({
        "active": true,
        "token_use": "refresh_token",
        "iss": oauth.names().issuer,
        "sub": session.holder.subject,
        "sid": session.sid,
        "iat": session.created.seconds().0,
        "exp": session.ends.seconds().0,
    });
    Ok(told.as_object().cloned())
}

/// Makes a token count no more (RFC 7009).
pub(super) async fn revoke(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let Some(oauth) = &desk.oauth else { return Problem::not_found().into_response() };
    let call = desk.call(&request);
    let headers = request.headers().clone();
    let revoked = async {
        let form = Form::read(request).await?;
        let token = form.required("token")?;
        let shown = Shown::of(&headers, &form)?;
        oauth.revoke(shown.proof()?, token, &call).await?;
        Ok(answer::unkept(unstored(&json!({}))))
    };
    revoked.await.unwrap_or_else(|refusal: Refusal| refusal.answer(&headers))
}
