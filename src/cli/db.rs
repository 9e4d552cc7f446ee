//! `db migrate|status`: the schema of the SQL database.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, terminal};
use crate::config::Role;
use crate::database::{self, DatabaseError};

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
        let mut settings = args.load(Role::Issuer)?.config.users;
        settings.migrate = migrate;
        if !migrate {
            super::parts::must_exist(&settings.url)?;
        }
        let opened = block_on(async { Ok(database::open(&settings).await.map(drop)) })?;
        let (up_to_date, told) = match opened {
            Ok(()) => (true, "up to date"),
            Err(DatabaseError::Older) => (false, "older than this doorward; run: doorward db migrate"),
            Err(error) => return Err(error.into()),
        };
        match output {
            Format::Json => terminal::print_json(&serde_json::json!({ "up_to_date": up_to_date }))?,
            Format::Text => terminal::print(told)?,
        }
        Ok(if up_to_date { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
