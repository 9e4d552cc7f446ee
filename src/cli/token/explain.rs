//! `token explain`: what a token says, and whether doorward would take it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::super::{ConfigArgs, Format, Outcome, OutputArgs, block_on, parts, terminal};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Role};
use crate::token::explain::explain;
use crate::token::refresh::{Manner, RefreshToken};

/// How long keys elsewhere are waited for.
const KEYS_WITHIN: Duration = Duration::from_secs(5);
/// More than any token that is taken.
const MOST: u64 = 64 * 1024;

/// Decodes a token from standard input, then verifies it with the configured keys
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward token explain < token.txt
  pbpaste | doorward token explain -c doorward.yaml -o json")]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    config: ConfigArgs,
    /// Decode only; ask no key
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Explain {
    pub(in crate::cli) fn run(self) -> Outcome {
        let token = terminal::read_stdin("the token", MOST)?;
        let token = token.strip_prefix("Bearer ").unwrap_or(&token).trim();
        let config = if self.no_verify { None } else { Some(self.config.load(Role::All)?.config) };
        let shown = if RefreshToken::looks_like_one(token) {
            refresh_token(token, config.as_ref())
        } else {
            let explained = explain(token, SystemClock.now())?;
            let verified = config.as_ref().map(|config| block_on(verify(token, config))).transpose()?;
            json!({
                "decoded_without_verifying": { "header": explained.header, "payload": explained.payload },
                "notes": explained.notes,
                "verification": verified.unwrap_or_else(|| "not asked for".into()),
            })
        };
        match self.output.output {
            Format::Json => terminal::print_json(&shown)?,
            Format::Text => terminal::print(&in_words(&shown)?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the verifier says: `holds`, or which check fails.
async fn verify(token: &str, config: &Config) -> anyhow::Result<Value> {
    let parts::Verification { verifier, own_problem } = match parts::verification(config, KEYS_WITHIN).await {
        Ok(made) => made,
        Err(error) => return Ok(format!("not possible: {error:#}").into()),
    };
    let sources = verifier.sources().into_iter();
    let problems: Vec<_> = sources
        .filter_map(|source| Some(format!("the keys of {} are not known: {}", source.issuer, source.problem?)))
        .chain(own_problem.as_ref().map(|why| format!("our own keys are not known: {why}")))
        .collect();
    Ok(match verifier.verify(token, SystemClock.now()) {
        Ok(claims) => {
            let session = claims.sid.as_ref().filter(|_| claims.own);
            let alive = session.map(|sid| format!("; `doorward session show {sid}` tells whether its session lives"));
            format!("holds: signed by {} with key {}{}", claims.issuer, claims.kid, alive.unwrap_or_default()).into()
        }
        Err(why) if problems.is_empty() => format!("fails: {why}").into(),
        Err(why) => format!("fails: {why} ({})", problems.join("; ")).into(),
    })
}

/// A refresh token says nothing to others; with the server's secret it names its session.
fn refresh_token(token: &str, config: Option<&Config>) -> Value {
    let ring = match config.map(parts::ring) {
        Some(Ok(ring)) => ring,
        Some(Err(error)) => {
            return json!({ "kind": "refresh token", "verification": format!("not possible: {error:#}") });
        }
        None => return json!({ "kind": "refresh token", "verification": "not asked for" }),
    };
    match RefreshToken::parse(token, &RefreshToken::key(ring.secret())) {
        Ok(genuine) => json!({
            "kind": "refresh token", "sid": genuine.sid, "generation": genuine.generation.0,
            "refreshed": match genuine.manner {
                Manner::Rotating => "by rotation",
                Manner::InPlace => "in place or by rotation",
            },
            "verification": "holds: made with this server's secret; `doorward session show` tells whether it lives",
        }),
        Err(why) => json!({ "kind": "refresh token", "verification": format!("fails: {why}") }),
    }
}

fn in_words(shown: &Value) -> anyhow::Result<String> {
    let mut text = String::new();
    if let Some(decoded) = shown.get("decoded_without_verifying") {
        text += "DECODED, NOT VERIFIED: anyone can write this\n";
        text += &format!("{}\n\n", serde_json::to_string_pretty(decoded)?);
    } else {
        text += "A refresh token: opaque to everyone but its server\n";
        for name in ["sid", "generation", "refreshed"] {
            if let Some(value) = shown.get(name) {
                text += &format!("  {name}: {}\n", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
        text.push('\n');
    }
    for note in shown["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text += &format!("- {}\n", terminal::printable(note));
    }
    let verification = shown["verification"].as_str().unwrap_or_default();
    text += &format!("VERIFICATION {}\n", terminal::printable(verification));
    Ok(text)
}
