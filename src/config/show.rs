//! `config show`: the effective values as YAML, each with where it comes from, secrets hidden (SEC-K6). Also the tree of
//! defaults in the order of the structs, on which the reference rests.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::config::Config;
use crate::config::load::Loaded;
use crate::config::reserved::{KEYS, Reserved};
use crate::config::schema::Schema;
use crate::config::secrets::concealed;
use crate::config::source::{Path, Source, Sources};
use crate::config::tree::{self, Entry, Node, Value};

/// The whole configuration as a tree, in the order of the structs.
pub(super) fn tree_of(config: &Config, reserved: &Reserved) -> Node {
    let mut tree = in_order(config);
    tree.overlay(in_order(reserved), Some(Schema::root()));
    tree
}

/// A value's tree by way of its JSON text, which keeps the order of the fields, as a JSON value would not.
pub(super) fn in_order(value: &impl Serialize) -> Node {
    let json = serde_json::to_string(value).expect("settings have text keys and finite numbers");
    tree::parse(&json, &"".into()).expect("JSON is YAML")
}

/// The effective configuration as YAML.
pub fn yaml(loaded: &Loaded) -> String {
    let mut out = String::new();
    let tree = tree_of(&loaded.config, &loaded.reserved);
    if let Value::Map(entries) = &tree.value {
        write_map(&mut out, entries, &Path::default(), &loaded.sources, 0);
    }
    out
}

/// The effective configuration as JSON: `config`, and `sources` for what is not built in.
pub fn json(loaded: &Loaded) -> Json {
    let tree = tree_of(&loaded.config, &loaded.reserved);
    let mut sources = Map::new();
    let config = plain_json(&tree, &Path::default(), &loaded.sources, &mut sources);
    serde_json::json!({ "config": config, "sources": sources })
}

fn not_in_effect(path: &Path) -> bool {
    KEYS.contains(&path.to_string().as_str())
}

fn plain_json(node: &Node, path: &Path, known: &Sources, sources: &mut Map<String, Json>) -> Json {
    match &node.value {
        Value::Map(entries) => {
            let shown = entries.iter().filter(|entry| {
                let path = path.key(&entry.key);
                !not_in_effect(&path) || known.is_set(&path.to_string())
            });
            shown
                .map(|entry| (entry.key.clone(), plain_json(&entry.node, &path.key(&entry.key), known, sources)))
                .collect()
        }
        Value::List(items) => {
            items.iter().enumerate().map(|(at, item)| plain_json(item, &path.index(at), known, sources)).collect()
        }
        plain => {
            let key = path.to_string();
            let source = known.of(&key);
            if source != Source::Default {
                sources.insert(key.clone(), source.to_string().into());
            }
            match plain {
                Value::Bool(is) => Json::Bool(*is),
                Value::Number(number) => Json::Number(number.clone()),
                Value::Text(text) => concealed(&key, text).into(),
                _ => Json::Null,
            }
        }
    }
}

fn write_map(out: &mut String, entries: &[Entry], path: &Path, sources: &Sources, indent: usize) {
    for entry in entries {
        let path = path.key(&entry.key);
        let key = path.to_string();
        let reserved = not_in_effect(&path);
        if reserved && !sources.is_set(&key) || entry.node.value == Value::Null {
            continue;
        }
        let note = if reserved { ", not in effect in this version" } else { "" };
        let _ = write!(out, "{:indent$}{}:", "", quoted(&entry.key));
        match &entry.node.value {
            Value::Map(inner) if !inner.is_empty() => {
                let _ = writeln!(out, "{}", if reserved { "   # not in effect in this version" } else { "" });
                write_map(out, inner, &path, sources, indent + 2);
            }
            Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
                let _ = writeln!(out, "   # {}{note}", sources.of(&key));
                write_maps(out, items, &path, sources, indent + 2);
            }
            value => {
                let _ = writeln!(out, " {}   # {}{note}", inline(value, &key), sources.of(&key));
            }
        }
    }
}

/// A list of maps: the first key of each stands behind its dash.
fn write_maps(out: &mut String, items: &[Node], path: &Path, sources: &Sources, indent: usize) {
    for (at, item) in items.iter().enumerate() {
        let Value::Map(entries) = &item.value else { continue };
        let mut text = String::new();
        write_map(&mut text, entries, &path.index(at), sources, indent + 2);
        text.replace_range(indent..indent + 1, "-");
        out.push_str(&text);
    }
}

/// A value on one line, in YAML's flow style.
pub(super) fn inline(value: &Value, key: &str) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => quoted(&concealed(key, text)),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| inline(&item.value, key)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entry = |entry: &Entry| {
                let key = format!("{key}.{}", entry.key);
                format!("{}: {}", quoted(&entry.key), inline(&entry.node.value, &key))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text as YAML: bare where no reader could take it for anything else.
fn quoted(text: &str) -> String {
    const TAKEN: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !TAKEN.contains(&text.to_lowercase().as_str());
    let span = text.parse::<crate::units::Span>().is_ok() && text != "0";
    if bare || span { text.to_owned() } else { Json::from(text).to_string() }
}
