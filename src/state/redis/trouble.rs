//! Why there is no connection to Redis: a refused password, a name that does not resolve, a certificate that is not
//! trusted. No call hears of it from fred, which goes on trying; `link` adds it to the calls that fail meanwhile.

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::EventInterface;
use fred::types::config::Server;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

/// What one client has said of its connection.
#[derive(Debug)]
pub(super) struct Trouble {
    errors: Receiver<(Error, Option<Server>)>,
    latest: Option<String>,
}

impl Trouble {
    /// To be made before the client connects: earlier errors are not heard.
    pub(super) fn of(client: &Client) -> Self {
        Self { errors: client.error_rx(), latest: None }
    }

    /// The latest error of the connection.
    pub(super) fn latest(&mut self) -> Option<&str> {
        loop {
            match self.errors.try_recv() {
                // A connection that was closed says no more than that.
                Ok((error, _)) if *error.kind() == ErrorKind::Canceled => {}
                Ok((error, _)) => self.latest = Some(in_words(error.details())),
                // So many came that old ones were dropped: the newest are still there.
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return self.latest.as_deref(),
            }
        }
    }
}

/// fred keeps errors of the system and of TLS as Rust shows them to programmers: `Os { code: 111, kind: ConnectionRefused, message:
/// "Connection refused" }`, `Custom { kind: InvalidData, error: … }`. Only what they say is kept; other texts stay as they are.
pub(super) fn in_words(text: &str) -> String {
    let told = [("Os { ", "message: "), ("Custom { ", "error: ")].iter().find_map(|(start, before)| {
        let inside = text.strip_prefix(start)?.strip_suffix(" }")?;
        let (_, said) = inside.split_once(before)?;
        Some(said.trim_matches('"').to_owned())
    });
    told.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rust_shows_to_programmers_becomes_words() {
        for (shown, words) in [
            ("Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }", "Connection refused"),
            ("Custom { kind: Uncategorized, error: \"failed to lookup address\" }", "failed to lookup address"),
            ("Custom { kind: InvalidData, error: Bad(Issuer { a: 1 }) }", "Bad(Issuer { a: 1 })"),
            ("WRONGPASS invalid username-password pair", "WRONGPASS invalid username-password pair"),
            ("Os { unlike", "Os { unlike"),
        ] {
            assert_eq!(in_words(shown), words);
        }
    }
}
