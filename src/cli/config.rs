//! `config check|show|schema|init`: everything about the configuration without starting anything.

use std::io;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{ConfigArgs, EX_CONFIG, Format, Outcome, OutputArgs, terminal};
use crate::config::{ConfigErrors, Finding, Role, reference, schema, show, starter};

/// Checks, shows and explains the configuration
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward config init > doorward.yaml
  doorward config check -c doorward.yaml --role check
  doorward config show -c doorward.yaml")]
pub(super) enum Config {
    Check(Check),
    Show(Show),
    /// Prints the JSON Schema of the configuration, for editors
    #[command(before_help = "Examples:
  doorward config schema > doorward.schema.json")]
    Schema,
    /// Prints a commented configuration to start from
    #[command(before_help = "Examples:
  doorward config init > doorward.yaml")]
    Init,
    /// Prints docs/configuration.md
    #[command(hide = true)]
    Reference,
}

/// Tells everything that is wrong with the configuration, with the fix; exits 0 or 78
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward config check -c doorward.yaml
  doorward config check -c doorward.yaml --role check -o json")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
    /// The role it is to serve
    #[arg(long, value_enum, default_value_t)]
    role: Role,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints every effective value and where it comes from, secrets hidden
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward config show -c doorward.yaml
  doorward config show --set auth.access_lifetime=5m -o json")]
pub(super) struct Show {
    #[command(flatten)]
    config: ConfigArgs,
    #[arg(long, value_enum, default_value_t)]
    role: Role,
    #[command(flatten)]
    output: OutputArgs,
}

impl Config {
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Check(check) => return check.run(),
            Self::Show(show) => show.run()?,
            Self::Schema => terminal::print_json(schema::whole())?,
            Self::Init => terminal::print(starter::STARTER)?,
            Self::Reference => terminal::print(&reference::markdown())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn run(self) -> Outcome {
        let (findings, good) = match self.config.load_to_serve(self.role, false) {
            Ok(loaded) => (loaded.notices, true),
            Err(ConfigErrors(findings)) => (findings, false),
        };
        match self.output.output {
            Format::Json => {
                let findings: Vec<_> = findings.iter().map(Finding::to_json).collect();
                terminal::print_json(&serde_json::json!({ "ok": good, "findings": findings }))?;
            }
            Format::Text => {
                let colour = terminal::colour(&io::stdout());
                for finding in &findings {
                    terminal::print(&format!("{} {finding}", terminal::mark(finding.severity, colour)))?;
                }
                if good {
                    let role = self.role.as_str();
                    terminal::print(&format!(
                        "{} the configuration is good for role {role}",
                        terminal::good_mark(colour)
                    ))?;
                }
            }
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(EX_CONFIG) })
    }
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load(self.role)?;
        match self.output.output {
            Format::Json => terminal::print_json(&show::json(&loaded)),
            Format::Text => terminal::print(&show::yaml(&loaded)),
        }
    }
}
