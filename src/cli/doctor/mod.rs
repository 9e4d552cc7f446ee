//! `doctor`: looks at configuration, keys, state, clock, the running service and the proxy in front of it, and says what is
//! wrong with the fix. Like `linkerd check`, but for one service.

mod local;
mod probes;
mod redis;
mod report;

use std::process::ExitCode;

use clap::Args;

use self::report::Report;
use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, terminal};
use crate::check::headers::HeaderPlan;
use crate::config::{ConfigErrors, Loaded, Role, files};

/// Finds what is wrong, with the fix for each
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward doctor --pre -c doorward.yaml          before it is started
  doorward doctor -c doorward.yaml                beside the running service
  doorward doctor --via https://app.example.com   through the proxy, as a client meets it")]
pub(super) struct Doctor {
    #[command(flatten)]
    config: ConfigArgs,
    /// Which planes run here
    #[arg(long, value_enum, default_value_t)]
    role: Role,
    /// Before the service is up: what can be told without it
    #[arg(long)]
    pre: bool,
    /// Send probes through the proxy, to a URL that it protects
    #[arg(long, value_name = "URL")]
    via: Option<String>,
    /// With --via: read an access token from standard input, to see what an allowed request does
    #[arg(long, requires = "via")]
    token_stdin: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Doctor {
    pub(super) fn run(self) -> Outcome {
        let token = self.token_stdin.then(|| terminal::read_stdin("an access token", 64 * 1024)).transpose()?;
        let mut report = Report::default();
        let loaded = self.config(&mut report);
        block_on(async {
            if let Some(loaded) = &loaded {
                local::examine(&loaded.config, self.role, self.pre, self.via.is_none(), &mut report).await;
            }
            match &self.via {
                Some(url) => {
                    let headers = loaded.as_ref().map(|loaded| loaded.config.check.headers.clone()).unwrap_or_default();
                    let identity = HeaderPlan::new(&headers).map(|plan| plan.names()).unwrap_or_default();
                    probes::examine(url, token.as_deref(), &identity, &mut report).await;
                }
                None => {
                    let fix = "run `doorward doctor --via URL` with a URL that the proxy protects";
                    report.unknown("proxy", "not looked at", fix);
                }
            }
            Ok(())
        })?;
        match self.output.output {
            Format::Json => terminal::print_json(&report.to_json())?,
            Format::Text => terminal::print(&report.to_text())?,
        }
        Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn config(&self, report: &mut Report) -> Option<Loaded> {
        match self.config.load(self.role) {
            Ok(loaded) => {
                let role = self.role.as_str();
                match &loaded.path {
                    Some(path) => report.good("config", format!("good for role {role} ({})", path.display())),
                    None => report.unknown(
                        "config",
                        format!("no file was named: what follows is told of the defaults, for role {role}"),
                        "give the configuration that is served: -c FILE",
                    ),
                }
                loaded.notices.iter().for_each(|notice| report.finding(notice));
                // Keys have a group of their own, which says more.
                let own_group = |key: &str| ["keys", "check.", "issuers"].iter().any(|start| key.starts_with(start));
                let files = files::findings(&loaded.config, self.role);
                files.iter().filter(|one| !own_group(&one.key)).for_each(|finding| report.finding(finding));
                Some(loaded)
            }
            Err(ConfigErrors(findings)) => {
                findings.iter().for_each(|finding| report.finding(finding));
                None
            }
        }
    }
}
