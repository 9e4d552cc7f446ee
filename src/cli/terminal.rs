//! Printing and asking: what all commands share.

use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::Value;

use super::Format;
pub(super) use crate::config::finding::printable;
use crate::config::{Finding, Severity};

/// Prints data, to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Tells something that is no data, on standard error. A closed standard error is no reason to fail.
pub(super) fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

pub(super) fn tell_finding(finding: &Finding) {
    talk(&format!("{} {finding}", mark(finding.severity, colour(&io::stderr()))));
}

/// √ ‼ ×, coloured where the terminal wants it.
pub(super) fn mark(severity: Severity, colour: bool) -> String {
    match severity {
        Severity::Notice => paint("i", "34", colour),
        Severity::Warning => paint("‼", "33", colour),
        Severity::Error => paint("×", "31", colour),
    }
}

pub(super) fn good_mark(colour: bool) -> String {
    paint("√", "32", colour)
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// https://no-color.org: no colour where NO_COLOR is set and not empty.
pub(super) fn colour(to: &impl IsTerminal) -> bool {
    to.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Asks before something that can't be undone.
///
/// # Errors
/// Where nobody is there to answer, or the answer was no.
pub(super) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        anyhow::bail!("{question}\nNobody is there to ask: say --yes to do it");
    }
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) { Ok(()) } else { anyhow::bail!("not done") }
}

/// Asks for a secret without showing what is typed.
pub(super) fn ask_secret(question: &str) -> anyhow::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    let _ = write!(io::stderr().lock(), "{question}");
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    talk("");
    read?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// One thing's members: as JSON, or one a line.
pub(super) fn print_members(json: &Value, format: Format) -> anyhow::Result<()> {
    match (format, json.as_object()) {
        (Format::Text, Some(members)) => {
            let line = |(name, value): (&String, &Value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{name:12} {}\n", printable(&text))
            };
            print(&members.iter().map(line).collect::<String>())
        }
        _ => print_json(json),
    }
}

/// Reads a secret, a token mostly, from standard input.
pub(super) fn read_stdin(what: &str, most: u64) -> anyhow::Result<String> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        talk(&format!("Paste {what}, then press Ctrl-D:"));
    }
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(stdin.lock(), most), &mut text)?;
    let text = text.trim().to_owned();
    if text.is_empty() { anyhow::bail!("give {what} on standard input") } else { Ok(text) }
}

/// A table with aligned columns. Cells may come from outside: control characters are shown, not sent.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).chain([heads[at].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  ");
        format!("{}\n", padded.trim_end())
    };
    let heads: Vec<String> = heads.iter().map(|head| head.to_uppercase()).collect();
    rows.iter().fold(line(&heads), |text, row| text + &line(row))
}

pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
