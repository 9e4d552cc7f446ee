//! Path and method to handler, and what holds for every request of the session plane: a request id, one debug line, a
//! time limit, problems worded, and no panic that reaches a client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::HeaderValue;
use tracing::Instrument;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::listen::peer::Peer;
use crate::logging::traces;
use crate::web::limited::LimitNote;
use crate::web::openapi::{self, Described};
use crate::web::problem::Problem;
use crate::web::request_id::{RequestId, X_REQUEST_ID};
use crate::web::{
    Desk, account, account_sessions, admin, admin_sessions, api_page, graphql, oauth2, session, welcome, well_known,
};

/// How long one request may take: 10 s for its body, and what a slow store may take.
const PATIENCE: Duration = Duration::from_secs(15);

pub fn router(desk: Arc<Desk>) -> Router {
    let (accounts, description) = OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(welcome::welcome))
        .routes(routes!(welcome::health))
        .routes(routes!(account::register))
        .routes(routes!(account::login))
        .routes(routes!(account::refresh))
        .routes(routes!(account::logout))
        .routes(routes!(account::logout_all))
        .routes(routes!(account::profile))
        .routes(routes!(account::change_password))
        .routes(routes!(account_sessions::list))
        .routes(routes!(account_sessions::end, account_sessions::put))
        .routes(routes!(admin::first))
        .routes(routes!(admin::users, admin::create))
        .routes(routes!(admin::user, admin::delete))
        .routes(routes!(admin::set_roles))
        .routes(routes!(admin::set_disabled))
        .routes(routes!(admin_sessions::sessions, admin_sessions::end_sessions))
        .routes(routes!(admin_sessions::history))
        .routes(routes!(admin_sessions::locks, admin_sessions::unlock))
        .routes(routes!(admin_sessions::end_session))
        .routes(routes!(admin_sessions::end_everyone))
        .routes(routes!(admin::audit))
        .split_for_parts();
    let accounts = accounts.route("/openapi.json", get(async move || openapi::serve(&description)));
    let page = if desk.dev { api_page::routes() } else { Router::new() };
    let graphql = if desk.graphql { graphql::routes(desk.dev) } else { Router::new() };
    Router::new()
        .merge(accounts)
        .merge(page)
        .merge(graphql)
        .route("/ping", get(session::ping))
        .route("/login", post(session::login))
        .route("/refresh", post(session::refresh))
        .route("/logout", post(session::logout))
        .route("/authenticate", get(session::authenticate))
        .route("/.well-known/jwks.json", get(well_known::jwks))
        .route("/.well-known/oauth-authorization-server", get(oauth2::metadata::root))
        .route("/.well-known/oauth-authorization-server/{*path}", get(oauth2::metadata::under))
        .route("/oauth2/token", post(oauth2::token))
        .route("/oauth2/introspect", post(oauth2::introspect))
        .route("/oauth2/revoke", post(oauth2::revoke))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(desk.clone(), every_request))
        .with_state(desk)
}

async fn every_request(State(desk): State<Arc<Desk>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        tracing::error!("a request came without its peer's address; whoever serves the router must add it");
        return Problem::unavailable().answer("");
    };
    let RequestId(id) = RequestId::of(request.headers(), &peer, &desk.proxies);
    request.extensions_mut().insert(RequestId(id.clone()));
    let limit = LimitNote::default();
    request.extensions_mut().insert(limit.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", %method, route, request_id = &*id);
    if desk.proxies.trusts(&peer) {
        traces::join(&span, request.headers());
    }

    let mut response = finished(next.run(request).instrument(span.clone())).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let worded = problem.answer(&id);
        // What the routing itself added to the refusal, such as `Allow`, stays.
        for (name, value) in worded.headers() {
            response.headers_mut().insert(name, value.clone());
        }
        *response.body_mut() = worded.into_body();
    }
    limit.tell(&mut response);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(&X_REQUEST_ID, id);
    }
    let status = response.status().as_u16();
    traces::note_status(&span, status);
    span.in_scope(|| tracing::debug!(status, ms = began.elapsed().as_secs_f64() * 1e3, "answered"));
    response
}

/// Runs the handler to its end even where the client has gone: what it wrote to the store must be heard and recorded.
/// As a task of its own, a panic in it ends nothing else, and becomes a 503.
async fn finished(handler: impl Future<Output = Response> + Send + 'static) -> Response {
    match tokio::spawn(tokio::time::timeout(PATIENCE, handler)).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::warn!("a request was given up after {PATIENCE:?}");
            Problem::unavailable().into_response()
        }
        Err(error) => {
            if error.is_panic() {
                tracing::error!("a handler panicked; the client was answered 503");
            }
            Problem::unavailable().into_response()
        }
    }
}
