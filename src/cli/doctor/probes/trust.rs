//! What a client must not be able to do through the proxy: name itself, reach the check endpoint, log in as anyone, read the
//! metrics.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Body, Method, Request};
use serde_json::Value;

use super::super::report::Report;
use super::GROUP;
use super::client::{Probes, in_short, set};
use crate::secret::{base64url, random_bytes};

impl Probes<'_> {
    /// Sends identity headers of its own and looks for them in what the upstream echoes.
    pub(super) async fn forged_identity(&self, token: Option<&str>, report: &mut Report) {
        let Some(one) = self.identity.first() else {
            return report.unknown(GROUP, "check.headers names no identity header that could be forged", "");
        };
        let forged = format!("doctor-{}", base64url(&random_bytes::<9>()));
        let mut request = Request::new(Method::GET, self.url.clone());
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
                    report.warn(
                        GROUP,
                        format!("with the token: {status}, {reason}"),
                        "pipe the token into `doorward token explain`",
                    );
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
    pub(super) async fn check_endpoint(&self, report: &mut Report) {
        let (mut open, mut answers) = (false, 0);
        for path in ["/check/nginx", "/check/forward"] {
            let mut request = Request::new(Method::GET, self.at(path));
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
    pub(super) async fn login(&self, report: &mut Report) {
        let mut request = Request::new(Method::POST, self.at("/login"));
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
        let mut request = Request::new(Method::POST, self.at("/logout"));
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

    pub(super) async fn metrics(&self, report: &mut Report) {
        let answer = self.send(Request::new(Method::GET, self.at("/metrics"))).await;
        if answer.is_ok_and(|answer| answer.body.contains("doorward_")) {
            report.warn(GROUP, "clients can read /metrics", "don't pass the ops listener through the proxy");
        }
    }
}
