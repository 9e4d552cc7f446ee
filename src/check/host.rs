//! The canonicaliser of hosts (SEC-P6), and the hosts a rule names. Called by `policy`.

use std::borrow::Cow;

/// The host as rules compare it: lower case, without port and trailing dot. `None` where it is no host at all, such as
/// an empty one or two joined by a comma. Allocates only for upper case.
pub fn canonical(host: &str) -> Option<Cow<'_, str>> {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            let (address, after) = rest.split_at(end);
            let literal = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b));
            let ends = matches!(after.strip_prefix("]"), Some("")) || after.strip_prefix("]:").is_some_and(is_port);
            (literal && ends).then(|| &host[..end + 2])?
        }
        None => {
            let name = match host.split_once(':') {
                Some((name, port)) => is_port(port).then_some(name)?,
                None => host,
            };
            let name = name.strip_suffix('.').unwrap_or(name);
            is_name(name).then_some(name)?
        }
    };
    Some(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Labels divided by dots, in one pass. Underscores are not for host names, but names in the DNS have them.
fn is_name(text: &str) -> bool {
    let mut label = 0;
    for byte in text.bytes() {
        match byte {
            b'.' if label == 0 => return false,
            b'.' => label = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            _ => return false,
        }
    }
    label > 0
}

/// A host of a rule: exact, or `*.example.com` for one or more labels before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// With its leading dot where labels must stand before it.
    name: Box<str>,
    below: bool,
}

impl HostPattern {
    /// # Errors
    /// What is wrong with it and what to write, for whoever wrote the rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        match canonical(name) {
            Some(form) if form == name => {
                Ok(Self { name: if below { format!(".{name}").into() } else { name.into() }, below })
            }
            Some(form) => {
                Err(format!("host `{text}` never matches: write it `{}{form}`", if below { "*." } else { "" }))
            }
            None => Err(format!("host `{text}` is no host; write `app.example.com` or `*.example.com`")),
        }
    }

    /// Takes a host in its canonical form.
    pub fn matches(&self, host: &str) -> bool {
        if self.below { host.len() > self.name.len() && host.ends_with(&*self.name) } else { *self.name == *host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-P6
    #[test]
    fn hosts_are_compared_without_case_port_and_trailing_dot() {
        for (raw, form) in [
            ("example.com", "example.com"),
            ("Example.COM", "example.com"),
            ("example.com:443", "example.com"),
            ("EXAMPLE.com.:8443", "example.com"),
            ("example.com.", "example.com"),
            ("localhost:3000", "localhost"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("my_app", "my_app"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Some(form), "{raw:?}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for raw in [
            "", ".", ":80", "a..b", "a.com..", "a,b", "a@b", "a b", "a/b", "a:b", "a:1:2", "a:123456", "é.com", "[::1",
            "[]", "[::1]x", "[g]",
        ] {
            assert_eq!(canonical(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn a_starred_host_wants_one_or_more_labels() {
        let pattern = HostPattern::parse("*.example.com").expect("a pattern");
        assert!(pattern.matches("a.example.com") && pattern.matches("a.b.example.com"));
        assert!(
            !pattern.matches("example.com") && !pattern.matches("badexample.com") && !pattern.matches(".example.com")
        );
        let exact = HostPattern::parse("example.com").expect("a pattern");
        assert!(exact.matches("example.com") && !exact.matches("a.example.com"));
    }

    #[test]
    fn a_host_that_could_never_match_is_refused_with_its_fix() {
        assert!(HostPattern::parse("Example.com").expect_err("upper case").contains("`example.com`"));
        assert!(HostPattern::parse("*.Example.com:443").expect_err("port").contains("`*.example.com`"));
        for text in ["", "*", "*.", "a.*.com", "https://a.com"] {
            assert!(HostPattern::parse(text).is_err(), "{text:?}");
        }
    }
}
