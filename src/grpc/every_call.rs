//! What holds for every call, as `web::router` has it for every request: a request id, one debug line, a time limit, which is
//! the client's deadline where that is sooner, refusals worded, and no panic that reaches a client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, header};
use tonic::{Code, Status};
use tracing::Instrument;

use crate::grpc::{deadline, incoming, refusal};
use crate::listen::peer::Peer;
use crate::logging::traces;
use crate::web::Desk;
use crate::web::limited::LimitNote;
use crate::web::problem::Problem;
use crate::web::request_id::{RequestId, X_REQUEST_ID};

/// How long one call may take, whatever its deadline: what the same request may over REST.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn every_call(State(desk): State<Arc<Desk>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        tracing::error!("a call came without its peer's address; whoever serves the router must add it");
        return Status::from(Problem::unavailable()).into_http();
    };
    let RequestId(id) = RequestId::of(request.headers(), &peer, &desk.proxies);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let limit = LimitNote::default();
    request.extensions_mut().insert(limit.clone());
    // For the handlers, which see the metadata but not the request.
    let call = desk.call(&request);
    request.extensions_mut().insert(call);
    let known = request.extensions().get::<MatchedPath>().is_some();
    let route = if known { request.uri().path().to_owned() } else { "none".into() };
    let span = tracing::info_span!("request", method = "gRPC", route, request_id = &*id);
    if desk.proxies.trusts(&peer) {
        traces::join(&span, request.headers());
    }

    let mut response = match deadline::of(request.headers()) {
        Ok(allowed) => {
            let request = request.map(incoming::timed);
            finished(next.run(request).instrument(span.clone()), allowed).await
        }
        Err(unreadable) => Status::from(Problem::malformed(unreadable)).into_http(),
    };
    let refused = refused(&response);
    let code = refused.as_ref().map_or(Code::Ok, Status::code);
    if let Some(status) = refused {
        response = refusal::worded(&status, &id, limit.0.get()).into_http();
    }
    limit.tell(&mut response);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(&X_REQUEST_ID, id);
    }
    span.in_scope(|| tracing::debug!(code = ?code, ms = began.elapsed().as_secs_f64() * 1e3, "answered"));
    response
}

/// The refusal that this answer is. Refusals have no message, so their status stands in the head.
fn refused(response: &Response) -> Option<Status> {
    let status = response.extensions().get::<Status>().cloned();
    status.or_else(|| Status::from_header_map(response.headers())).filter(|status| status.code() != Code::Ok)
}

/// Runs the handler to its end also where the client has gone or its deadline has passed: what it wrote to the store must be
/// heard and recorded. As a task of its own, a panic in it ends nothing else.
async fn finished(handler: impl Future<Output = Response> + Send + 'static, allowed: Option<Duration>) -> Response {
    if allowed.is_some_and(|allowed| allowed.is_zero()) {
        return deadline::exceeded().into_http();
    }
    let work = tokio::spawn(tokio::time::timeout(PATIENCE, handler));
    let allowed = allowed.filter(|allowed| *allowed < PATIENCE);
    let heard = match allowed {
        Some(allowed) => tokio::time::timeout(allowed, work).await,
        None => Ok(work.await),
    };
    match heard {
        Ok(Ok(Ok(response))) => return response,
        Err(_) => return deadline::exceeded().into_http(),
        Ok(Ok(Err(_))) => tracing::warn!("a call was given up after {PATIENCE:?}"),
        Ok(Err(error)) if error.is_panic() => {
            tracing::error!("a handler panicked; the client was answered UNAVAILABLE")
        }
        Ok(Err(_)) => {}
    }
    Status::from(Problem::unavailable()).into_http()
}
