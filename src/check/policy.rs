//! Route rules: who may reach what. First match wins; as soon as there is one rule, what matches none is denied (SEC-P7).
//!
//! `config` holds the settings, `app` compiles them (again at each reload), `checker` asks them for each check.

use crate::check::catch_all;
use crate::check::glob::Glob;
use crate::check::host::{self, HostPattern};
use crate::check::path::CanonicalPath;
use crate::check::requirement::Requirement;
use crate::check::rules::{Allow, RuleSettings};
use crate::check::{CheckRequest, Denial};

/// The compiled rules.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Box<[Rule]>,
}

#[derive(Debug)]
struct Rule {
    hosts: Box<[HostPattern]>,
    methods: Box<[String]>,
    path: Option<Glob>,
    route: Option<String>,
    asks: Asks,
    encoded_slashes: bool,
}

/// What the matching rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: no token is read.
    Nothing,
    /// A valid token.
    Token,
    /// A valid token whose holder meets this.
    Holder(Requirement),
}

/// Every fault of the rules, each with the rule's index and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct PolicyError(pub Vec<String>);

impl Policy {
    /// `dev` lets rules open everything to anyone.
    ///
    /// # Errors
    /// All faults at once.
    pub fn compile(settings: &[RuleSettings], dev: bool) -> Result<Self, PolicyError> {
        let mut faults = Vec::new();
        let mut rules = Vec::with_capacity(settings.len());
        for (index, from) in settings.iter().enumerate() {
            match Rule::compile(from) {
                Ok(rule) => rules.push(rule),
                Err(wrong) => faults.extend(wrong.into_iter().map(|what| format!("check.rules[{index}]: {what}"))),
            }
        }
        if !dev {
            faults.extend(catch_all::fault(settings));
        }
        if faults.is_empty() { Ok(Self { rules: rules.into() }) } else { Err(PolicyError(faults)) }
    }

    /// What a refusal rests on, for the audit: the path as the rules see it, and the place of the rule that matches.
    pub fn place<'r>(&self, request: &CheckRequest<'r>) -> Option<(CanonicalPath<'r>, Option<usize>)> {
        let host = host::canonical(request.host)?;
        let path = CanonicalPath::of(request.target).ok()?;
        let rule = self.rules.iter().position(|rule| rule.matches(request, &host, path.as_str()));
        Some((path, rule))
    }

    /// The first matching rule's word on this request.
    ///
    /// # Errors
    /// [`Denial::BadPath`] where method, host or path can't be decided on, [`Denial::Forbidden`] where no rule matches.
    pub fn find(&self, request: &CheckRequest<'_>) -> Result<&Asks, Denial> {
        let undecidable = |why: &dyn std::fmt::Display| {
            tracing::debug!(%why, request_id = request.request_id, "request can't be decided on");
            Denial::BadPath
        };
        if !is_method(request.method) {
            return Err(undecidable(&"its method is no token"));
        }
        let host = host::canonical(request.host).ok_or_else(|| undecidable(&"its host is no host"))?;
        let path = CanonicalPath::of(request.target).map_err(|why| undecidable(&why))?;
        if self.rules.is_empty() {
            return if path.has_encoded_slashes() { Err(undecidable(&"encoded slash")) } else { Ok(&Asks::Token) };
        }
        let matches = |rule: &Rule, path: &str| rule.matches(request, &host, path);
        let found = self.rules.iter().position(|rule| matches(rule, path.as_str())).ok_or(Denial::Forbidden)?;
        let rule = &self.rules[found];
        if path.has_encoded_slashes() && !rule.encoded_slashes {
            return Err(undecidable(&"encoded slash"));
        }
        // A path that a laxer upstream reads as one of an earlier rule's must not pass by a later rule.
        let earlier = |reading: &String| self.rules[..found].iter().any(|rule| matches(rule, reading));
        if path.other_readings().iter().any(earlier) {
            return Err(undecidable(&"another reading of the path meets an earlier rule"));
        }
        Ok(&rule.asks)
    }
}

impl Rule {
    fn compile(from: &RuleSettings) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut hosts = Vec::new();
        for text in &from.hosts {
            match HostPattern::parse(text) {
                Ok(host) => hosts.push(host),
                Err(what) => faults.push(what),
            }
        }
        for method in &from.methods {
            if !is_method(method) {
                faults.push(format!("method `{method}` is none; write such as `GET`"));
            } else if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
                let upper = method.to_ascii_uppercase();
                faults.push(format!("method `{method}`: methods are compared exactly; write `{upper}`"));
            }
        }
        let path = match from.path.as_str() {
            "" => None,
            text => Glob::parse(text).map_err(|what| faults.push(what)).ok(),
        };
        let asks = match (from.allow, &from.require) {
            (Some(_), Some(_)) => Err("`allow` and `require` exclude each other; leave one out".to_owned()),
            (Some(Allow::Anyone), None) => Ok(Asks::Nothing),
            (Some(Allow::Authenticated) | None, None) => Ok(Asks::Token),
            (None, Some(require)) => Requirement::new(require).map(Asks::Holder),
        };
        match asks {
            Ok(asks) if faults.is_empty() => Ok(Self {
                hosts: hosts.into(),
                methods: from.methods.clone().into(),
                path,
                route: (!from.route.is_empty()).then(|| from.route.clone()),
                asks,
                encoded_slashes: from.encoded_slashes,
            }),
            Ok(_) => Err(faults),
            Err(what) => {
                faults.push(what);
                Err(faults)
            }
        }
    }

    /// Takes host and path in their canonical forms.
    fn matches(&self, request: &CheckRequest<'_>, host: &str, path: &str) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| method == request.method))
            && self.path.as_ref().is_none_or(|glob| glob.matches(path))
            && (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host)))
            && self.route.as_deref().is_none_or(|route| request.route == Some(route))
    }
}

/// A token of RFC 9110 section 5.6.2.
fn is_method(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests;
