//! Checks a tree against the schema: names, repetitions and types, all at once; gives the values as JSON together with
//! where each comes from. What only a value's own type can judge (a duration's text, a network) is left to `judge`.

use serde_json::{Map, Value as Json};

use crate::config::finding::Finding;
use crate::config::schema::Schema;
use crate::config::source::{Path, Sources};
use crate::config::tree::{Entry, Node, Value};

/// What came of a tree.
#[derive(Default)]
pub(super) struct Shaped {
    pub sources: Sources,
    pub findings: Vec<Finding>,
    /// Every plain value, for a trial of its own.
    pub leaves: Vec<(Path, Json)>,
}

impl Shaped {
    /// The values that are of the right shape; the others are left out and told as findings.
    pub(super) fn read(&mut self, node: &Node, schema: Schema<'_>, path: &Path) -> Option<Json> {
        match &node.value {
            Value::Map(entries) if schema.accepts("object") => {
                if path.0.is_empty() || !entries.is_empty() || schema.has_free_keys() {
                    return self.map(node, entries, schema, path);
                }
                None
            }
            Value::List(items) if schema.accepts("array") => {
                self.sources.note(path, node.source.clone());
                let inner = schema.items()?;
                let mut read = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    // An empty map stands in for a broken one, so that those after it keep their place.
                    let stand_in = || inner.has_fixed_keys().then(|| Json::Object(Map::new()));
                    read.extend(self.read(item, inner, &path.index(at)).or_else(stand_in));
                }
                Some(Json::Array(read))
            }
            // A heading whose lines are all commented out.
            Value::Null if schema.accepts("object") || schema.accepts("array") => None,
            plain => match as_json(plain, schema) {
                Some(json) => {
                    self.sources.note(path, node.source.clone());
                    self.leaves.push((path.clone(), json.clone()));
                    Some(json)
                }
                None => {
                    self.findings.push(wrong_kind(node, schema, path));
                    None
                }
            },
        }
    }

    fn map(&mut self, node: &Node, entries: &[Entry], schema: Schema<'_>, path: &Path) -> Option<Json> {
        if schema.is_ambiguous() || schema.has_free_keys() {
            self.sources.note(path, node.source.clone());
        }
        let mut read = Map::new();
        for (at, entry) in entries.iter().enumerate() {
            let path = path.key(&entry.key);
            if let Some(first) = entries[..at].iter().find(|before| before.key == entry.key) {
                let fix = format!("keep one of the two; the first stands at {}", first.source);
                self.findings.push(Finding::error(&path, "this key is given twice", fix).from(entry.source.clone()));
                continue;
            }
            let Some(inner) = schema.property(&entry.key) else {
                self.findings.push(unknown_key(entry, schema, &path));
                continue;
            };
            if let Some(json) = self.read(&entry.node, inner, &path) {
                read.insert(entry.key.clone(), json);
            }
        }
        if schema.is_ambiguous() {
            self.leaves.push((path.clone(), Json::Object(read.clone())));
        }
        Some(Json::Object(read))
    }
}

/// The plain value as JSON, if the schema takes its type. A plain number is taken where only a text may stand (`0` as a
/// duration, a numeric name): YAML needs no quotes there.
fn as_json(value: &Value, schema: Schema<'_>) -> Option<Json> {
    let text = schema.accepts("string");
    match value {
        Value::Bool(is) if schema.accepts("boolean") => Some(Json::Bool(*is)),
        Value::Number(number) if schema.accepts("integer") && !number.is_f64() || schema.accepts("number") => {
            Some(Json::Number(number.clone()))
        }
        Value::Number(number) if text && !number.is_f64() => Some(number.to_string().into()),
        Value::Text(written) if text => {
            let choices = schema.choices();
            (choices.is_empty() || choices.contains(&written.as_str())).then(|| written.as_str().into())
        }
        _ => None,
    }
}

fn wrong_kind(node: &Node, schema: Schema<'_>, path: &Path) -> Finding {
    let choices = schema.choices();
    let (what, fix) = match &node.value {
        Value::Text(written) if !choices.is_empty() => {
            let what = format!("`{written}` is not {}", schema.in_words());
            (what, nearest(written, choices.into_iter()).map(|near| format!("write {near}")).unwrap_or_default())
        }
        Value::Null => ("no value is given".into(), format!("write {}, or remove the key", schema.in_words())),
        value if schema.accepts("string") && !matches!(value, Value::List(_) | Value::Map(_)) => {
            let kind = value.kind();
            (format!("here belongs {}, but this is {kind}", schema.in_words()), "put it in quotes".into())
        }
        value => {
            let fix = if schema.accepts("array") { "write it as [a, b], or each on a line after `- `" } else { "" };
            (format!("here belongs {}, but this is {}", schema.in_words(), value.kind()), fix.to_owned())
        }
    };
    Finding::error(path, what, fix).from(node.source.clone())
}

fn unknown_key(entry: &Entry, schema: Schema<'_>, path: &Path) -> Finding {
    let fix = match nearest(&entry.key, schema.names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here are {}", schema.names().collect::<Vec<_>>().join(", ")),
    };
    Finding::error(path, "there is no such key", fix).from(entry.source.clone())
}

/// The name that was most likely meant.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase().replace('-', "_");
    names
        .map(|name| (name, strsim::jaro_winkler(&lower, &name.to_lowercase().replace('-', "_"))))
        .filter(|(_, likeness)| *likeness > 0.8)
        .max_by(|(_, left), (_, right)| left.total_cmp(right))
        .map(|(name, _)| name)
}
