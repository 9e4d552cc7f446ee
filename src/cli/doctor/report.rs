//! What `doctor` found: lines in groups, each with its mark and, where something is wrong, the fix.

use std::io;

use serde_json::{Value, json};

use super::super::terminal;
use crate::config::{Finding, Severity};

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    /// Can't be told from here.
    Unknown,
    Warning,
    Bad,
}

impl Mark {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    fn sign(self, colour: bool) -> String {
        match self {
            Self::Good => terminal::good_mark(colour),
            Self::Unknown => terminal::mark(Severity::Notice, colour),
            Self::Warning => terminal::mark(Severity::Warning, colour),
            Self::Bad => terminal::mark(Severity::Error, colour),
        }
    }
}

#[derive(Debug)]
struct Line {
    group: &'static str,
    mark: Mark,
    what: String,
    fix: String,
}

/// All lines, in the order found.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub(super) fn good(&mut self, group: &'static str, what: impl Into<String>) {
        self.add(group, Mark::Good, what, "");
    }

    pub(super) fn unknown(&mut self, group: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(group, Mark::Unknown, what, fix);
    }

    pub(super) fn warn(&mut self, group: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(group, Mark::Warning, what, fix);
    }

    pub(super) fn bad(&mut self, group: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(group, Mark::Bad, what, fix);
    }

    fn add(&mut self, group: &'static str, mark: Mark, what: impl Into<String>, fix: impl Into<String>) {
        self.lines.push(Line { group, mark, what: what.into(), fix: fix.into() });
    }

    pub(super) fn finding(&mut self, finding: &Finding) {
        let mut told = finding.clone();
        let fix = std::mem::take(&mut told.fix);
        let mark = match finding.severity {
            Severity::Notice => Mark::Unknown,
            Severity::Warning => Mark::Warning,
            Severity::Error => Mark::Bad,
        };
        self.add("config", mark, told.to_string(), fix);
    }

    /// Whether nothing is wrong; warnings are for people to weigh.
    pub(super) fn is_good(&self) -> bool {
        self.lines.iter().all(|line| line.mark != Mark::Bad)
    }

    pub(super) fn to_json(&self) -> Value {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|line| json!({"group": line.group, "mark": line.mark.name(), "what": line.what, "fix": line.fix}))
            .collect();
        json!({ "ok": self.is_good(), "lines": lines })
    }

    pub(super) fn to_text(&self) -> String {
        let colour = terminal::colour(&io::stdout());
        let mut text = String::new();
        let mut group = "";
        for line in &self.lines {
            if line.group != group {
                text += &format!("{}{}\n", if group.is_empty() { "" } else { "\n" }, line.group);
                group = line.group;
            }
            text += &format!("  {} {}\n", line.mark.sign(colour), terminal::printable(&line.what));
            if !line.fix.is_empty() {
                text += &format!("      fix: {}\n", terminal::printable(&line.fix));
            }
        }
        let count = |mark| self.lines.iter().filter(|line| line.mark == mark).count();
        let (bad, warnings) = (count(Mark::Bad), count(Mark::Warning));
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        text += &match (bad, warnings) {
            (0, 0) => "\nAll is well.\n".to_owned(),
            (0, some) => format!("\nNothing is wrong; {}.\n", plural(some, "warning")),
            (some, more) => format!("\n{}, {}.\n", plural(some, "error"), plural(more, "warning")),
        };
        text
    }
}
