//! Probes sent *through* the proxy, as a client meets it: each finds one classic mistake of proxy configurations.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http_body::Frame;
use reqwest::{Body, Client, Method, Request, Response, StatusCode, Url};
use serde_json::Value;

use super::report::Report;
use crate::secret::{base64url, random_bytes};

const GROUP: &str = "proxy";
const WITHIN: Duration = Duration::from_secs(5);
const REASON: &str = "x-doorward-reason";
/// Identity headers of all presets: what a client must not be able to send to the upstream.
const IDENTITY: [&str; 4] = ["X-Auth-Subject", "X-Auth-Request-User", "Remote-User", "X-Auth-Roles"];

pub(super) async fn examine(url: &str, token: Option<&str>, report: &mut Report) {
    let url = match Url::parse(url) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) => url,
        _ => return report.bad(GROUP, format!("{url} is no URL"), "write it as https://app.example.com/path"),
    };
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(WITHIN).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return report.bad(GROUP, format!("no HTTP client: {error}"), ""),
    };
    let probes = Probes { client, url };
    let Some(open) = probes.without_token(report).await else { return };
    if open {
        probes.forged_identity(None, report).await;
    } else {
        probes.bad_token(report).await;
        probes.stalled_body(report).await;
    }
    if let Some(token) = token {
        probes.forged_identity(Some(token), report).await;
    } else if !open {
        let what = "whether a client's identity headers reach the upstream can't be told without a token";
        report.unknown(GROUP, what, "give one with --token-stdin; the upstream must echo its headers");
    }
    probes.check_endpoint(report).await;
    probes.login(report).await;
    probes.metrics(report).await;
}

struct Probes {
    client: Client,
    url: Url,
}

struct Answer {
    status: StatusCode,
    reason: Option<String>,
    challenge: Option<String>,
    body: String,
}

impl Probes {
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
        let (reason, challenge) = (text(REASON), text(WWW_AUTHENTICATE.as_str()));
        let status = response.status();
        // What matters stands at the front; a page of any size must not hold the probe up.
        let body = read_some(response).await;
        Ok(Answer { status, reason, challenge, body })
    }

    /// A request without a token. `None` where the proxy does not answer; otherwise whether it was let through.
    async fn without_token(&self, report: &mut Report) -> Option<bool> {
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
                    let fix = "NGINX: auth_request_set $auth_challenge $upstream_http_www_authenticate; in the 401's location \
                               add_header WWW-Authenticate $auth_challenge always";
                    report.warn(GROUP, "WWW-Authenticate is lost: clients can't tell an expired token from none", fix);
                }
            }
            301..=308 => report.good(GROUP, format!("without a token: {status}, a redirect to sign in")),
            403 => report.warn(GROUP, "without a token: 403 instead of 401", "pass doorward's status on as it is"),
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
        Some(answer.status.is_success())
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

    /// Announces a body that never comes: a proxy that passes bodies on to the check waits for it.
    async fn stalled_body(&self, report: &mut Report) {
        let mut request = self.request(Method::POST, self.url.clone());
        *request.body_mut() = Some(Body::wrap(Stalled { started: false }));
        match self.send(request).await {
            Ok(answer) => {
                report.good(GROUP, format!("a request is judged before its body is there: {}", answer.status.as_u16()))
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
        let forged = format!("doctor-{}", base64url(&random_bytes::<9>()));
        let mut request = self.request(Method::GET, self.url.clone());
        IDENTITY.iter().for_each(|name| set(&mut request, name, &forged));
        if let Some(token) = token {
            set(&mut request, AUTHORIZATION.as_str(), &format!("Bearer {token}"));
        }
        let Ok(answer) = self.send(request).await else { return };
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
        let echoes = IDENTITY.iter().any(|name| lower.contains(&name.to_lowercase()));
        if answer.body.contains(&forged) {
            let fix = "set every identity header from doorward's answer on every protected path, empty ones too; \
                       NGINX: proxy_set_header X-Auth-Subject $auth_subject";
            report.bad(GROUP, "a client's own identity header reaches the upstream: anyone can be anyone", fix);
        } else if echoes {
            report.good(GROUP, "a client's own identity headers do not reach the upstream");
        } else {
            let what = "the upstream does not echo its headers, so a forged identity header can't be seen";
            report.unknown(GROUP, what, "look in the upstream's log for a request with X-Auth-Subject: doctor-…");
        }
    }

    /// A path that doorward refuses, said only in the headers that a proxy must set itself: where the answer knows of it,
    /// either the check's endpoint is open to clients or the proxy believes their headers.
    async fn check_endpoint(&self, report: &mut Report) {
        let mut open = false;
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
            let answer = self.send(request).await;
            open |= answer.is_ok_and(|answer| answer.reason.as_deref() == Some("bad_path"));
        }
        if open {
            let fix = "keep listen.check on loopback or a Unix socket, make its location `internal` in NGINX, and overwrite \
                       X-Original-* and X-Forwarded-* with the proxy's own values";
            report.bad(GROUP, "clients reach the check endpoint, or their X-Original-* headers are believed", fix);
        } else {
            report.good(GROUP, "clients don't reach the check endpoint");
        }
    }

    /// A proxy on the same machine makes every client look like loopback: a login trusted by address is then open to all.
    async fn login(&self, report: &mut Report) {
        let mut request = self.request(Method::POST, self.at("/login"));
        set(&mut request, CONTENT_TYPE.as_str(), "application/json");
        *request.body_mut() = Some(Body::from(r#"{"user_id":"doorward-doctor"}"#));
        let Ok(answer) = self.send(request).await else { return };
        let pair: Option<Value> = serde_json::from_str(&answer.body).ok();
        let refresh = pair.as_ref().and_then(|pair| pair.get("refresh")).and_then(Value::as_str);
        let Some(refresh) = refresh.filter(|_| answer.status.is_success()) else {
            report.good(GROUP, format!("a stranger can't log in as anyone: {}", answer.status.as_u16()));
            return;
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
