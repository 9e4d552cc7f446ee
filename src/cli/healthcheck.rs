//! `healthcheck`: asks a running doorward whether it is ready; made for an image without a shell or curl.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::http1::{self, Reply};
use super::{ConfigArgs, Outcome, block_on, terminal};
use crate::config::Role;

/// Asks the ops listener of a running doorward whether it is ready; exits 0 or 1
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward healthcheck -c /etc/doorward/doorward.yaml
  HEALTHCHECK CMD [\"/doorward\", \"healthcheck\"]")]
pub(super) struct Healthcheck {
    #[command(flatten)]
    config: ConfigArgs,
    /// Ask only whether it is alive, not whether it is ready
    #[arg(long)]
    live: bool,
    /// Which planes it serves
    #[arg(long, value_enum, default_value_t)]
    role: Role,
}

impl Healthcheck {
    pub(super) fn run(self) -> Outcome {
        let loaded = self.config.load(self.role)?;
        let path = if self.live { "/livez" } else { "/readyz" };
        let Reply { status, body, .. } = block_on(async {
            let request = http1::Request::get(path).within(Duration::from_secs(2));
            Ok(http1::send(&http1::reachable(&loaded.config.listen.ops), &request).await?)
        })?;
        if status == 200 {
            return Ok(ExitCode::SUCCESS);
        }
        terminal::talk(&format!("{path} answered {status}: {}", terminal::printable(body.trim())));
        Ok(ExitCode::FAILURE)
    }
}
