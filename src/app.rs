//! Wires the parts into a running doorward.

use std::process::ExitCode;

use crate::config::{Loaded, Role};

/// How to serve, apart from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    pub role: Role,
    /// Development: loopback clients may log in as anyone.
    pub dev: bool,
}

/// Serves until told to stop.
///
/// # Errors
/// Where it can't start.
pub async fn serve(_loaded: Loaded, options: ServeOptions) -> anyhow::Result<ExitCode> {
    anyhow::bail!("role {} is not wired yet", options.role.as_str())
}

/// Plays the whole story in memory.
///
/// # Errors
/// Where it can't start.
pub async fn demo(_once: bool) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the demo is not wired yet")
}
