//! `user add|import|list|show|disable|enable|unlock|set-password|roles|delete`: straight on the users' database and the token store; every checker
//! hears of what ends by the revocation log.

mod import;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::parts::{self, Console};
use super::session::moment;
use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, terminal};
use crate::accounts::AccountError;
use crate::accounts::admin::Admin;
use crate::accounts::lock::Lock;
use crate::config::{Config, Role};
use crate::fault::{Fault, Kind};
use crate::users::{Page, User, UserId};

/// Makes, lists and changes accounts
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward user add alice@example.com --role admin
  doorward user list
  doorward user disable alice@example.com")]
pub(super) enum UserCommand {
    Add(Add),
    Import(import::Import),
    List(List),
    Show(Show),
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

/// Lists accounts by address
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user list
  doorward user list --search example.com -o json")]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only those whose address holds this text
    #[arg(long)]
    search: Option<String>,
    /// How many at the most
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows one account, its live sessions, and what too many wrong passwords have locked
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user show alice@example.com
  doorward user show alice@example.com -o json")]
pub(super) struct Show {
    #[command(flatten)]
    config: ConfigArgs,
    /// Its address or id
    user: String,
    #[command(flatten)]
    output: OutputArgs,
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
        let done = work(&console.accounts.console(&call)).await;
        console.close().await;
        done
    })
}

/// What an account's refusal means for who typed the command: the whole chain where something is away, a sentence otherwise.
fn told(error: AccountError) -> anyhow::Error {
    if error.kind() == Kind::Unavailable { error.into() } else { anyhow::anyhow!(error.detail()) }
}

async fn find(admin: &Admin<'_>, user: &str) -> anyhow::Result<User> {
    let found = match UserId::new(user) {
        Some(id) => admin.user(&id).await,
        None => admin.user_by_email(user).await,
    };
    found.map_err(told).with_context(|| terminal::printable(user))
}

impl Add {
    fn run(self) -> Outcome {
        let password = if self.no_password { None } else { Some(self.password.read()?) };
        let user = administrate(&self.config, async |admin| {
            admin.create(&self.email, password.as_deref(), self.roles.clone()).await.map_err(told)
        })?;
        match self.output.output {
            Format::Json => terminal::print_json(&as_json(&user))?,
            Format::Text => terminal::print(user.id.as_str())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> Outcome {
        let page = Page { after: None, limit: self.limit, search: self.search.clone() };
        let users = administrate(&self.config, async |admin| admin.users(&page).await.map_err(told))?;
        match self.output.output {
            Format::Json => terminal::print_json(&users.iter().map(as_json).collect())?,
            Format::Text => {
                let heads = ["email", "id", "roles", "created", "state"];
                terminal::print(&terminal::table(&heads, &users.iter().map(as_row).collect::<Vec<_>>()))?;
            }
        }
        if users.len() == self.limit as usize {
            terminal::talk("There may be more; --search narrows the list.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(self) -> Outcome {
        let (user, sessions, locks) = administrate(&self.config, async |admin| {
            let user = find(admin, &self.user).await?;
            let sessions = admin.sessions_of(&user.id).await.map_err(told)?;
            let locks = admin.locks_of(&user.id).await.map_err(told)?;
            Ok((user, sessions, locks))
        })?;
        let sids: Vec<_> = sessions.iter().map(|session| session.sid.to_string()).collect();
        let mut json = as_json(&user);
        json["sessions"] = sids.into();
        json["locked"] = match self.output.output {
            Format::Json => locks.iter().map(lock_as_json).collect(),
            Format::Text if locks.is_empty() => "no".into(),
            Format::Text => locks.iter().map(in_words).collect::<Vec<_>>().join(", ").into(),
        };
        terminal::print_members(&json, self.output.output)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    fn set_disabled(self, disabled: bool) -> Outcome {
        administrate(&self.config, async |admin| {
            let user = find(admin, &self.user).await?;
            admin.set_disabled(&user.id, disabled).await.map_err(told)
        })?;
        terminal::talk(if disabled { "Disabled; its sessions have ended." } else { "Enabled." });
        Ok(ExitCode::SUCCESS)
    }

    fn unlock(self) -> Outcome {
        administrate(&self.config, async |admin| {
            let user = find(admin, &self.user).await?;
            admin.unlock(&user.id).await.map_err(told)
        })?;
        terminal::talk("Unlocked; the next password is looked at.");
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
            if set { admin.set_roles(&user.id, self.roles.clone()).await.map_err(told) } else { Ok(user) }
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
            let user = find(admin, &self.one.user).await?;
            admin.delete(&user.id).await.map_err(told)
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

fn as_json(user: &User) -> Value {
    json!({
        "id": user.id.as_str(), "email": user.email, "confirmed": user.confirmed, "disabled": user.disabled,
        "roles": user.roles, "created": moment(user.created), "updated": moment(user.updated),
    })
}

fn lock_as_json(lock: &Lock) -> Value {
    json!({ "session": lock.device, "until": moment(lock.until) })
}

fn in_words(lock: &Lock) -> String {
    let whom = lock.device.map_or("to strangers".to_owned(), |sid| format!("to the device of session {sid}"));
    format!("{whom} until {}", moment(lock.until))
}

fn as_row(user: &User) -> Vec<String> {
    let state = if user.disabled { "disabled" } else { "" };
    vec![user.email.clone(), user.id.to_string(), user.roles.join(","), moment(user.created), state.to_owned()]
}
