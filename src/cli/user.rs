//! `user add|import|list|show|disable|enable|unlock|set-password|roles|delete`: straight on the users' database and the token store; every checker
//! hears of what ends by the revocation log.

mod import;
mod look;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::parts::{self, Console};
use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, terminal};
use crate::accounts::AccountError;
use crate::accounts::admin::{ADMIN, Admin};
use crate::accounts::first_admin::FirstAdmin;
use crate::config::{Config, Role};
use crate::fault::{Fault, Kind};
use crate::users::{User, UserId};

/// Makes, lists and changes accounts
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward user add alice@example.com --role admin
  doorward user list
  doorward user disable alice@example.com")]
pub(super) enum UserCommand {
    Add(Add),
    Import(import::Import),
    List(look::List),
    Show(look::Show),
    Disable(Disable),
    Enable(Enable),
    Unlock(Unlock),
    SetPassword(SetPassword),
    Roles(Roles),
    Delete(Delete),
}

/// Makes an account; its password is asked for, or read from standard input or a file
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user add alice@example.com                          asks for a password
  doorward user add alice@example.com --role admin < password.txt
  doorward user add robot@example.com --no-password            can't sign in until it is given one")]
pub(super) struct Add {
    #[command(flatten)]
    config: ConfigArgs,
    email: String,
    /// A role it has; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Make it without a password
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct PasswordArgs {
    /// A file with the password in its first line
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Lets an account sign in again
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user enable alice@example.com")]
pub(super) struct Enable {
    #[command(flatten)]
    one: One,
}

#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    config: ConfigArgs,
    /// Its address or id
    user: String,
}

/// Ends all sessions of an account, and lets it sign in no more
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user disable alice@example.com")]
pub(super) struct Disable {
    #[command(flatten)]
    one: One,
}

/// Lets an account be signed in to at once that too many wrong passwords have locked
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user unlock alice@example.com")]
pub(super) struct Unlock {
    #[command(flatten)]
    one: One,
}

/// Sets a new password, asked for or read from standard input or a file, and ends all sessions of the account
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user set-password alice@example.com
  doorward user set-password alice@example.com --password-file new.txt")]
pub(super) struct SetPassword {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Shows an account's roles, or sets them
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user roles alice@example.com                 shows them
  doorward user roles alice@example.com editor admin    gives it these, and no others
  doorward user roles alice@example.com --none          takes all away")]
pub(super) struct Roles {
    #[command(flatten)]
    config: ConfigArgs,
    /// Its address or id
    user: String,
    /// The roles it has from now on
    #[arg(value_name = "ROLE")]
    roles: Vec<String>,
    /// It has no role from now on
    #[arg(long, conflicts_with = "roles")]
    none: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Deletes an account and ends its sessions
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user delete alice@example.com --yes")]
pub(super) struct Delete {
    #[command(flatten)]
    one: One,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl UserCommand {
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Add(add) => add.run(),
            Self::Import(import) => import.run(),
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Disable(Disable { one }) => one.set_disabled(true),
            Self::Enable(Enable { one }) => one.set_disabled(false),
            Self::Unlock(Unlock { one }) => one.unlock(),
            Self::SetPassword(set) => set.run(),
            Self::Roles(roles) => roles.run(),
            Self::Delete(delete) => delete.run(),
        }
    }
}

/// Does it as an administrator who needs no account.
fn administrate<T>(args: &ConfigArgs, work: impl AsyncFnOnce(&Admin<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let config: Config = args.load(Role::Issuer)?.config;
    let _log = parts::log_audit(&config)?;
    block_on(async {
        let console = Console::open(&config).await?;
        let call = parts::call();
        let admin = console.accounts.console(&call);
        let first = FirstAdmin::in_folder(Path::new(&config.keys.dir));
        // Before too: what is done may be to take the role away. What can't be asked here fails where it matters.
        let _ = admin.close_first_way(&first).await;
        let done = work(&admin).await;
        let _ = admin.close_first_way(&first).await;
        console.close().await;
        done
    })
}

/// What an account's refusal means for who typed the command: the whole chain where something is away, a sentence otherwise.
fn told(error: AccountError) -> anyhow::Error {
    if error.kind() == Kind::Unavailable { error.into() } else { anyhow::anyhow!(error.detail()) }
}

/// Of an account that had been deleted before.
fn gone(error: AccountError) -> anyhow::Error {
    match error {
        AccountError::NoSuchUser => anyhow::anyhow!("There is no such user; if there was, its sessions have ended."),
        error => told(error),
    }
}

async fn find(admin: &Admin<'_>, user: &str) -> anyhow::Result<User> {
    let found = match UserId::new(user) {
        Some(id) => admin.user(&id).await,
        None => admin.user_by_email(user).await,
    };
    found.map_err(told).with_context(|| terminal::printable(user))
}

/// Says that nobody can administrate any more, where this account was the last that could.
async fn warn_of_none_left(admin: &Admin<'_>, before: &User) {
    let was_one = before.roles.iter().any(|role| role == ADMIN) && !before.disabled;
    if was_one && matches!(admin.enabled_administrators().await, Ok(0)) {
        terminal::talk(
            "No enabled account has the role `admin` now. Give it to one: doorward user roles ADDRESS admin, \
             or doorward user enable ADDRESS",
        );
    }
}

impl Add {
    fn run(self) -> Outcome {
        let password = if self.no_password { None } else { Some(self.password.read()?) };
        let user = administrate(&self.config, async |admin| {
            admin.create(&self.email, password.as_deref(), self.roles.clone()).await.map_err(told)
        })?;
        match self.output.output {
            Format::Json => terminal::print_json(&look::as_json(&user))?,
            Format::Text => terminal::print(user.id.as_str())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    fn set_disabled(self, disabled: bool) -> Outcome {
        administrate(&self.config, async |admin| {
            let user = find(admin, &self.user).await?;
            let done = admin.set_disabled(&user.id, disabled).await.map_err(told);
            warn_of_none_left(admin, &user).await;
            done
        })?;
        terminal::talk(if disabled { "Disabled; its sessions have ended." } else { "Enabled." });
        Ok(ExitCode::SUCCESS)
    }

    fn unlock(self) -> Outcome {
        let was_locked = administrate(&self.config, async |admin| {
            let user = find(admin, &self.user).await?;
            admin.unlock(&user.id).await.map_err(told)
        })?;
        terminal::talk(if was_locked { "Unlocked; the next password is looked at." } else { "It was not locked." });
        Ok(ExitCode::SUCCESS)
    }
}

impl SetPassword {
    fn run(self) -> Outcome {
        let password = self.password.read()?;
        administrate(&self.one.config, async |admin| {
            let user = find(admin, &self.one.user).await?;
            admin.set_password(&user.id, &password).await.map_err(told)
        })?;
        terminal::talk("The new password counts; the account's sessions have ended.");
        Ok(ExitCode::SUCCESS)
    }
}

impl Roles {
    fn run(self) -> Outcome {
        let set = self.none || !self.roles.is_empty();
        let user = administrate(&self.config, async |admin| {
            let user = find(admin, &self.user).await?;
            if !set {
                return Ok(user);
            }
            let done = admin.set_roles(&user.id, self.roles.clone()).await.map_err(told);
            warn_of_none_left(admin, &user).await;
            done
        })?;
        match self.output.output {
            Format::Json => terminal::print_json(&user.roles.clone().into())?,
            Format::Text => terminal::print(&user.roles.join("\n"))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Delete {
    fn run(self) -> Outcome {
        terminal::confirm(&format!("Delete the account {}?", terminal::printable(&self.one.user)), self.yes)?;
        administrate(&self.one.config, async |admin| {
            let user = match UserId::new(&self.one.user) {
                // Also where it is gone: its sessions may live on after an earlier try.
                Some(id) if matches!(admin.user(&id).await, Err(AccountError::NoSuchUser)) => {
                    admin.delete(&id).await.map_err(gone)?;
                    return Ok(());
                }
                _ => find(admin, &self.one.user).await?,
            };
            let done = admin.delete(&user.id).await.map_err(told).with_context(|| user.id.to_string());
            warn_of_none_left(admin, &user).await;
            done
        })?;
        terminal::talk("The account is gone, and its sessions with it.");
        Ok(ExitCode::SUCCESS)
    }
}

impl PasswordArgs {
    /// From the file, or standard input, or whoever types it twice. Only the line's end is cut off.
    fn read(&self) -> anyhow::Result<String> {
        let line = |text: String| text.lines().next().unwrap_or_default().to_owned();
        let password = match &self.password_file {
            Some(file) => line(read_file(file)?),
            None if io::stdin().is_terminal() => {
                let first = terminal::ask_secret("Password: ")?;
                if terminal::ask_secret("Again: ")? != first {
                    bail!("the two are not the same");
                }
                first
            }
            None => {
                let mut text = String::new();
                io::stdin().read_line(&mut text)?;
                line(text)
            }
        };
        if password.is_empty() {
            bail!("give the password on standard input, or say --no-password")
        } else {
            Ok(password)
        }
    }
}

fn read_file(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}
