//! The command line: noun, then verb. Data goes to standard output, talk to standard error; secrets never come in arguments.
//!
//! Exit codes: 0 it worked, 1 it did not, 2 the command was not understood, 78 the configuration is wrong (`EX_CONFIG` of
//! sysexits.h).

mod about;
mod client;
mod config;
mod db;
mod doctor;
mod healthcheck;
mod http1;
mod key;
mod parts;
mod serve;
mod session;
mod terminal;
mod token;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self as settings, ConfigErrors, FILE_VARIABLE, Inputs, Loaded, Role};

/// The configuration is wrong.
const EX_CONFIG: u8 = 78;

type Outcome = anyhow::Result<ExitCode>;

#[derive(Debug, Parser)]
#[command(
    name = "doorward",
    version,
    about = "External authorization for NGINX and Envoy, with the login service that issues what it checks",
    before_help = "Examples:
  doorward demo                            see it work, in memory, in a few seconds
  doorward serve --dev                     all of it on loopback, any local client may log in
  doorward config init > doorward.yaml     a configuration to start from
  doorward serve -c doorward.yaml          serve with it
  doorward doctor -c doorward.yaml         find what is wrong, with the fix",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(serve::Demo),
    Serve(serve::Serve),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Session(session::SessionCommand),
    #[command(subcommand)]
    Client(client::ClientCommand),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Db(db::Db),
    Healthcheck(healthcheck::Healthcheck),
    Completions(about::Completions),
    Man(about::Man),
    Version(about::Version),
}

/// Which configuration to use.
#[derive(Clone, Debug, Default, Args)]
struct ConfigArgs {
    /// The configuration file; without it only the environment and defaults speak
    #[arg(short = 'c', long = "config", value_name = "FILE", env = FILE_VARIABLE)]
    config: Option<PathBuf>,
    /// Sets one key above file and environment; not for secrets
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

impl ConfigArgs {
    fn load(&self, role: Role) -> Result<Loaded, ConfigErrors> {
        self.load_with(&Inputs { role, ..Inputs::default() })
    }

    /// As `serve` takes it: what the named files hold counts too.
    fn load_to_serve(&self, role: Role, dev: bool) -> Result<Loaded, ConfigErrors> {
        self.load_with(&Inputs { role, dev, files: true, ..Inputs::default() })
    }

    fn load_with(&self, inputs: &Inputs) -> Result<Loaded, ConfigErrors> {
        // An empty DOORWARD__CONFIG counts as not set, like every other variable of ours.
        let path = self.config.clone().filter(|path| !path.as_os_str().is_empty());
        let Inputs { path, env, .. } = Inputs::of_process(path);
        let Inputs { role, dev, files, .. } = *inputs;
        settings::load(&Inputs { path, env, sets: self.sets.clone(), role, dev, files })
    }
}

/// How what was read is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, Args)]
struct OutputArgs {
    /// How to print it
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    output: Format,
}

/// Understands the arguments, does what they ask and says how it went.
pub fn run() -> ExitCode {
    // All TLS of this process; `Err` says that a provider is there already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Config(config) => config.run(),
        Command::User(user) => user.run(),
        Command::Session(session) => session.run(),
        Command::Client(client) => client.run(),
        Command::Key(key) => key.run(),
        Command::Token(token) => token.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Db(db) => db.run(),
        Command::Healthcheck(check) => check.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Version(version) => version.run(),
    };
    match done {
        Ok(code) => code,
        Err(error) if terminal::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let wrong_config = error.downcast_ref::<ConfigErrors>();
            match wrong_config {
                Some(ConfigErrors(findings)) => findings.iter().for_each(terminal::tell_finding),
                None => terminal::talk(&format!("doorward: {error:#}")),
            }
            wrong_config.map_or(ExitCode::FAILURE, |_| ExitCode::from(EX_CONFIG))
        }
    }
}

/// A runtime for one command.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn all(command: &clap::Command) -> Vec<clap::Command> {
        let inner = command.get_subcommands().filter(|one| !one.is_hide_set()).flat_map(all);
        [command.clone()].into_iter().chain(inner).collect()
    }

    #[test]
    fn the_help_of_every_command_begins_with_examples_of_it() {
        let mut root = Cli::command();
        root.build();
        let all = all(&root);
        assert!(all.len() > 20, "{}", all.len());
        for command in all {
            let name = command.get_bin_name().unwrap_or("doorward").to_owned();
            let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n  ") && help.contains(&name), "{name}: {help}");
        }
    }
}
