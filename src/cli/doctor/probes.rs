//! Probes sent *through* the proxy, as a client meets it: each finds one classic mistake of proxy configurations. Here:
//! which of them are sent.

mod asking;
mod client;
mod trust;

use http::HeaderName;
use reqwest::{Client, Url};

use self::asking::First;
use self::client::{Probes, WITHIN};
use super::report::Report;

const GROUP: &str = "proxy";

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
