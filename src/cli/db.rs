//! `db migrate|status`: the schema of the SQL database.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{ConfigArgs, Outcome, block_on, terminal};
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
pub(super) struct Migrate {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Tells whether the schema is up to date; exits 0 or 1
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Db {
    pub(super) fn run(self) -> Outcome {
        let (args, migrate) = match self {
            Self::Migrate(one) => (one.config, true),
            Self::Status(one) => (one.config, false),
        };
        let mut settings = args.load(Role::Issuer)?.config.users;
        settings.migrate = migrate;
        if !migrate {
            super::parts::must_exist(&settings.url)?;
        }
        let opened = block_on(async { Ok(database::open(&settings).await.map(drop)) })?;
        let (code, told) = match opened {
            Ok(()) => (ExitCode::SUCCESS, "up to date"),
            Err(DatabaseError::Older) => (ExitCode::FAILURE, "older than this doorward; run: doorward db migrate"),
            Err(error) => return Err(error.into()),
        };
        terminal::print(told)?;
        Ok(code)
    }
}
