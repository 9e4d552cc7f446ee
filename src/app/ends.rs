//! What a running process waits for: signals that end it, signals and files that change it.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::Running;
use crate::app::reload::Reloading;

/// A key's state follows from time, so metrics tell it anew now and then.
const KEYS_SHOWN: Duration = Duration::from_secs(60);

/// The signals this process answers. Listened to before anything starts: an unheard one would kill it.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let to = |kind| signal(kind).context("listening to signals");
        Ok(Self {
            terminate: to(SignalKind::terminate())?,
            interrupt: to(SignalKind::interrupt())?,
            hangup: to(SignalKind::hangup())?,
        })
    }

    /// Serves and reloads until a signal ends it; gives how long to go on serving after it. SIGTERM is an orchestrator's,
    /// which needs the delay to stop sending requests here; Ctrl-C is a person's, who does not.
    pub(super) async fn wait(mut self, running: &Running, mut reloading: Reloading) -> Duration {
        let mut keys_shown = tokio::time::interval(KEYS_SHOWN);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return reloading.config().shutdown.delay.0,
                _ = self.interrupt.recv() => return Duration::ZERO,
                _ = self.hangup.recv() => reloading.apply(&running.reloads).await,
                () = reloading.changed() => reloading.apply(&running.reloads).await,
                _ = keys_shown.tick() => {
                    if let Some(plane) = &running.reloads.session_plane {
                        plane.keys.show();
                    }
                }
            }
        }
    }
}
