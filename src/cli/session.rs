//! `session list|show|revoke`: straight on the token store; every checker hears of an end by the revocation log.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, parts, terminal};
use crate::audit::{self, About, Event};
use crate::clock::{Clock, Millis, SystemClock};
use crate::config::{Config, Role};
use crate::state::{Cause, Session, Sessions, StateError};
use crate::token::{SessionId, SubjectTag, TokenId};
use crate::units::Span;

/// Lists, shows and ends sessions
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward session list --user alice
  doorward session revoke --user alice
  doorward session revoke --issuer https://accounts.example.com --user alice --jti 4f1c…")]
pub(super) enum SessionCommand {
    List(List),
    Show(Show),
    Revoke(Revoke),
}

/// Lists live sessions
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward session list                      everyone's
  doorward session list --user alice -o json")]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    of: Whose,
    /// How many at the most, without --user
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Whose {
    /// Of this subject
    #[arg(long, value_name = "SUBJECT")]
    user: Option<String>,
    /// Of everyone, as without any of these
    #[arg(long)]
    all: bool,
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

/// Ends sessions, or denies tokens of other issuers
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward session revoke 5a1cV0…                  one session
  doorward session revoke --user alice             all of a subject, and every access token it holds
  doorward session revoke --all --yes              everyone's, and every token issued until now
  doorward session revoke --issuer ISS --user SUB            a foreign subject's tokens issued until now
  doorward session revoke --issuer ISS --user SUB --jti JTI  one foreign token")]
pub(super) struct Revoke {
    #[command(flatten)]
    config: ConfigArgs,
    /// One session, by the `sid` of its tokens
    #[arg(
        conflicts_with_all = ["user", "all", "issuer", "jti"],
        required_unless_present_any = ["user", "all"],
        allow_hyphen_values = true
    )]
    sid: Option<SessionId>,
    /// Everything of this subject
    #[arg(long, value_name = "SUBJECT", conflicts_with = "all")]
    user: Option<String>,
    /// Everyone's sessions, at once, however many there are
    // `requires` is no help against `--all --issuer`: clap asks for no `--user` that may not stand beside `--all`.
    #[arg(long, conflicts_with_all = ["issuer", "jti"])]
    all: bool,
    /// The subject is another issuer's: its `iss`
    #[arg(long, value_name = "ISS", requires = "user")]
    issuer: Option<String>,
    /// Only the token with this id
    #[arg(long, requires = "user")]
    jti: Option<String>,
    /// With --issuer or --jti: how long such a token can live, and so must be remembered
    #[arg(long = "for", value_name = "DURATION", default_value = "24h")]
    remember: Span,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
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
            Ok(match &self.of.user {
                Some(user) => store.sessions_of(SubjectTag::of(&config.auth.issuer, user)).await?,
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
        if self.of.user.is_none() && sessions.len() == self.limit {
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

impl Revoke {
    fn run(self) -> Outcome {
        let config = self.config.load(Role::All)?.config;
        terminal::confirm(&self.question(), self.yes)?;
        let _log = parts::log_audit(&config)?;
        let done = block_on(self.revoke(&config))?;
        terminal::talk(&done);
        Ok(ExitCode::SUCCESS)
    }

    fn question(&self) -> String {
        match (&self.sid, &self.user, &self.jti) {
            (Some(sid), ..) => format!("End the session {sid}?"),
            (_, Some(user), Some(jti)) => format!("Deny the token {jti} of {user}?"),
            (_, Some(user), None) => {
                format!("End all sessions of {user} and refuse every access token issued until now?")
            }
            _ => "End everyone's sessions and refuse every token issued until now?".to_owned(),
        }
    }

    async fn revoke(&self, config: &Config) -> anyhow::Result<String> {
        let store = parts::store(config).await?;
        let own = config.auth.issuer.as_str();
        let issuer = self.issuer.as_deref().unwrap_or(own);
        if let Some(sid) = &self.sid {
            let was_live = end_one(store.as_ref(), sid).await?;
            return Ok(if was_live { "The session has ended.".into() } else { "The session had ended before.".into() });
        }
        let Some(user) = &self.user else {
            let raised = store.end_everyone().await?;
            audit_end(None, None, "everyone by command-line", &raised.confirmed);
            let since = moment(Millis(raised.sure()?.0));
            return Ok(format!("Everyone's sessions have ended. Every token issued until now, {since}, is refused."));
        };
        let tag = SubjectTag::of(issuer, user);
        if let Some(jti) = &self.jti {
            let Some(jti) = TokenId::new(jti) else { bail!("a `jti` has 1 to 256 bytes") };
            let denied = store.deny_token(tag, &jti, SystemClock.now().plus(self.remember.0)).await?;
            audit_end(Some(user), None, "denied", &denied.confirmed);
            denied.sure()?;
            return Ok(format!("The token is denied for {}.", self.remember));
        }
        let ended = store.end_subject(tag, Cause::Admin, self.remember.0).await?;
        audit_end(Some(user), None, Cause::Admin.as_str(), &ended.confirmed);
        let ended = ended.sure()?;
        Ok(if issuer == own {
            format!("Sessions ended: {ended}. Access tokens issued until now are refused.")
        } else {
            format!("Every token of {user} issued until now is denied for {}.", self.remember)
        })
    }
}

async fn end_one(store: &dyn Sessions, sid: &SessionId) -> anyhow::Result<bool> {
    let end = store.end(sid, Cause::Admin).await?;
    if end.done {
        audit_end(None, Some(sid), Cause::Admin.as_str(), &end.confirmed);
    }
    Ok(end.sure()?)
}

/// An end that could not be confirmed is told too, before it fails: asked again, the store finds nothing to end.
fn audit_end(subject: Option<&str>, sid: Option<&SessionId>, outcome: &str, confirmed: &Result<(), StateError>) {
    let sid = sid.map(|sid| sid as &dyn std::fmt::Display);
    let outcome = &*audit::outcome(outcome, confirmed.is_ok());
    let about = About { subject, sid, request_id: Some("command-line"), outcome, ..About::default() };
    audit::record(Event::AuthnTokenRevoked, about);
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
