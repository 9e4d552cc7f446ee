//! `session list|show|revoke`: straight on the token store; every checker hears of an end by the revocation log.

mod revoke;
mod whom;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::whom::Whom;
use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, parts, terminal};
use crate::clock::Millis;
use crate::config::Role;
use crate::state::Session;
use crate::token::{SessionId, SubjectTag};

/// Lists, shows and ends sessions
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward session list --user alice@example.com
  doorward session revoke --user alice@example.com
  doorward session revoke --issuer https://accounts.example.com --user alice --jti 4f1c…")]
pub(super) enum SessionCommand {
    List(List),
    Show(Show),
    Revoke(revoke::Revoke),
}

/// Lists live sessions
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward session list                             everyone's
  doorward session list --user alice@example.com    an account's
  doorward session list --user alice -o json        a subject's, by the `sub` of its tokens")]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    whom: Whom,
    /// Of everyone, as without any of these
    #[arg(long)]
    all: bool,
    /// How many at the most, of everyone's
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows one session
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward session show 5a1cV0…
  doorward session show 5a1cV0… -o json")]
pub(super) struct Show {
    #[command(flatten)]
    config: ConfigArgs,
    /// The session's id: the `sid` of its tokens
    // One in 64 begins with a hyphen.
    #[arg(allow_hyphen_values = true)]
    sid: SessionId,
    #[command(flatten)]
    output: OutputArgs,
}

impl SessionCommand {
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Revoke(revoke) => revoke.run(),
        }
    }
}

impl List {
    fn run(self) -> Outcome {
        let config = self.config.load(Role::All)?.config;
        let sessions = block_on(async {
            let store = parts::store(&config).await?;
            Ok(match self.whom.subject(async || parts::users(&config).await).await? {
                Some(subject) => store.sessions_of(SubjectTag::of(&config.auth.issuer, &subject)).await?,
                None => store.all_sessions(self.limit).await?,
            })
        })?;
        match self.output.output {
            Format::Json => terminal::print_json(&sessions.iter().map(as_json).collect())?,
            Format::Text => {
                let heads = ["sid", "subject", "created", "last seen", "ends", "from", "device"];
                let rows: Vec<_> = sessions.iter().map(as_row).collect();
                terminal::print(&terminal::table(&heads, &rows))?;
            }
        }
        if self.whom.typed().is_none() && sessions.len() == self.limit {
            terminal::talk(&format!("There may be more than these {}; --limit shows more.", self.limit));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(self) -> Outcome {
        let config = self.config.load(Role::All)?.config;
        let session = block_on(async { Ok(parts::store(&config).await?.session(&self.sid).await?) })?;
        let Some(session) = session else { bail!("there is no live session {}", self.sid) };
        terminal::print_members(&as_json(&session), self.output.output)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(session: &Session) -> Value {
    json!({
        "sid": session.sid, "subject": session.holder.subject, "created": moment(session.created),
        "last_seen": moment(session.last_seen), "ends": moment(session.ends), "generation": session.generation.0,
        "epoch": session.epoch.subject, "roles": session.holder.roles, "scope": session.holder.scope, "amr": session.holder.amr,
        "ip": session.device.ip, "user_agent": session.device.user_agent,
    })
}

fn as_row(session: &Session) -> Vec<String> {
    let device: String = session.device.user_agent.chars().take(40).collect();
    let ip = session.device.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let (sid, subject) = (session.sid.to_string(), session.holder.subject.clone());
    vec![sid, subject, moment(session.created), moment(session.last_seen), moment(session.ends), ip, device]
}

/// `2026-11-22T19:30:00Z`.
pub(super) fn moment(at: Millis) -> String {
    let whole = Duration::from_millis(at.0).as_secs();
    let date = i64::try_from(whole).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| whole.to_string())
}
