//! `user import`: accounts of another service, an account a line.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde::Deserialize;

use super::super::{ConfigArgs, Outcome, terminal};
use super::{administrate, read_file, told};
use crate::accounts::AccountError;
use crate::accounts::import::{Imported, Newcomer};
use crate::users::UserId;

/// Takes over accounts of another service, with their ids and password hashes
///
/// Each line is an account in JSON: {"email", "id", "password_hash", "roles", "confirmed"}, all but `email` optional. A hash
/// is bcrypt's or Argon2's, and is replaced at its owner's next login. Nothing is changed where a line is wrong; accounts that
/// are there already stay as they are, so it may be run again.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    email: String,
    #[serde(default)]
    id: Option<Id>,
    #[serde(default)]
    password_hash: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    confirmed: bool,
}

/// Many services number their users.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
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
        let (made, there, refused) = administrate(&self.config, async |admin| {
            let (mut made, mut there, mut refused) = (0, 0, Vec::new());
            for (line, newcomer) in &newcomers {
                match admin.import(newcomer).await {
                    Ok(Imported::Made) => made += 1,
                    Ok(Imported::There) => there += 1,
                    Err(AccountError::Taken) => refused.push(*line),
                    Err(error) => {
                        return Err(told(error).context(format!("line {line}; {made} accounts were made before it")));
                    }
                }
            }
            Ok((made, there, refused))
        })?;
        terminal::talk(&format!("{made} accounts made, {there} were there already."));
        if !refused.is_empty() {
            let lines = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            bail!("the address or the id is another account's here, in line {lines}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All lines, or what is wrong with each wrong one. What a line holds is not shown: it may be a hash.
fn read(text: &str) -> anyhow::Result<Vec<(usize, Newcomer)>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for (n, line) in lines {
        match newcomer(line) {
            Ok(newcomer) => good.push((n + 1, newcomer)),
            Err(why) => wrong.push(format!("line {}: {why}", n + 1)),
        }
    }
    if wrong.is_empty() { Ok(good) } else { bail!("nothing was imported:\n{}", wrong.join("\n")) }
}

fn newcomer(line: &str) -> Result<Newcomer, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            r#"wanted are {"email", "id", "password_hash", "roles", "confirmed"}, all but email optional"#.to_owned()
        }
        _ => "this is no JSON object in one line".to_owned(),
    })?;
    let id = match line.id {
        None => None,
        Some(id) => {
            let text = match id {
                Id::Number(number) => number.to_string(),
                Id::Text(text) => text,
            };
            Some(
                UserId::new(&text)
                    .ok_or("an id is up to 64 letters, digits and -_.:, and does not begin with client:")?,
            )
        }
    };
    Newcomer::new(id, &line.email, line.password_hash, line.roles, line.confirmed).map_err(|error| error.detail())
}
