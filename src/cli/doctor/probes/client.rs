//! What all probes share: a client, the proxy's URL, and how an answer is read.

use std::time::Duration;

use http::HeaderName;
use http::header::{SERVER, WWW_AUTHENTICATE};
use reqwest::{Client, Request, Response, StatusCode, Url};

/// How long a probe may take.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
pub(super) const REASON: &str = "x-doorward-reason";

pub(super) struct Probes<'a> {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) identity: &'a [HeaderName],
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) reason: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) server: Option<String>,
    pub(super) body: String,
}

impl Probes<'_> {
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        url
    }

    pub(super) async fn send(&self, request: Request) -> Result<Answer, reqwest::Error> {
        let response: Response = self.client.execute(request).await?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (reason, challenge, server) = (text(REASON), text(WWW_AUTHENTICATE.as_str()), text(SERVER.as_str()));
        let status = response.status();
        // What matters stands at the front; a page of any size must not hold the probe up.
        let body = read_some(response).await;
        Ok(Answer { status, reason, challenge, server, body })
    }
}

pub(super) fn set(request: &mut Request, name: &str, value: &str) {
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
pub(super) fn in_short(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
