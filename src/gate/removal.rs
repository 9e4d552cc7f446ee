//! Which headers Envoy is to remove on an allowed request, so that no client's word reaches the upstream as an identity
//! (SEC-P8): configured ones this token does not fill, and every `_` spelling, which CGI and WSGI confuse with ours.
//! Never a name that is set: Envoy removes after setting.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};

use crate::check::identity::{HeaderNames, Identity};

/// A header of more hyphens than this is removed in its all-underscore spelling only.
const MOST_HYPHENS: u32 = 4;

/// What follows from the configured names alone, worked out once for each set of names.
#[derive(Debug)]
pub(super) struct Removal(ArcSwap<Known>);

#[derive(Debug)]
struct Known {
    configured: HeaderNames,
    spellings: Vec<String>,
    /// The whole line, by the set of names that are not filled: to join it takes as long as all else about a warm check.
    lines: ArcSwap<HashMap<u64, Option<HeaderValue>>>,
}

/// More names than a set of bits holds, or more sets than anybody needs, are worked out each time.
const MOST_LINES: usize = 64;

impl Removal {
    pub(super) fn of(configured: HeaderNames) -> Self {
        Self(ArcSwap::from_pointee(Known::of(configured)))
    }

    /// The names to remove: for `identity`, or where nobody is known.
    pub(super) fn names(&self, configured: impl FnOnce() -> HeaderNames, identity: Option<&Identity>) -> Vec<String> {
        self.known(configured, identity).names(identity)
    }

    /// The same as one header value; `None` where there is nothing to remove.
    pub(super) fn line(
        &self,
        configured: impl FnOnce() -> HeaderNames,
        identity: Option<&Identity>,
    ) -> Option<HeaderValue> {
        let known = self.known(configured, identity);
        let unset = known.unset(identity);
        if let Some(line) = unset.and_then(|unset| known.lines.load().get(&unset).cloned()) {
            return line;
        }
        let names = known.names(identity);
        let line = (!names.is_empty())
            .then(|| HeaderValue::try_from(names.join(", ")).expect("header names are a header value"));
        if let Some(unset) = unset.filter(|_| known.lines.load().len() < MOST_LINES) {
            known.lines.rcu(|lines| {
                let mut lines = HashMap::clone(lines);
                lines.insert(unset, line.clone());
                lines
            });
        }
        line
    }

    /// Of the plan by which the identity was made: after a reload that may still be the old one.
    fn known(&self, configured: impl FnOnce() -> HeaderNames, identity: Option<&Identity>) -> Arc<Known> {
        let configured = identity.map_or_else(configured, |identity| Arc::clone(identity.header_names()));
        let known = self.0.load();
        if Arc::ptr_eq(&known.configured, &configured) {
            return Arc::clone(&known);
        }
        let known = Arc::new(Known::of(configured));
        self.0.store(Arc::clone(&known));
        known
    }
}

impl Known {
    fn of(configured: HeaderNames) -> Self {
        let spellings = configured
            .iter()
            .flat_map(|name| spellings(name.as_str()))
            .filter(|spelling| configured.iter().all(|name| name.as_str() != spelling))
            .collect();
        Self { configured, spellings, lines: ArcSwap::default() }
    }

    fn names(&self, identity: Option<&Identity>) -> Vec<String> {
        let unset: Vec<&HeaderName> = match identity {
            Some(identity) => identity.absent().collect(),
            None => self.configured.iter().collect(),
        };
        unset.into_iter().map(|name| name.as_str().to_owned()).chain(self.spellings.iter().cloned()).collect()
    }

    /// The names that are not filled, as bits.
    fn unset(&self, identity: Option<&Identity>) -> Option<u64> {
        let bits = (1_u64 << self.configured.len().min(63)) - 1;
        let of = |identity: &Identity| {
            identity.filled().zip(0..).fold(bits, |set, (filled, bit)| set & !(u64::from(filled) << bit))
        };
        (self.configured.len() < 64).then(|| identity.map_or(bits, of))
    }
}

/// All ways to write the name with underscores for some of its hyphens.
fn spellings(name: &str) -> Vec<String> {
    let hyphens = name.matches('-').count() as u32;
    if hyphens > MOST_HYPHENS {
        return vec![name.replace('-', "_")];
    }
    let spelled = |mask: u32| {
        let mut hyphen = 0;
        let swap = |c: char| match c {
            '-' => {
                hyphen += 1;
                if mask & (1 << (hyphen - 1)) == 0 { '-' } else { '_' }
            }
            c => c,
        };
        name.chars().map(swap).collect()
    };
    (1..1 << hyphens).map(spelled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-P8
    #[test]
    fn every_underscore_spelling_is_removed_but_no_name_that_is_set() {
        assert_eq!(spellings("x-auth-user"), ["x_auth-user", "x-auth_user", "x_auth_user"]);
        assert_eq!(spellings("user"), Vec::<String>::new());
        assert_eq!(spellings("a-b-c-d-e-f"), ["a_b_c_d_e_f"]);

        let configured = HeaderNames::new(vec![HeaderName::from_static("x-user"), HeaderName::from_static("x_user")]);
        let removal = Removal::of(Arc::clone(&configured));
        assert_eq!(removal.names(|| Arc::clone(&configured), None), ["x-user", "x_user"]);
        let reloaded = HeaderNames::new(vec![HeaderName::from_static("remote-user")]);
        let line = removal.line(|| Arc::clone(&reloaded), None);
        assert_eq!(line.unwrap(), "remote-user, remote_user");
    }
}
