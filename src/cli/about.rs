//! `completions`, `man` and `version`: what doorward says about itself.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Format, Outcome, OutputArgs, terminal};

/// Prints completions for a shell
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward completions bash > /etc/bash_completion.d/doorward
  doorward completions fish > ~/.config/fish/completions/doorward.fish")]
pub(super) struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Outcome {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "doorward", &mut text);
        terminal::print(&String::from_utf8(text)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the manual page, in troff
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward man | man -l -
  doorward man key-rotate | man -l -")]
pub(super) struct Man {
    /// The page of one command, such as key-rotate
    page: Option<String>,
}

impl Man {
    pub(super) fn run(self) -> Outcome {
        let mut command = Cli::command();
        command.build();
        let names = self.page.as_deref().unwrap_or_default();
        for name in names.split('-').filter(|name| !name.is_empty()) {
            let inner = command.find_subcommand(name).cloned();
            command = inner.ok_or_else(|| anyhow::anyhow!("there is no command `{}`", names.replace('-', " ")))?;
        }
        let mut text = Vec::new();
        clap_mangen::Man::new(command).render(&mut text)?;
        terminal::print(&String::from_utf8(text)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the version
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward version
  doorward version -o json")]
pub(super) struct Version {
    #[command(flatten)]
    output: OutputArgs,
}

impl Version {
    pub(super) fn run(self) -> Outcome {
        let version = env!("CARGO_PKG_VERSION");
        match self.output.output {
            Format::Text => terminal::print(&format!("doorward {version}"))?,
            Format::Json => terminal::print_json(&serde_json::json!({ "name": "doorward", "version": version }))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
