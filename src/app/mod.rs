//! One process: chooses the store, wires the parts of its role, opens its doors, reloads, drains. Everything that is chosen
//! is chosen here and once; called by `cli`.

pub mod demo;
mod ends;
mod ground;
mod keys;
pub(crate) mod parts;
mod reload;
mod running;
pub(crate) mod session_plane;

use std::process::ExitCode;

use anyhow::Result;

use crate::config::{Loaded, Role};

pub use demo::run as demo;
pub use parts::Store;
pub use running::{Doors, Running};

#[derive(Clone, Copy, Debug, Default)]
pub struct ServeOptions {
    pub role: Role,
    /// Loopback callers may log users in, and a catch-all `allow: anyone` is accepted.
    pub dev: bool,
}

/// `doorward serve`: runs until a signal ends it.
///
/// # Errors
/// When a part can't be made of the configuration, or a listener can't be bound.
pub async fn serve(loaded: Loaded, options: ServeOptions) -> Result<ExitCode> {
    let signals = ends::Signals::listen()?;
    let running = Running::start(&loaded.config, options).await?;
    let delay = signals.wait(&running, reload::Reloading::new(loaded)).await;
    running.stop(delay).await;
    Ok(ExitCode::SUCCESS)
}
