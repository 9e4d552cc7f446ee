//! `user list|show`: accounts as they are.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::session::moment;
use super::super::{ConfigArgs, Format, Outcome, OutputArgs, terminal};
use super::{administrate, find, told};
use crate::accounts::lock::Lock;
use crate::users::{Page, User};

/// Lists accounts by address
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user list
  doorward user list --search example.com -o json")]
pub(in crate::cli) struct List {
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
pub(in crate::cli) struct Show {
    #[command(flatten)]
    config: ConfigArgs,
    /// Its address or id
    user: String,
    #[command(flatten)]
    output: OutputArgs,
}

impl List {
    pub(super) fn run(self) -> Outcome {
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
    pub(super) fn run(self) -> Outcome {
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

pub(super) fn as_json(user: &User) -> Value {
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
