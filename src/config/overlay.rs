//! The layers above the file: environment variables (`DOORWARD__AUTH__ACCESS_LIFETIME=15m`) and `--set KEY=VALUE`.
//! A value is a plain text where the key takes one, and YAML flow text (`[a, b]`, `{a: 1}`) otherwise.

use std::sync::Arc;

use crate::config::finding::Finding;
use crate::config::schema::Schema;
use crate::config::secrets;
use crate::config::shape::nearest;
use crate::config::source::{Path, Source};
use crate::config::tree::{self, Node, Value};

/// What names of the environment begin with.
pub(super) const PREFIX: &str = "DOORWARD__";
/// Names the configuration file itself; it is no key of the configuration.
pub const FILE_VARIABLE: &str = "DOORWARD__CONFIG";

/// The environment variable of a key: `auth.access_lifetime` is `DOORWARD__AUTH__ACCESS_LIFETIME`.
pub(super) fn variable(path: &Path) -> String {
    format!("{PREFIX}{}", path.to_string().to_uppercase().replace('.', "__"))
}

/// The overlays of all variables that bear our prefix. An empty variable counts as not set.
pub(super) fn of_environment(env: &[(String, String)], findings: &mut Vec<Finding>) -> Vec<Node> {
    let ours =
        env.iter().filter(|(name, value)| name.starts_with(PREFIX) && name != FILE_VARIABLE && !value.is_empty());
    let mut overlays = Vec::new();
    for (name, value) in ours {
        let source = Source::Env(name.as_str().into());
        let keys: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        match overlay(&keys, value, &source) {
            Ok(node) => overlays.push(node),
            Err(Wrong::Name) => {
                let known = known_variables(Schema::root(), &Path::default());
                let fix = match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => {
                        "write DOORWARD__ and the key's path in capitals, its parts joined by two underscores".into()
                    }
                };
                findings.push(Finding::error(keys.join("."), "there is no such key", fix).from(source));
            }
            Err(Wrong::Value(finding)) => findings.push(*finding),
        }
    }
    overlays
}

/// The overlays of `--set KEY=VALUE`.
pub(super) fn of_flags(sets: &[String], findings: &mut Vec<Finding>) -> Vec<Node> {
    let mut overlays = Vec::new();
    for set in sets {
        let Some((key, value)) = set.split_once('=') else {
            let fix = "write --set KEY=VALUE, such as --set auth.access_lifetime=15m";
            findings.push(Finding::error("", "--set without `=`", fix));
            continue;
        };
        let source = Source::Flag(key.into());
        let keys: Vec<String> = key.split('.').map(str::to_owned).collect();
        if secrets::is_secret(key, value) {
            let fix =
                "give it by a file (the key of the same name with `_file`), the configuration file or the environment";
            let what = "a secret in the arguments can be read by every process of this machine";
            findings.push(Finding::error(key, what, fix).from(source));
            continue;
        }
        match overlay(&keys, value, &source) {
            Ok(node) => overlays.push(node),
            Err(Wrong::Name) => {
                let known = known_keys(Schema::root(), &Path::default());
                let fix = nearest(key, known.iter().map(String::as_str)).map(|near| format!("did you mean {near}?"));
                let what = "there is no such key";
                findings.push(Finding::error(key, what, fix.unwrap_or_default()).from(source));
            }
            Err(Wrong::Value(finding)) => findings.push(*finding),
        }
    }
    overlays
}

enum Wrong {
    Name,
    Value(Box<Finding>),
}

fn overlay(keys: &[String], value: &str, source: &Source) -> Result<Node, Wrong> {
    let path = Path::of_keys(keys.iter().map(String::as_str));
    let schema = Schema::at(&path).ok_or(Wrong::Name)?;
    let container = schema.accepts("object") || schema.accepts("array");
    let plain = schema.accepts("string") && !container;
    if plain {
        return Ok(Node::new(Value::Text(value.to_owned()), source.clone()).under(keys));
    }
    let unnamed: Arc<str> = "".into();
    let node = tree::parse(value, &unnamed).map_err(|mut finding| {
        finding.key = path.to_string();
        finding.source = source.clone();
        Wrong::Value(finding)
    })?;
    Ok(node.all_from(source).under(keys))
}

fn known_keys(schema: Schema<'_>, path: &Path) -> Vec<String> {
    let mut known = Vec::new();
    for name in schema.names() {
        let path = path.key(name);
        known.push(path.to_string());
        known.extend(schema.property(name).map(|inner| known_keys(inner, &path)).unwrap_or_default());
    }
    known
}

fn known_variables(schema: Schema<'_>, path: &Path) -> Vec<String> {
    known_keys(schema, path).iter().map(|key| format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))).collect()
}
