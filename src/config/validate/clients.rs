//! OAuth 2 clients: each by itself, and how they fit together. The room judges what a client is.

use super::{Told, web_url};
use crate::config::Config;
use crate::oauth::clients::Mistake;

pub(super) fn judge(config: &Config, told: &mut Told) {
    for (at, client) in config.clients.iter().enumerate() {
        for Mistake { key, what, fix } in client.mistakes() {
            told.error_if(true, format!("clients[{at}].{key}"), what, fix);
        }
        for Mistake { key, what, fix } in client.doubts() {
            told.warn_if(true, format!("clients[{at}].{key}"), what, fix);
        }
        let twice = config.clients[..at].iter().any(|other| other.id == client.id);
        let what = format!("`{}` stands for two clients", client.id);
        told.error_if(twice && !client.id.is_empty(), format!("clients[{at}].id"), what, "give each its own");
    }
    let issuer = &config.auth.issuer;
    told.warn_if(
        !config.clients.is_empty() && web_url(issuer).is_none(),
        "auth.issuer",
        format!("`{issuer}` is no URL, so OAuth clients can't find the metadata of this issuer (RFC 8414)"),
        format!("write public_url, here and in sidecars: {}", config.public_url),
    );
}
