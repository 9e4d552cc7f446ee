//! Secrets in the configuration: read from the files that `*_file` keys name, hidden wherever values are shown (SEC-K6).

use std::path::Path;

use crate::config::finding::Finding;
use crate::config::{Config, Role};

const HIDDEN: &str = "(hidden)";

/// Puts the URLs that `state.url_file` and `users.url_file` hold into `state.url` and `users.url`, as far as the role
/// asks for them.
pub(super) fn resolve(config: &mut Config, is_set: impl Fn(&str) -> bool, role: Role) -> Vec<Finding> {
    let mut findings = Vec::new();
    let both = [
        ("state.url", "state.url_file", &mut config.state.url, &config.state.url_file, true),
        ("users.url", "users.url_file", &mut config.users.url, &config.users.url_file, role != Role::Check),
    ];
    for (key, file_key, url, file, needed) in both {
        if file.is_empty() || !needed {
            continue;
        }
        if is_set(key) {
            let fix = format!("remove `{key}`, or `{file_key}`");
            findings.push(Finding::error(file_key, format!("`{key}` is given too"), fix));
            continue;
        }
        match read(Path::new(file)) {
            Ok(text) => *url = text,
            Err(why) => findings.push(Finding::error(
                file_key,
                format!("{file}: {why}"),
                "name a readable file, from the working directory on",
            )),
        }
    }
    findings
}

fn read(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let text = text.trim();
    if text.is_empty() { Err("the file is empty".into()) } else { Ok(text.to_owned()) }
}

/// Whether the value under this key is a secret, or holds one.
pub fn is_secret(key: &str, value: &str) -> bool {
    !value.is_empty() && concealed(key, value) != value
}

/// The value as it may be shown: secrets by their key, and passwords inside URLs.
pub fn concealed(key: &str, value: &str) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    let secret_name = ["secret", "secret_hash", "password", "client_secret"].contains(&name);
    if secret_name && !value.is_empty() { HIDDEN.into() } else { without_password(value) }
}

/// Hides the password, or a bare user name that stands alone before `@`, and secret parameters of a URL.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold `/` or `?` unescaped: take the last `@` of the whole where there is one.
    let (user, rest) = match rest.rfind('@') {
        Some(at) if at < authority_end || rest[..at].contains(':') => (&rest[..at], &rest[at + 1..]),
        _ => ("", rest),
    };
    let user = match user.split_once(':') {
        Some((name, _)) => format!("{name}:{HIDDEN}@"),
        None if user.is_empty() => String::new(),
        None => format!("{HIDDEN}@"),
    };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let query: Vec<String> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('=') {
            Some((name, _)) if names_a_secret(name) => format!("{name}={HIDDEN}"),
            _ => part.to_owned(),
        })
        .collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{scheme}://{user}{before}{query}")
}

fn names_a_secret(parameter: &str) -> bool {
    let lower = parameter.to_lowercase();
    ["pass", "secret", "token", "key"].iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-K6
    #[test]
    fn no_password_of_a_url_is_shown() {
        let cases = [
            ("redis://:canary@h:6379/0", "redis://:(hidden)@h:6379/0"),
            ("rediss://doorward:canary@h", "rediss://doorward:(hidden)@h"),
            ("redis://canary@h", "redis://(hidden)@h"),
            ("redis://u:can/ary@h/0", "redis://u:(hidden)@h/0"),
            ("redis://u:a@canary@h/0", "redis://u:(hidden)@h/0"),
            (
                "redis-sentinel://h:1/0?sentinelPassword=canary&x=1",
                "redis-sentinel://h:1/0?sentinelPassword=(hidden)&x=1",
            ),
            ("https://h/jwks.json", "https://h/jwks.json"),
            ("https://h/a@b", "https://h/a@b"),
            ("sqlite:doorward.db", "sqlite:doorward.db"),
        ];
        for (url, shown) in cases {
            assert_eq!(concealed("state.url", url), shown);
        }
        assert_eq!(concealed("providers.google.client_secret", "canary"), HIDDEN);
        assert_eq!(concealed("providers.google.client_secret_file", "/run/x"), "/run/x");
    }
}
