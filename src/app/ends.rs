//! What a running process waits for: signals that end it, signals and files that change it.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::Running;
use crate::app::reload::Reloading;

/// A key's state follows from time, so metrics tell it anew now and then; and what could not be announced is tried again.
const KEYS_SHOWN: Duration = Duration::from_secs(10);

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
        let plane = running.reloads.session_plane.as_ref();
        let mut keys_shown = tokio::time::interval(KEYS_SHOWN);
        let mut removals = plane.map(|plane| plane.keys.removals());
        loop {
            let removed = async {
                match &mut removals {
                    Some(removals) => removals.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.terminate.recv() => return reloading.delay(),
                _ = self.interrupt.recv() => return Duration::ZERO,
                _ = self.hangup.recv() => reloading.apply(&running.reloads).await,
                () = reloading.changed() => reloading.apply(&running.reloads).await,
                true = removed => {
                    if let Some(plane) = plane {
                        plane.keys.follow_removal(reloading.config()).await;
                    }
                }
                _ = keys_shown.tick() => {
                    if let Some(plane) = plane {
                        plane.keys.show();
                        plane.keys.announce().await;
                    }
                }
            }
        }
    }
}
