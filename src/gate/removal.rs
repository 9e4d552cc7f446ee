//! Which headers Envoy is to remove on an allowed request, so that no client's word reaches the upstream as an identity
//! (SEC-P8): configured ones this token does not fill, and every `_` spelling, which CGI and WSGI confuse with ours.
//! Never a name that is set: Envoy removes after setting.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};

use crate::check::identity::Identity;

/// A header of more hyphens than this is removed in its all-underscore spelling only.
const MOST_HYPHENS: u32 = 4;

/// What follows from the configured names alone, worked out once for each set of names.
#[derive(Debug)]
pub(super) struct Removal(ArcSwap<Known>);

#[derive(Debug)]
struct Known {
    configured: Arc<[HeaderName]>,
    spellings: Vec<String>,
}

impl Removal {
    pub(super) fn of(configured: Arc<[HeaderName]>) -> Self {
        Self(ArcSwap::from_pointee(Known::of(configured)))
    }

    /// The names to remove: for `identity`, or where nobody is known.
    pub(super) fn names(
        &self,
        configured: impl FnOnce() -> Arc<[HeaderName]>,
        identity: Option<&Identity>,
    ) -> Vec<String> {
        let configured = configured();
        let mut known = self.0.load_full();
        if !Arc::ptr_eq(&known.configured, &configured) {
            known = Arc::new(Known::of(configured));
            self.0.store(Arc::clone(&known));
        }
        let unset = identity.map_or(&*known.configured, |identity| &*identity.absent);
        unset.iter().map(|name| name.as_str().to_owned()).chain(known.spellings.iter().cloned()).collect()
    }

    /// The same as one header value; `None` where there is nothing to remove.
    pub(super) fn line(
        &self,
        configured: impl FnOnce() -> Arc<[HeaderName]>,
        identity: Option<&Identity>,
    ) -> Option<HeaderValue> {
        let names = self.names(configured, identity);
        (!names.is_empty()).then(|| HeaderValue::try_from(names.join(", ")).expect("header names are a header value"))
    }
}

impl Known {
    fn of(configured: Arc<[HeaderName]>) -> Self {
        let spellings = configured
            .iter()
            .flat_map(|name| spellings(name.as_str()))
            .filter(|spelling| configured.iter().all(|name| name.as_str() != spelling))
            .collect();
        Self { configured, spellings }
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

        let configured: Arc<[_]> = [HeaderName::from_static("x-user"), HeaderName::from_static("x_user")].into();
        let removal = Removal::of(Arc::clone(&configured));
        assert_eq!(removal.names(|| Arc::clone(&configured), None), ["x-user", "x_user"]);
        let reloaded: Arc<[_]> = [HeaderName::from_static("remote-user")].into();
        let line = removal.line(|| Arc::clone(&reloaded), None);
        assert_eq!(line.unwrap(), "remote-user, remote_user");
    }
}
