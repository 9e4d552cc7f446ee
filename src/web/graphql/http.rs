//! GraphQL over HTTP: one operation a request, posted as `application/json`, or a query in the URL of a GET. What can't be
//! executed is answered 4xx, all else 200, each with `errors` in the body; nothing of it may be cached (SEC-R13).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_graphql::{Request as Question, Response as Outcome, ServerError};
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::document::{self, DEV, Most, USUAL};
use super::playground;
use super::refusal::{PARSE_FAILED, VALIDATION_FAILED, code};
use super::schema::{Accounts, Asked, schema};
use crate::fault::Kind;
use crate::web::Desk;
use crate::web::account::device;
use crate::web::body::json_object;
use crate::web::problem::{Problem, SOON};
use crate::web::session::unstored;

/// What all requests share.
#[derive(Clone)]
pub(super) struct Face {
    schema: Accounts,
    most: Most,
    dev: bool,
}

impl Face {
    pub(super) fn new(dev: bool) -> Self {
        let most = if dev { DEV } else { USUAL };
        Self { schema: schema(most), most, dev }
    }
}

/// `POST /graphql`. Only `application/json` is read, which no page of another site can send without being asked first; an
/// array of operations is none (SEC-B6, C2).
pub(super) async fn posted(
    State(desk): State<Arc<Desk>>,
    Extension(face): Extension<Face>,
    request: Request,
) -> Response {
    let asked = Asked::of(desk, &request);
    let question = json_object(request).await.and_then(|object| {
        let question = serde_json::from_value(Value::Object(object));
        // What came is not quoted: it may be a password.
        question.map_err(|_| Problem::malformed("The body must be one JSON object with `query`, a text, and if need be `variables`, an object, and `operationName`, a text."))
    });
    match question {
        Ok(question) => face.answer(asked, question, false).await,
        Err(problem) => refused(problem.kind.http(), &problem.detail, code(problem.kind)),
    }
}

/// `GET /graphql`: a query that changes nothing; for browsers with `--dev` the page to try it.
pub(super) async fn asked(
    State(desk): State<Arc<Desk>>,
    Extension(face): Extension<Face>,
    request: Request,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if query.is_empty() && face.dev {
        return playground::page();
    }
    match async_graphql::http::parse_query_string(query) {
        Ok(question) => face.answer(Asked::of(desk, &request), question, true).await,
        Err(_) => {
            let detail =
                "The URL's query must have `query`, and may have `variables`, a JSON object, and `operationName`.";
            refused(StatusCode::BAD_REQUEST, detail, code(Kind::Malformed))
        }
    }
}

impl Face {
    async fn answer(&self, asked: Asked, mut question: Question, only_reads: bool) -> Response {
        if let Err(too_much) = document::judge_text(&question.query, self.most) {
            return refused(StatusCode::BAD_REQUEST, &too_much, VALIDATION_FAILED);
        }
        let document = match question.parsed_query() {
            Ok(document) => document,
            Err(error) => return refused(StatusCode::BAD_REQUEST, &where_it_broke(&error), PARSE_FAILED),
        };
        if let Err(too_much) = document::judge(document, self.most) {
            return refused(StatusCode::BAD_REQUEST, &too_much, VALIDATION_FAILED);
        }
        if only_reads && !document::only_reads(document) {
            let mut response =
                refused(StatusCode::METHOD_NOT_ALLOWED, "Mutations are sent by POST.", code(Kind::MethodNotAllowed));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let (limit, unavailable) = (Arc::clone(&asked.call.limit), Arc::clone(&asked.unavailable));
        let outcome = self.schema.execute(question.data(asked)).await;
        let mut response = told(outcome);
        // A refusal inside a document has no status of its own in the answer's head, but the same advice.
        if let Some(standing) = limit.get().filter(|standing| !standing.spent.allowed) {
            response.headers_mut().insert(header::RETRY_AFTER, standing.retry_after().into());
        } else if unavailable.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(SOON));
        }
        response
    }
}

/// What fields refuse has a code; what has none was found wrong before anything was done. No field that can be refused may be
/// null, so there is no data then; the library leaves out that field alone.
fn told(mut outcome: Outcome) -> Response {
    let mut status = StatusCode::OK;
    if outcome.is_err() {
        outcome.data = async_graphql::Value::Null;
    }
    for error in &mut outcome.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", VALIDATION_FAILED);
            status = StatusCode::BAD_REQUEST;
        }
    }
    (status, unstored(&outcome)).into_response()
}

/// The parser's own message quotes the line, and there may be a password in it.
fn where_it_broke(error: &ServerError) -> String {
    match error.locations.first() {
        Some(at) => format!("The document can't be read: see line {}, column {}.", at.line, at.column),
        None => "The document can't be read.".to_owned(),
    }
}

fn refused(status: StatusCode, message: &str, code: &str) -> Response {
    (status, unstored(&json!({ "errors": [{ "message": message, "extensions": { "code": code } }] }))).into_response()
}

impl Asked {
    fn of(desk: Arc<Desk>, request: &Request) -> Self {
        let (call, device) = (desk.call(request), device(&desk, request));
        Self { headers: request.headers().clone(), call, device, desk, unavailable: Arc::default() }
    }
}
