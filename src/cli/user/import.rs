//! `user import`: accounts of another service, an account a line.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::{ConfigArgs, Outcome, terminal};
use super::{administrate, read_file, told};
use crate::accounts::AccountError;
use crate::accounts::import::{Fit, Imported, Newcomer};
use crate::clock::Millis;
use crate::users::UserId;

/// Takes over accounts of another service, with their ids and password hashes
///
/// Each line is an account in JSON: {"email", "id", "password_hash", "roles", "confirmed", "disabled", "created_at"}, all but
/// `email` optional. A hash is bcrypt's or Argon2's, and is replaced at its owner's next login. Where a line is wrong, or its
/// address or id is another account's, nothing is changed. Accounts that are there already stay as they are, so it may be run
/// again.
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward user import accounts.jsonl
  psql old -Atc \"select json_build_object('id', id, 'email', email, 'password_hash', password) from users\" | doorward user import")]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    config: ConfigArgs,
    /// The file; without it, standard input
    file: Option<PathBuf>,
}

impl Import {
    pub(in crate::cli) fn run(self) -> Outcome {
        let text = match &self.file {
            Some(file) => read_file(file)?,
            None => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                text
            }
        };
        let newcomers = read(&text)?;
        let (made, there) = administrate(&self.config, async |admin| {
            let mut taken = Vec::new();
            for (line, newcomer) in &newcomers {
                match admin.foresee(newcomer).await {
                    Ok(_) => {}
                    Err(AccountError::Taken) => taken.push(line.to_string()),
                    Err(error) => return Err(told(error)),
                }
            }
            if !taken.is_empty() {
                let lines = taken.join(", ");
                bail!("nothing was imported: the address or the id is another account's here, in line {lines}");
            }
            let (mut made, mut there) = (0, 0);
            for (line, newcomer) in &newcomers {
                match admin.import(newcomer).await {
                    Ok(Imported::Made) => made += 1,
                    Ok(Imported::There) => there += 1,
                    Err(error) => {
                        return Err(told(error).context(format!("line {line}; new accounts before it: {made}")));
                    }
                }
            }
            Ok((made, there))
        })?;
        terminal::talk(&format!("New accounts: {made}; there already: {there}."));
        Ok(ExitCode::SUCCESS)
    }
}

/// All lines, or what is wrong with each wrong one. What a line holds is not shown: it may be a hash.
fn read(text: &str) -> anyhow::Result<Vec<(usize, Fit)>> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let (mut good, mut wrong, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    for (line, n) in lines {
        match newcomer(line) {
            Ok(newcomer) => {
                let names = [Some(newcomer.email()), newcomer.id().map(UserId::as_str)];
                for name in names.into_iter().flatten() {
                    if let Some(earlier) = seen.insert(name.to_owned(), n) {
                        wrong.push(format!("line {n}: its address or id is that of line {earlier}"));
                    }
                }
                good.push((n, newcomer));
            }
            Err(why) => wrong.push(format!("line {n}: {why}")),
        }
    }
    if wrong.is_empty() { Ok(good) } else { bail!("nothing was imported:\n{}", wrong.join("\n")) }
}

fn newcomer(line: &str) -> Result<Fit, String> {
    let members: Map<String, Value> =
        serde_json::from_str(line).map_err(|_| "this is no JSON object in one line".to_owned())?;
    let mut newcomer = Newcomer::default();
    for (name, value) in members {
        let wanted = |what: &str| format!("`{name}` is {what}");
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("email", Value::String(email)) => newcomer.email = email,
            ("email", _) => return Err(wanted("a string")),
            ("id", value) => newcomer.id = Some(id(&value).ok_or_else(|| wanted(ID))?),
            ("password_hash", Value::String(hash)) => newcomer.password_hash = Some(hash),
            ("password_hash", _) => return Err(wanted("a string")),
            ("roles", value) => {
                newcomer.roles = serde_json::from_value(value).map_err(|_| wanted("a list of strings"))?;
            }
            ("confirmed", Value::Bool(confirmed)) => newcomer.confirmed = confirmed,
            ("disabled", Value::Bool(disabled)) => newcomer.disabled = disabled,
            ("confirmed" | "disabled", _) => return Err(wanted("true or false")),
            ("created_at", value) => newcomer.created = Some(moment(&value).ok_or_else(|| wanted(MOMENT))?),
            _ => return Err(format!("`{name}` is not known; known are {KNOWN}")),
        }
    }
    newcomer.judge().map_err(|error| error.detail())
}

const KNOWN: &str = "email, id, password_hash, roles, confirmed, disabled, created_at";
const ID: &str = "a number, or up to 64 letters, digits and -_.:, not beginning with client:";
const MOMENT: &str = "a moment such as 2026-11-22T19:30:00Z (RFC 3339)";

/// Many services number their users.
fn id(value: &Value) -> Option<UserId> {
    match value {
        Value::Number(number) => UserId::new(&number.as_u64()?.to_string()),
        Value::String(text) => UserId::new(text),
        _ => None,
    }
}

fn moment(value: &Value) -> Option<Millis> {
    let moment = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Millis)
}
