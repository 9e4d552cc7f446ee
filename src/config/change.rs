//! What a reload finds changed: the keys that take effect at once are few, and the rest must be named, lest somebody
//! believes that they did.

use serde_json::Value;

use crate::config::Config;

/// What a running process takes over, with all below it.
pub const RELOADABLE: [&str; 7] =
    ["auth.trusted_login", "check.headers", "check.rules", "clients", "keys", "limits", "logging.level"];

/// The keys whose values differ and that only a restart brings into effect. A list counts as one value.
pub fn needing_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    // These are plain values with names: they always become JSON.
    if let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) {
        differing("", &old, &new, &mut keys);
    }
    keys
}

fn differing(key: &str, old: &Value, new: &Value, keys: &mut Vec<String>) {
    if old == new || RELOADABLE.contains(&key) {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return keys.push(key.to_owned()) };
    for (name, value) in new {
        let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
        differing(&inner, old.get(name).unwrap_or(&Value::Null), value, keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::identity::HeaderSettings;
    use crate::units::Span;

    #[test]
    fn only_what_a_reload_leaves_as_it_was_needs_a_restart() {
        let old = Config::default();
        let mut new = old.clone();
        new.check.headers = HeaderSettings::Map([("x-user".to_owned(), "sub".to_owned())].into());
        new.logging.level = crate::logging::Level::Debug;
        new.keys.dir = "other".into();
        new.auth.trusted_login.caller_keys_file = "callers".into();
        assert_eq!(needing_restart(&old, &new), Vec::<String>::new());
        new.auth.access_lifetime = Span::minutes(1);
        new.listen.trusted_proxies.clear();
        new.workers = 3;
        assert_eq!(needing_restart(&old, &new), ["auth.access_lifetime", "listen.trusted_proxies", "workers"]);
    }
}
