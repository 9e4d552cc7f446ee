//! `key list|generate|rotate|revoke|jwks`: the signing keys, on their folder. A running issuer notices a change by itself.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, parts, session, terminal};
use crate::app::parts::ring_rules;
use crate::audit::{self, About, Event};
use crate::clock::{Clock, Millis, SystemClock};
use crate::config::Role;
use crate::state::Entry;
use crate::token::keys::{self, KeyView};

/// Lists, makes, rotates and revokes signing keys
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  doorward key list
  doorward key rotate          a new key signs as soon as every checker can know it
  doorward key revoke KID      a key that leaked: all its tokens are refused at once
  doorward key jwks > jwks.json")]
pub(super) enum Key {
    List(List),
    #[command(before_help = "Examples:
  doorward key generate
  doorward key generate -c doorward.yaml --set keys.algorithm=ES256")]
    Generate(Change),
    #[command(before_help = "Examples:
  doorward key rotate
  doorward key rotate -c doorward.yaml -o json")]
    Rotate(Rotate),
    Revoke(Revoke),
    Jwks(Jwks),
}

/// Lists the keys and where each stands: next, active, retiring, retired
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward key list -c doorward.yaml
  doorward key list -o json")]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Makes a key; it is published, and waits for `key rotate`
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lets the next key sign once it has been published for long enough; makes one where none waits
#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    change: Change,
}

/// Removes a key for good: every token that it signed is refused, by every checker, at once
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward key revoke KID
  doorward key revoke KID --yes --no-announce    the token store is away: checkers hear of it with the next JWKS")]
pub(super) struct Revoke {
    #[command(flatten)]
    config: ConfigArgs,
    /// The key's id, as `key list` shows it
    // One in 64 begins with a hyphen.
    #[arg(allow_hyphen_values = true)]
    kid: String,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Remove the file only, without telling the checkers through the token store: where that is away
    #[arg(long)]
    no_announce: bool,
}

/// Prints the public keys as a JWK Set, for a checker that reads a file
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward key jwks -c doorward.yaml > jwks.json")]
pub(super) struct Jwks {
    #[command(flatten)]
    config: ConfigArgs,
    // A JWK Set is JSON either way; scripts that always say `-o json` need not know.
    #[command(flatten)]
    _output: OutputArgs,
}

impl Key {
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::List(list) => list.run()?,
            Self::Generate(change) => change.run(false)?,
            Self::Rotate(rotate) => rotate.change.run(true)?,
            Self::Revoke(revoke) => revoke.run()?,
            Self::Jwks(jwks) => {
                let config = jwks.config.load(Role::Issuer)?.config;
                terminal::print_json(&parts::ring(&config)?.jwks(SystemClock.now()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let config = self.config.load(Role::Issuer)?.config;
        let keys = parts::ring(&config)?.keys(SystemClock.now());
        match self.output.output {
            Format::Json => terminal::print_json(&serde_json::to_value(&keys)?),
            Format::Text => {
                let rows: Vec<_> = keys.iter().map(row).collect();
                terminal::print(&terminal::table(
                    &["kid", "algorithm", "state", "signs from", "verifies until", "file"],
                    &rows,
                ))
            }
        }
    }
}

fn row(key: &KeyView) -> Vec<String> {
    let from = match key.active_from {
        None => "a rotation".to_owned(),
        Some(at) if at.0 == 0 => "always".to_owned(),
        Some(at) => session::moment(Millis::from(at)),
    };
    let until = key.until.map(|at| session::moment(Millis::from(at))).unwrap_or_default();
    let file = key.file.display().to_string();
    vec![key.kid.clone(), key.algorithm.to_string(), key.state.as_str().to_owned(), from, until, file]
}

impl Change {
    fn run(self, rotate: bool) -> anyhow::Result<()> {
        let config = self.config.load(Role::Issuer)?.config;
        let _log = parts::log_audit(&config)?;
        let (rules, now) = (ring_rules(&config), SystemClock.now());
        let (key, done) = if rotate {
            let rotated = keys::rotate(&config.keys, rules, now)?;
            (rotated.key, if rotated.made { "made_to_sign" } else { "to_sign" })
        } else {
            (keys::generate(&config.keys, rules, now)?, "made")
        };
        audit_key(&key.kid, done);
        match self.output.output {
            Format::Json => terminal::print_json(&serde_json::to_value(&key)?),
            Format::Text => {
                let signs = match key.active_from {
                    None => "after `doorward key rotate`".to_owned(),
                    Some(at) if at <= now => "now".to_owned(),
                    Some(at) => format!("from {} on", session::moment(Millis::from(at))),
                };
                terminal::talk(&format!("{} key in {}; it signs {signs}.", key.algorithm, key.file.display()));
                terminal::print(&key.kid)
            }
        }
    }
}

impl Revoke {
    fn run(self) -> anyhow::Result<()> {
        let config = self.config.load(Role::Issuer)?.config;
        let kid = &self.kid;
        // Told first whether there is such a key: a mistyped id must not look like a done deed.
        if !parts::ring(&config)?.keys(SystemClock.now()).iter().any(|key| key.kid == *kid) {
            anyhow::bail!("{} has no key `{kid}`; see: doorward key list", config.keys.dir);
        }
        terminal::confirm(
            &format!("Remove the key {kid}? Every token that it signed is refused from then on."),
            self.yes,
        )?;
        let _log = parts::log_audit(&config)?;
        // The checkers first: where they can't be told nothing has happened yet, and the whole can be tried again.
        if self.no_announce {
            terminal::talk("Checkers in other processes go on until they have fetched the keys anew.");
        } else {
            let announced = block_on(async {
                let announced = parts::store(&config).await?.announce(&Entry::Key(kid.clone())).await?;
                if announced.confirmed.is_err() {
                    // Who follows the log refuses the key's tokens already, though its file stays.
                    audit_key(kid, &audit::outcome("announced", false));
                }
                Ok(announced.sure()?)
            });
            announced.map_err(|error| {
                error
                    .context("the checkers could not be told; try again, or say --no-announce to remove the file alone")
            })?;
        }
        let revoked = keys::revoke(&config.keys, ring_rules(&config), kid, SystemClock.now())?;
        audit_key(kid, "revoked");
        terminal::talk("The key is gone, and its tokens with it.");
        if let Some(next) = &revoked.replacement {
            terminal::talk(&format!("The key {} signs in its place.", next.kid));
        }
        terminal::print_json(&json!({ "revoked": kid, "replacement": revoked.replacement.map(|key| key.kid) }))
    }
}

fn audit_key(kid: &str, outcome: &str) {
    audit::record(
        Event::KeyChange,
        About { subject: Some(kid), request_id: Some("command-line"), outcome, ..About::default() },
    );
}
