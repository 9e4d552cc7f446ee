//! Whether the proxy asks doorward, in the right way, and passes its answers on: no token, a bad one, a body that never comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http_body::Frame;
use reqwest::{Body, Method, Request};

use super::super::report::Report;
use super::GROUP;
use super::client::{Probes, REASON, in_short, set};

/// What became of a request without a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    LetThrough,
    Denied,
    /// Doorward, or what the proxy protects, does not answer: nothing can be told of its refusals.
    Away,
    /// Refused because the proxy asks doorward in the wrong way: nothing can be told from further refusals.
    Misasked,
}

impl Probes<'_> {
    /// A request without a token. `None` where the proxy does not answer.
    pub(super) async fn without_token(&self, report: &mut Report) -> Option<First> {
        let answer = match self.send(Request::new(Method::GET, self.url.clone())).await {
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
        Some(match status {
            200..=299 => First::LetThrough,
            500 | 502..=504 => First::Away,
            _ => First::Denied,
        })
    }

    pub(super) async fn bad_token(&self, report: &mut Report) {
        let mut request = Request::new(Method::GET, self.url.clone());
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
    pub(super) async fn stalled_body(&self, report: &mut Report) {
        let mut request = Request::new(Method::POST, self.url.clone());
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
