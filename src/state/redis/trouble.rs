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
                Ok((error, _)) => self.latest = Some(error.details().to_owned()),
                // So many came that old ones were dropped: the newest are still there.
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return self.latest.as_deref(),
            }
        }
    }
}
