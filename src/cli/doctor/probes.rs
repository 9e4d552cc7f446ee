//! Probes sent *through* the proxy, as a client meets it: each finds one classic mistake of proxy configurations.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_TYPE, SERVER, WWW_AUTHENTICATE};
use http_body::Frame;
use reqwest::{Body, Client, Method, Request, Response, StatusCode, Url};
use serde_json::Value;

use super::report::Report;
use crate::secret::{base64url, random_bytes};

const GROUP: &str = "proxy";
const WITHIN: Duration = Duration::from_secs(5);
const REASON: &str = "x-doorward-reason";

/// `identity`: the configured identity headers, which a client must not be able to send to the upstream.
pub(super) async fn examine(url: &str, token: Option<&str>, identity: &[HeaderName], report: &mut Report) {
    let url = match Url::parse(url) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) => url,
        _ => return report.bad(GROUP, format!("{url} is no URL"), "write it as https://app.example.com/path"),
    };
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(WITHIN).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return report.bad(GROUP, format!("no HTTP client: {error}"), ""),
    };
    let probes = Probes { client, url, identity };
    let Some(first) = probes.without_token(report).await else { return };
    let open = first == First::LetThrough;
    if open {
        probes.forged_identity(None, report).await;
    } else {
        // Where doorward refuses whatever it is asked, a token changes nothing.
        if first == First::Denied {
            probes.bad_token(report).await;
        }
        probes.stalled_body(report).await;
    }
    if let Some(token) = token {
        probes.forged_identity(Some(token), report).await;
    } else if !open {
        let what = "whether a client's identity headers reach the upstream can't be told without a token";
        report.unknown(GROUP, what, "give one with --token-stdin; the upstream must echo its headers");
    }
    if first != First::Misasked {
        probes.check_endpoint(report).await;
    }
    probes.login(report).await;
    probes.metrics(report).await;
}

struct Probes<'a> {
    client: Client,
    url: Url,
    identity: &'a [HeaderName],
}

struct Answer {
    status: StatusCode,
    reason: Option<String>,
    challenge: Option<String>,
    server: Option<String>,
    body: String,
}

/// What became of a request without a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    LetThrough,
    Denied,
    /// Refused because the proxy asks doorward in the wrong way: nothing can be told from further refusals.
    Misasked,
}

impl Probes<'_> {
    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        url
    }

    fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url)
    }

    async fn send(&self, request: Request) -> Result<Answer, reqwest::Error> {
        let response: Response = self.client.execute(request).await?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (reason, challenge, server) = (text(REASON), text(WWW_AUTHENTICATE.as_str()), text(SERVER.as_str()));
        let status = response.status();
        // What matters stands at the front; a page of any size must not hold the probe up.
        let body = read_some(response).await;
        Ok(Answer { status, reason, challenge, server, body })
    }

    /// A request without a token. `None` where the proxy does not answer.
    async fn without_token(&self, report: &mut Report) -> Option<First> {
        let answer = match self.send(self.request(Method::GET, self.url.clone())).await {
            Ok(answer) => answer,
            Err(error) => {
                report.bad(
                    GROUP,
                    format!("{} does not answer: {}", self.url, in_short(&error)),
                    "start it, or name another URL",
                );
                return None;
            }
        };
        let status = answer.status.as_u16();
        match status {
            401 => {
                report.good(GROUP, "without a token: 401");
                if answer.challenge.is_none() {
                    let fix = "NGINX: auth_request_set $dw_challenge $upstream_http_www_authenticate; in the 401's location \
                               add_header WWW-Authenticate $dw_challenge always";
                    report.warn(GROUP, "WWW-Authenticate is lost: clients can't tell an expired token from none", fix);
                }
            }
            301..=308 => report.good(GROUP, format!("without a token: {status}, a redirect to sign in")),
            403 => return Some(forbidden(answer.reason.as_deref(), report)),
            500 => {
                let fix = "NGINX turns every answer of the check but 2xx, 401 and 403 into 500: its error log says \
                           `auth request unexpected status`; see that auth_request reaches /check/nginx and sends \
                           X-Original-Method and X-Original-URI";
                report.bad(GROUP, "without a token: 500, where 401 belongs", fix);
            }
            502..=504 => {
                report.bad(
                    GROUP,
                    format!("without a token: {status}"),
                    "start the upstream and doorward, or mend their addresses",
                );
            }
            200..=299 => {
                let fix = "where this path is not meant for anyone, see that the proxy asks doorward for it";
                report.warn(GROUP, format!("without a token: {status}, the request is let through"), fix);
            }
            _ => report.unknown(GROUP, format!("without a token: {status}"), "name a URL that the proxy protects"),
        }
        Some(if answer.status.is_success() { First::LetThrough } else { First::Denied })
    }

    async fn bad_token(&self, report: &mut Report) {
        let mut request = self.request(Method::GET, self.url.clone());
        set(&mut request, AUTHORIZATION.as_str(), "Bearer doorward-doctor-is-no-token");
        match self.send(request).await.map(|answer| answer.status.as_u16()) {
            Ok(401) => report.good(GROUP, "with a bad token: 401"),
            Ok(200..=299) => {
                let fix = "the proxy must send the client's Authorization header to doorward, and no other";
                report.bad(GROUP, "a bad token is let through", fix);
            }
            Ok(status) => report.warn(GROUP, format!("with a bad token: {status}"), "pass doorward's 401 on as it is"),
            Err(error) => report.bad(GROUP, format!("with a bad token: {}", in_short(&error)), "see the proxy's log"),
        }
    }

    /// Announces a body that never comes: a proxy that passes bodies on to the check waits for it. NGINX never does, with
    /// `proxy_pass_request_body off` or without: there the mistake can't be seen from outside.
    async fn stalled_body(&self, report: &mut Report) {
        let mut request = self.request(Method::POST, self.url.clone());
        *request.body_mut() = Some(Body::wrap(Stalled { started: false }));
        match self.send(request).await {
            Ok(answer) if answer.server.as_deref() == Some("envoy") => {
                report.good(GROUP, format!("a request is judged before its body is there: {}", answer.status.as_u16()));
            }
            Ok(_) => {
                let what = "whether bodies stay away from the check can't be seen from outside behind NGINX";
                let fix = "see that the check's location has proxy_pass_request_body off and \
                           proxy_set_header Content-Length \"\"";
                report.unknown(GROUP, what, fix);
            }
            Err(error) if error.is_timeout() => {
                let fix = "NGINX: proxy_pass_request_body off and proxy_set_header Content-Length \"\" in the check's location; \
                           Envoy: no with_request_body";
                report.bad(GROUP, "the proxy waits for the request's body before it asks doorward", fix);
            }
            Err(error) => report.unknown(GROUP, format!("a slow body: {}", in_short(&error)), ""),
        }
    }

    /// Sends identity headers of its own and looks for them in what the upstream echoes.
    async fn forged_identity(&self, token: Option<&str>, report: &mut Report) {
        let Some(one) = self.identity.first() else {
            return report.unknown(GROUP, "check.headers names no identity header that could be forged", "");
        };
        let forged = format!("doctor-{}", base64url(&random_bytes::<9>()));
        let mut request = self.request(Method::GET, self.url.clone());
        self.identity.iter().for_each(|name| set(&mut request, name.as_str(), &forged));
        if let Some(token) = token {
            set(&mut request, AUTHORIZATION.as_str(), &format!("Bearer {token}"));
        }
        let answer = match self.send(request).await {
            Ok(answer) => answer,
            Err(error) => return report.unknown(GROUP, format!("forged identity headers: {}", in_short(&error)), ""),
        };
        if token.is_some() {
            match answer.status.as_u16() {
                200..=299 => report.good(GROUP, "with the token: let through"),
                status => {
                    let reason = answer.reason.as_deref().unwrap_or("no reason given");
                    report.warn(GROUP, format!("with the token: {status}, {reason}"), "see: doorward token explain");
                }
            }
        }
        let lower = answer.body.to_lowercase();
        let echoes = self.identity.iter().any(|name| lower.contains(name.as_str()));
        if answer.body.contains(&forged) {
            let variable = one.as_str().replace('-', "_");
            let fix = format!(
                "set every identity header from doorward's answer on every protected path, empty ones too; \
                 NGINX: auth_request_set $dw_subject $upstream_http_{variable}; proxy_set_header {one} $dw_subject"
            );
            report.bad(GROUP, "a client's own identity header reaches the upstream: anyone can be anyone", fix);
        } else if echoes {
            report.good(GROUP, "a client's own identity headers do not reach the upstream");
        } else {
            let what = "the upstream does not echo its headers, so a forged identity header can't be seen";
            report.unknown(GROUP, what, format!("look in the upstream's log for a request with {one}: {forged}"));
        }
    }

    /// A path that doorward refuses, said only in the headers that a proxy must set itself: where the answer knows of it,
    /// either the check's endpoint is open to clients or the proxy believes their headers.
    async fn check_endpoint(&self, report: &mut Report) {
        let (mut open, mut answers) = (false, 0);
        for path in ["/check/nginx", "/check/forward"] {
            let mut request = self.request(Method::GET, self.at(path));
            for (name, value) in [
                ("x-original-method", "GET"),
                ("x-original-uri", "/%00"),
                ("x-forwarded-method", "GET"),
                ("x-forwarded-uri", "/%00"),
            ] {
                set(&mut request, name, value);
            }
            if let Ok(answer) = self.send(request).await {
                answers += 1;
                open |= answer.reason.as_deref() == Some("bad_path");
            }
        }
        if open {
            let fix = "keep listen.check on loopback or a Unix socket, make its location `internal` in NGINX, and overwrite \
                       X-Original-* and X-Forwarded-* with the proxy's own values";
            report.bad(GROUP, "clients reach the check endpoint, or their X-Original-* headers are believed", fix);
        } else if answers < 2 {
            report.unknown(GROUP, "whether clients reach the check endpoint can't be told: no answer", "try again");
        } else {
            report.good(GROUP, "clients don't reach the check endpoint");
        }
    }

    /// A proxy on the same machine makes every client look like loopback: a login trusted by address is then open to all.
    async fn login(&self, report: &mut Report) {
        let mut request = self.request(Method::POST, self.at("/login"));
        set(&mut request, CONTENT_TYPE.as_str(), "application/json");
        *request.body_mut() = Some(Body::from(r#"{"user_id":"doorward-doctor"}"#));
        let untold = "whether a stranger can log in as anyone can't be told";
        let keep = "see that the proxy does not pass /login on, or that a caller key is asked for";
        let answer = match self.send(request).await {
            Ok(answer) => answer,
            Err(error) => return report.unknown(GROUP, format!("{untold}: {}", in_short(&error)), keep),
        };
        let pair: Option<Value> = serde_json::from_str(&answer.body).ok();
        let refresh = pair.as_ref().and_then(|pair| pair.get("refresh")).and_then(Value::as_str);
        let Some(refresh) = refresh.filter(|_| answer.status.is_success()) else {
            // Only these say no; a page of another service, a failure or a redirect says nothing about doorward.
            return match answer.status.as_u16() {
                status @ (401 | 403 | 404 | 405) => {
                    report.good(GROUP, format!("a stranger can't log in as anyone: {status}"));
                }
                status => report.unknown(GROUP, format!("{untold}: POST /login answers {status}"), keep),
            };
        };
        let fix = "don't pass /login through the proxy, or ask for a caller key (auth.trusted_login.caller_keys_file) \
                   instead of an address; no --dev behind a proxy";
        report.bad(GROUP, "anyone can log in as anyone: POST /login is trusted through the proxy", fix);
        let mut request = self.request(Method::POST, self.at("/logout"));
        set(&mut request, AUTHORIZATION.as_str(), &format!("Bearer {refresh}"));
        let ended = self.send(request).await.is_ok_and(|answer| answer.status.is_success());
        if !ended {
            report.warn(
                GROUP,
                "the session that this opened lives on",
                "run: doorward session revoke --user doorward-doctor",
            );
        }
    }

    async fn metrics(&self, report: &mut Report) {
        let answer = self.send(self.request(Method::GET, self.at("/metrics"))).await;
        if answer.is_ok_and(|answer| answer.body.contains("doorward_")) {
            report.warn(GROUP, "clients can read /metrics", "don't pass the ops listener through the proxy");
        }
    }
}

/// 403 where nobody has signed in: either no rule lets anyone have the path, or doorward does not understand the question.
fn forbidden(reason: Option<&str>, report: &mut Report) -> First {
    if reason == Some("forbidden") {
        let fix = "name a URL that a rule opens to those who are signed in, or mend check.rules";
        report.warn(GROUP, "without a token: 403, no rule lets anyone have this path", fix);
        return First::Denied;
    }
    let told = reason.map_or_else(String::new, |reason| format!(" ({REASON}: {reason})"));
    let fix = "doorward answers 403 with the reason bad_path where it is asked on a wrong path, without the request's method \
               and URI, or by a proxy outside listen.trusted_proxies. NGINX: proxy_pass to /check/nginx, \
               proxy_set_header X-Original-Method $request_method, proxy_set_header X-Original-URI $request_uri; Envoy: \
               path_prefix /check/envoy. Where that holds: no rule of check.rules covers this URL, so name another";
    report.bad(GROUP, format!("without a token: 403{told}, where 401 belongs"), fix);
    First::Misasked
}

fn set(request: &mut Request, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
        request.headers_mut().insert(name, value);
    }
}

/// The first 64 KiB of the body.
async fn read_some(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < 64 * 1024 {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The innermost cause, which is what tells a refused connection from an unknown host.
fn in_short(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A body of 1 MiB, of which only the first byte ever comes.
struct Stalled {
    started: bool,
}

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        if self.started {
            return Poll::Pending;
        }
        self.started = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(1 << 20)
    }
}
