//! `db migrate|status`: the schema of the SQL database.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, terminal};
use crate::clock::SystemClock;
use crate::config::Role;
use crate::database::{self, Engine, Standing};

/// Brings the database's schema up to date, or tells how it stands
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward db status -c doorward.yaml
  doorward db migrate -c doorward.yaml")]
pub(super) enum Db {
    Migrate(Migrate),
    Status(Status),
}

/// Brings the schema up to date; for deployments that set `users.migrate: false`
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward db migrate -c doorward.yaml")]
pub(super) struct Migrate {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Tells whether the schema is up to date; exits 0 or 1
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward db status -c doorward.yaml
  doorward db status -o json")]
pub(super) struct Status {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Db {
    pub(super) fn run(self) -> Outcome {
        let (args, migrate, output) = match self {
            Self::Migrate(one) => (one.config, true, Format::Text),
            Self::Status(one) => (one.config, false, one.output.output),
        };
        let settings = args.load(Role::Issuer)?.config.users;
        if !migrate {
            super::parts::must_exist(&settings.url)?;
        }
        let (engine, Standing { found, known }) = block_on(look(settings, migrate))?;
        let up_to_date = found == known;
        match output {
            Format::Json => terminal::print_json(&serde_json::json!({
                "engine": engine.name(), "schema": found, "known": known, "up_to_date": up_to_date,
            }))?,
            Format::Text if up_to_date => terminal::print(&format!("{}: schema {found}, up to date", engine.name()))?,
            Format::Text if found > known => terminal::print(&format!(
                "{}: schema {found}, made by a newer doorward; this one knows {known}",
                engine.name()
            ))?,
            Format::Text => terminal::print(&format!(
                "{}: schema {found}, older than this doorward's {known}; run: doorward db migrate",
                engine.name()
            ))?,
        }
        Ok(if up_to_date { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// How far the schema is, after bringing it up to date where that is asked for.
async fn look(settings: database::Settings, migrate: bool) -> anyhow::Result<(Engine, Standing)> {
    let clock = Arc::new(SystemClock);
    let database = if migrate {
        database::open(&database::Settings { migrate, ..settings }, clock).await?
    } else {
        database::connect(&settings, clock).await?
    };
    Ok((database.engine(), database::standing(&database).await?))
}
