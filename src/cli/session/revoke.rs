//! `session revoke`: needs no keys, and the users' database only to look an address up and to leave a trace there. So sessions
//! can be ended wherever the token store can be reached.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Args;

use super::moment;
use super::whom::Whom;
use crate::audit::{self, About, Event};
use crate::cli::parts::{self, Trail};
use crate::cli::terminal::{self, printable};
use crate::cli::{ConfigArgs, Outcome, block_on};
use crate::clock::{Clock, Millis, SystemClock};
use crate::config::{Config, Role};
use crate::issue::logout::Why;
use crate::state::sql::LOOK_EVERY;
use crate::state::{Cause, Sessions, StateError};
use crate::token::{SessionId, SubjectTag, TokenId};
use crate::units::Span;
use crate::users::sql::SqlUsers;

/// Ends sessions, or denies tokens of other issuers
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward session revoke 5a1cV0…                  one session
  doorward session revoke --user alice@example.com all of an account, and every access token it holds
  doorward session revoke --user alice             the same of a subject, by the `sub` of its tokens
  doorward session revoke --all --yes              everyone's, and every token issued until now
  doorward session revoke --issuer ISS --user SUB            a foreign subject's tokens issued until now
  doorward session revoke --issuer ISS --user SUB --jti JTI  one foreign token")]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    config: ConfigArgs,
    /// One session, by the `sid` of its tokens
    #[arg(
        conflicts_with_all = ["user", "subject", "all", "issuer", "jti"],
        required_unless_present_any = ["user", "subject", "all"],
        allow_hyphen_values = true
    )]
    sid: Option<SessionId>,
    #[command(flatten)]
    whom: Whom,
    /// Everyone's sessions, at once, however many there are
    // `requires` is no help against `--all --issuer`: clap asks for no `--user` that may not stand beside `--all`.
    #[arg(long, conflicts_with_all = ["issuer", "jti"])]
    all: bool,
    /// The subject is another issuer's: its `iss`
    #[arg(long, value_name = "ISS", requires = "whom")]
    issuer: Option<String>,
    /// Only the token with this id
    #[arg(long, requires = "whom")]
    jti: Option<String>,
    /// With --issuer or --jti: how long such a token can live, and so must be remembered
    #[arg(long = "for", value_name = "DURATION", default_value = "24h")]
    remember: Span,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

/// What ends are written with.
struct Desk<'a> {
    config: &'a Config,
    sessions: Arc<dyn Sessions>,
    users: Result<Arc<SqlUsers>, Option<anyhow::Error>>,
    trail: Option<Trail>,
}

impl Revoke {
    pub(super) fn run(self) -> Outcome {
        let config = self.config.load(Role::All)?.config;
        terminal::confirm(&self.question(&config.auth.issuer), self.yes)?;
        let _log = parts::log_audit(&config)?;
        let done = block_on(async {
            let mut desk = Desk::open(&config).await?;
            let done = self.revoke(&mut desk).await;
            desk.close().await;
            done
        })?;
        terminal::talk(&done);
        Ok(ExitCode::SUCCESS)
    }

    fn question(&self, own: &str) -> String {
        let whose = printable(self.whom.typed().unwrap_or_default());
        match (&self.sid, &self.jti, &self.issuer) {
            (Some(sid), ..) => format!("End the session {sid}?"),
            _ if self.all => "End everyone's sessions and refuse every token issued until now?".to_owned(),
            (_, Some(jti), _) => format!("Deny the token {} of `{whose}`?", printable(jti)),
            (_, None, Some(issuer)) if issuer != own => {
                let issuer = printable(issuer);
                format!("Refuse every token of `{whose}` from the issuer `{issuer}` that it has issued until now?")
            }
            _ => format!(
                "End all sessions of `{whose}` at the issuer `{own}` and refuse every access token issued until now?"
            ),
        }
    }

    async fn revoke(&self, desk: &mut Desk<'_>) -> anyhow::Result<String> {
        if let Some(sid) = &self.sid {
            return Ok(if desk.end_one(sid).await? {
                format!("The session has ended. {}", desk.heard())
            } else {
                "The session had ended before.".into()
            });
        }
        if self.all {
            let since = desk.end_everyone().await?;
            let heard = desk.heard();
            return Ok(format!(
                "Everyone's sessions have ended. Every token issued until now, {since}, is refused. {heard}"
            ));
        }
        let own = desk.config.auth.issuer.as_str();
        let issuer = self.issuer.as_deref().unwrap_or(own);
        // Another issuer's subjects are no accounts of ours, whatever they look like.
        let subject = if issuer == own { self.whom.subject(async || desk.users()).await? } else { None };
        let subject = subject.or_else(|| self.whom.typed().map(str::to_owned)).unwrap_or_default();
        let done = match &self.jti {
            Some(jti) => self.deny(desk, issuer, &subject, jti).await?,
            None => self.end_all(desk, issuer, &subject).await?,
        };
        Ok(format!("{done} {}", desk.heard()))
    }

    async fn deny(&self, desk: &Desk<'_>, issuer: &str, subject: &str, jti: &str) -> anyhow::Result<String> {
        let Some(jti) = TokenId::new(jti) else { bail!("a `jti` has 1 to 256 bytes") };
        let until = SystemClock.now().plus(self.remember.0);
        let denied = desk.sessions.deny_token(SubjectTag::of(issuer, subject), &jti, until).await?;
        desk.tell(Some(subject), None, &audit::outcome("denied", denied.confirmed.is_ok()));
        denied.sure()?;
        let (subject, issuer) = (printable(subject), printable(issuer));
        Ok(format!("The token is denied for {}, as one of `{subject}` from the issuer `{issuer}`.", self.remember))
    }

    async fn end_all(&self, desk: &Desk<'_>, issuer: &str, subject: &str) -> anyhow::Result<String> {
        let ended = desk.sessions.end_subject(SubjectTag::of(issuer, subject), Cause::Admin, self.remember.0).await?;
        desk.tell(Some(subject), None, &by_command(&ended.confirmed));
        let is_own = issuer == desk.config.auth.issuer;
        if let Some(trail) = desk.trail.as_ref().filter(|_| is_own) {
            trail.records.all_ended(subject, Cause::Admin);
        }
        let ended = ended.sure()?;
        let (subject, issuer) = (printable(subject), printable(issuer));
        let hint = if self.config.config.is_none() { " (-c FILE names the service's configuration)" } else { "" };
        Ok(match ended {
            _ if !is_own => format!(
                "Every token of `{subject}` from the issuer `{issuer}` issued until now is denied for {}.",
                self.remember
            ),
            0 => format!(
                "No live session of `{subject}` was found at the issuer `{issuer}`{hint}. Access tokens of it issued until now, if \
                 there are any, are refused."
            ),
            ended => format!(
                "Sessions ended: {ended}. Access tokens of `{subject}` from the issuer `{issuer}` issued until now are refused."
            ),
        })
    }
}

impl<'a> Desk<'a> {
    async fn open(config: &'a Config) -> anyhow::Result<Self> {
        let sessions = parts::store(config).await?;
        let users = parts::users(config).await;
        let trail = users.as_ref().ok().map(Trail::begin);
        Ok(Self { config, sessions, users: users.map_err(Some), trail })
    }

    /// Waits until what happened is written, and tells where it can't be.
    async fn close(self) {
        match (self.trail, self.users) {
            (Some(trail), _) => trail.close().await,
            (None, Err(Some(why))) => {
                terminal::talk(&format!("Administrators won't see this in /admin/audit: {why:#}"))
            }
            (None, _) => (),
        }
    }

    fn users(&mut self) -> anyhow::Result<Arc<SqlUsers>> {
        match &mut self.users {
            Ok(users) => Ok(Arc::clone(users)),
            Err(why) => Err(why.take().unwrap_or_else(|| anyhow!("users.url: no database"))),
        }
    }

    async fn end_one(&self, sid: &SessionId) -> anyhow::Result<bool> {
        let whose = self.sessions.session(sid).await?.map(|session| session.holder.subject);
        let end = self.sessions.end(sid, Cause::Admin).await?;
        // An end that could not be confirmed is told too, before it fails: asked again, the store finds nothing to end.
        if end.done {
            self.tell(whose.as_deref(), Some(sid), &by_command(&end.confirmed));
            if let Some(trail) = &self.trail {
                trail.records.ended(sid, Cause::Admin);
            }
        }
        Ok(end.sure()?)
    }

    /// Since when tokens count.
    async fn end_everyone(&self) -> anyhow::Result<String> {
        let raised = self.sessions.end_everyone().await?;
        self.tell(None, None, &audit::outcome("everyone by command-line", raised.confirmed.is_ok()));
        Ok(moment(Millis(raised.sure()?.0)))
    }

    /// Tells the log, and administrators.
    fn tell(&self, subject: Option<&str>, sid: Option<&SessionId>, outcome: &str) {
        let (call, event) = (parts::call(), Event::AuthnTokenRevoked);
        let shown = sid.map(|sid| sid as &dyn std::fmt::Display);
        let request_id = Some(&*call.request_id);
        audit::record(event, About { subject, sid: shown, request_id, outcome, ..About::default() });
        if let Some(trail) = &self.trail {
            trail.records.event(event, &call, subject, sid, outcome);
        }
    }

    /// How soon others know. A store over a network tells them; who reads a file looks again and again.
    fn heard(&self) -> String {
        let soon = match self.config.state.url.as_str() {
            "sql" => format!("within {} ms", LOOK_EVERY.as_millis()),
            _ => "at once".to_owned(),
        };
        let worst = self.config.check.cache.max_staleness;
        format!("Running checkers hear of it {soon}, at the latest after {worst} (check.cache.max_staleness).")
    }
}

fn by_command(confirmed: &Result<(), StateError>) -> String {
    Why::admin("command-line").outcome(confirmed.is_ok()).into_owned()
}
