//! `client secret`: makes the secret of an OAuth client, and what the configuration keeps of it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Outcome, OutputArgs, terminal};
use crate::oauth::secret::{self, SecretHash};

/// Makes secrets for OAuth clients
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward client secret
  doorward client secret -o json
  doorward client secret --stdin < secret.txt")]
pub(super) enum ClientCommand {
    Secret(Secret),
}

/// Makes a client's secret and prints it with its hash, for `clients[].secret_hash`
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward client secret                        a new one: the secret is for the client, the hash for the configuration
  doorward client secret --stdin < secret.txt   only the hash, of a secret that was drawn elsewhere")]
pub(super) struct Secret {
    /// Read the secret from standard input: 32 random characters or more
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl ClientCommand {
    pub(super) fn run(self) -> Outcome {
        let Self::Secret(asked) = self;
        let told = if asked.stdin {
            let hash = SecretHash::of(&terminal::read_stdin("the secret", 4096)?)?;
            json!({"secret_hash": hash.to_string()})
        } else {
            let made = secret::make();
            let hash = SecretHash::of(&made)?;
            terminal::talk("Give the secret to the client, and write the hash into its clients[].secret_hash.");
            terminal::talk("The secret is shown this once.");
            json!({"secret": made, "secret_hash": hash.to_string()})
        };
        terminal::print_members(&told, asked.output.output)?;
        Ok(ExitCode::SUCCESS)
    }
}
