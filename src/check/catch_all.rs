//! Finds rules that, taken together, open every path to anyone: refused outside `--dev` (SEC-P7). Called by `policy`.
//!
//! A guard against a slip, so it counts what an operator would call open. Whoever means to open a whole site names its
//! hosts one by one, or a `route` of the proxy. `*.example.com` may be all there is, and reading everything is
//! everything too; of the methods only OPTIONS is harmless, since a browser's pre-flights carry no credentials.

use std::collections::BTreeSet;

use crate::check::glob::Glob;
use crate::check::rules::{Allow, RuleSettings};

const HARMLESS: &str = "OPTIONS";
/// Stands for every method that no rule names.
const OTHER: &str = "";

/// A rule that lets anyone pass on hosts nobody named.
struct Open<'r> {
    index: usize,
    rule: &'r RuleSettings,
    /// `None`: every path.
    path: Option<Glob>,
}

/// What is wrong, if anything: the rules and what to write instead.
pub(super) fn fault(rules: &[RuleSettings]) -> Option<String> {
    let open: Vec<_> = rules.iter().enumerate().filter_map(|(index, rule)| Open::of(index, rule)).collect();
    let named = open.iter().flat_map(|open| &open.rule.methods).map(String::as_str).filter(|name| *name != HARMLESS);
    let found = [OTHER].into_iter().chain(named).find_map(|method| together(&open, method))?;
    let mut names: Vec<_> = found.iter().map(|index| format!("check.rules[{index}]")).collect();
    let last = names.pop()?;
    let with = if names.is_empty() { String::new() } else { format!("with {}, ", names.join(", ")) };
    Some(format!(
        "{last}: {with}`allow: anyone` on every path would open everything; \
         give narrower paths or whole host names, or use `--dev`"
    ))
}

/// The rules that cover every path for this method, if they do.
///
/// No pattern holds a `?`, so only wildcards match a segment of it, and those ask for nothing but a number of segments:
/// where such paths match at every length, so does any other. Beyond the longest pattern all lengths are alike.
fn together(open: &[Open<'_>], method: &str) -> Option<BTreeSet<usize>> {
    let longest = open.iter().map(|open| open.rule.path.matches('/').count()).max()?;
    (1..=longest + 1)
        .map(|segments| "/?".repeat(segments))
        .map(|path| open.iter().find(|open| open.matches(method, &path)).map(|open| open.index))
        .collect()
}

impl<'r> Open<'r> {
    fn of(index: usize, rule: &'r RuleSettings) -> Option<Self> {
        let anywhere = rule.hosts.is_empty() || rule.hosts.iter().any(|host| host.starts_with('*'));
        let path = match rule.path.as_str() {
            "" => None,
            text => Some(Glob::parse(text).ok()?),
        };
        (rule.allow == Some(Allow::Anyone) && rule.route.is_empty() && anywhere).then_some(Self { index, rule, path })
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        (self.rule.methods.is_empty() || self.rule.methods.iter().any(|name| name == method))
            && self.path.as_ref().is_none_or(|glob| glob.matches(path))
    }
}
