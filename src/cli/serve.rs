//! `serve` and `demo`: load, start logging, hand over to `app`.

use std::process::ExitCode;

use clap::Args;
use tokio::runtime::Builder;

use super::{ConfigArgs, Outcome};
use crate::app::{self, ServeOptions};
use crate::config::{Loaded, Role, Severity};
use crate::logging;

/// Serves: the check plane, the session plane, or both
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward serve --dev
  doorward serve -c /etc/doorward/doorward.yaml
  doorward serve -c doorward.yaml --role check --set listen.check=unix:/run/doorward/check.sock")]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// Which planes to serve
    #[arg(long, value_enum, default_value_t)]
    role: Role,
    /// For development: every client on this machine may log in as anyone
    #[arg(long)]
    dev: bool,
}

impl Serve {
    pub(super) fn run(self) -> Outcome {
        let loaded = self.config.load_to_serve(self.role, self.dev)?;
        // A sidecar's other threads have runtimes of their own: `listen::cores`.
        let mut runtime = match self.role {
            Role::Check => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        runtime.worker_threads(loaded.config.threads());
        let options = ServeOptions { role: self.role, dev: self.dev };
        runtime.enable_all().build()?.block_on(async {
            let guard = logging::init(&loaded.config.logging)?;
            log_notices(&loaded);
            if self.dev && self.role != Role::Check {
                tracing::warn!("--dev: every caller on this machine may log in as anyone; not for production");
            }
            // Told by the log alone: standard error is the log's.
            let code = app::serve(loaded, options).await.unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "doorward can't serve");
                ExitCode::FAILURE
            });
            // The last traces are sent while the runtime is still there to carry them.
            let _ = tokio::task::spawn_blocking(move || drop(guard)).await;
            Ok(code)
        })
    }
}

/// Tells once what the configuration has that is odd or without effect.
fn log_notices(loaded: &Loaded) {
    for finding in &loaded.notices {
        let (key, source, fix) = (&finding.key, &finding.source, finding.fix.as_str());
        match finding.severity {
            Severity::Notice => tracing::info!(%key, %source, "{}", finding.what),
            _ => tracing::warn!(%key, %source, fix, "{}", finding.what),
        }
    }
}

/// Shows doorward at work: everything in memory, nothing kept
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward demo            play the story, then stay up to be tried
  doorward demo --once     play the story and say by the exit code whether it held")]
pub(super) struct Demo {
    /// End after the story
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) fn run(self) -> Outcome {
        Builder::new_multi_thread().enable_all().build()?.block_on(app::demo(self.once))
    }
}
