//! What a running process waits for: signals that end it, signals and files that change it.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::Running;
use crate::app::reload::Reloading;

/// A key's state follows from time, so metrics tell it anew now and then.
const KEYS_SHOWN: Duration = Duration::from_secs(60);

/// Serves and reloads until a signal ends it; gives how long to go on serving after it. SIGTERM is an orchestrator's, which
/// needs the delay to stop sending requests here; Ctrl-C is a person's, who does not.
pub(super) async fn wait(running: &Running, mut reloading: Reloading) -> Result<Duration> {
    let listen_to = |kind| signal(kind).context("listening to signals");
    let mut terminate = listen_to(SignalKind::terminate())?;
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut hangup = listen_to(SignalKind::hangup())?;
    let mut keys_shown = tokio::time::interval(KEYS_SHOWN);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(reloading.config().shutdown.delay.0),
            _ = interrupt.recv() => return Ok(Duration::ZERO),
            _ = hangup.recv() => reloading.apply(&running.reloads).await,
            () = reloading.changed() => reloading.apply(&running.reloads).await,
            _ = keys_shown.tick() => {
                if let Some(plane) = &running.reloads.session_plane {
                    plane.keys.show();
                }
            }
        }
    }
}
