//! `token explain|mint`: tokens looked at, and tokens made for tests.

mod explain;
mod mint;

use clap::Subcommand;

use super::Outcome;

/// Explains a token, or makes one
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward token explain < token.txt
  doorward token mint --user alice --role admin
  doorward token mint --key foreign.pem --issuer https://i.example --audience api --sub alice --claim roles='[\"admin\"]'")]
pub(super) enum Token {
    Explain(explain::Explain),
    Mint(Box<mint::Mint>),
}

impl Token {
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Explain(explain) => explain.run(),
            Self::Mint(mint) => mint.run(),
        }
    }
}
