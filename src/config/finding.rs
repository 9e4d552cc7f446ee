//! What is wrong with a configuration: where, which key, what, and the fix. Findings are gathered, so that all of them
//! are told at once.

use std::fmt;

use serde::Serialize;

use crate::config::source::Source;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; doorward starts.
    Notice,
    /// Likely not what was meant; doorward starts.
    Warning,
    /// doorward does not start with it.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub source: Source,
    /// The dotted path of the key; empty where it is about the whole.
    pub key: String,
    pub what: String,
    pub fix: String,
    /// Other keys that the finding rests on: where one of them is broken, it is not told.
    pub(super) rests_on: Vec<&'static str>,
}

impl Finding {
    pub(super) fn new(
        severity: Severity,
        key: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            source: Source::Default,
            key: key.into(),
            what: what.into(),
            fix: fix.into(),
            rests_on: Vec::new(),
        }
    }

    pub(super) fn error(key: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Severity::Error, key, what, fix)
    }

    pub(super) fn from(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    pub(super) fn resting_on(mut self, keys: &[&'static str]) -> Self {
        self.rests_on.extend_from_slice(keys);
        self
    }

    /// As `config check -o json` tells it.
    pub fn to_json(&self) -> serde_json::Value {
        let (line, column) = match &self.source {
            Source::File { line, column, .. } => (Some(line), Some(column)),
            _ => (None, None),
        };
        serde_json::json!({
            "severity": self.severity, "key": self.key, "source": self.source.to_string(),
            "line": line, "column": column, "what": self.what, "fix": self.fix,
        })
    }
}

/// `doorward.yaml:3:5: auth.acess_lifetime: there is no such key`, and the fix on a line of its own.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source != Source::Default {
            write!(f, "{}: ", self.source)?;
        }
        // `--set KEY` names the key already.
        let named = matches!(&self.source, Source::Flag(key) if **key == *self.key);
        if !self.key.is_empty() && !named {
            write!(f, "{}: ", printable(&self.key))?;
        }
        f.write_str(&printable(&self.what))?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "\n    fix: {}", printable(&self.fix)) }
    }
}

/// What comes from outside must not steer a terminal, nor reorder or break its lines (SEC-G2).
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Control characters, line and paragraph separators, and what turns the direction of writing (UAX #9).
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Everything that keeps the configuration from being used. Never empty.
#[derive(Debug, Clone)]
pub struct ConfigErrors(pub Vec<Finding>);

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-G2
    #[test]
    fn nothing_that_steers_a_terminal_is_printed() {
        let shown = printable("a\u{1b}[2J\n\u{85}b\u{202e}c\u{2066}\u{200f}\u{2028}d é漢");
        assert_eq!(shown, "a\\u{1b}[2J\\n\\u{85}b\\u{202e}c\\u{2066}\\u{200f}\\u{2028}d é漢");
    }
}
