//! A YAML document as a tree in which every value knows where it stands. The overlays of the environment and of flags
//! are such trees too, so that all are merged and checked in one way.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::Spanned;
use serde_saphyr::options::{DuplicateKeyPolicy, Options};

use crate::config::finding::Finding;
use crate::config::schema::Schema;
use crate::config::source::Source;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub value: Value,
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order written; keys may still repeat.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    /// Where the key stands.
    pub source: Source,
    pub node: Node,
}

impl Value {
    /// What it is, in words for an error.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    pub(super) fn new(value: Value, source: Source) -> Self {
        Self { value, source }
    }

    pub(super) const fn empty() -> Self {
        Self { value: Value::Map(Vec::new()), source: Source::Default }
    }

    /// `key: {key: self}`: the value under a path of keys.
    pub(super) fn under(self, keys: &[String]) -> Self {
        keys.iter().rev().fold(self, |node, key| {
            let source = node.source.clone();
            Self { value: Value::Map(vec![Entry { key: key.clone(), source: source.clone(), node }]), source }
        })
    }

    /// The same value, all of it from `source`.
    pub(super) fn all_from(self, source: &Source) -> Self {
        let value = match self.value {
            Value::List(items) => Value::List(items.into_iter().map(|item| item.all_from(source)).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|entry| Entry { source: source.clone(), node: entry.node.all_from(source), ..entry })
                    .collect(),
            ),
            plain => plain,
        };
        Self { value, source: source.clone() }
    }

    /// Lays `over` on top. Maps with fixed keys are merged; lists, free maps and plain values are replaced as a whole.
    pub(super) fn overlay(&mut self, over: Self, schema: Option<Schema<'_>>) {
        let mergeable = schema.is_some_and(Schema::has_fixed_keys);
        if mergeable && matches!(self.value, Value::Null) {
            self.value = Value::Map(Vec::new());
        }
        match (&mut self.value, over) {
            (Value::Map(below), Self { value: Value::Map(above), .. }) if mergeable => {
                for entry in above {
                    let inner = schema.and_then(|schema| schema.property(&entry.key));
                    match below.iter_mut().find(|known| known.key == entry.key) {
                        Some(known) => known.node.overlay(entry.node, inner),
                        None => below.push(entry),
                    }
                }
            }
            (_, over) => *self = over,
        }
    }
}

/// Reads one YAML document.
///
/// # Errors
/// The place where the text stops being YAML; never an excerpt of it, which might hold a secret.
pub(super) fn parse(text: &str, file: &Arc<str>) -> Result<Node, Box<Finding>> {
    let mut options = Options::default();
    // Repeated keys are told with all else that is wrong, not instead of it.
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.strict_booleans = true;
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    options.with_snippet = false;
    let place = |line, column| Source::File { file: file.clone(), line, column };
    serde_saphyr::from_str_with_options::<Option<Spanned<Raw>>>(text, options)
        .map(|root| root.map_or(Node::new(Value::Null, place(1, 1)), |root| settle(root, file)))
        .map_err(|error| {
            let source = error.location().map_or(place(1, 1), |at| place(at.line(), at.column()));
            let what = format!("this is not YAML: {}", plain_words(&error));
            Box::new(Finding::error("", what, "").from(source))
        })
}

/// The parser's words without the place, which the finding tells by itself.
fn plain_words(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.split(" at line ").next().unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// A value as the parser gives it, its inner values with their spans.
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn settle(raw: Spanned<Raw>, file: &Arc<str>) -> Node {
    let place = |at: serde_saphyr::Location| Source::File { file: file.clone(), line: at.line(), column: at.column() };
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(is) => Value::Bool(is),
        Raw::Number(number) => Value::Number(number),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| settle(item, file)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry { source: place(key.referenced), key: key.value, node: settle(value, file) })
                .collect(),
        ),
    };
    Node { value, source: place(raw.referenced) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_bool<E: de::Error>(self, is: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(is))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Raw, E> {
        Number::from_f64(number).map(Raw::Number).ok_or_else(|| E::custom("this number is not finite"))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(node: &Node) -> (u64, u64) {
        match node.source {
            Source::File { line, column, .. } => (line, column),
            _ => (0, 0),
        }
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let root = parse("a: 1\nb:\n  - x\n  - {c: no}\n", &"f".into()).expect("YAML");
        let Value::Map(entries) = &root.value else { panic!("{root:?}") };
        assert_eq!((entries[0].key.as_str(), at(&entries[0].node)), ("a", (1, 4)));
        let Value::List(items) = &entries[1].node.value else { panic!("{root:?}") };
        assert_eq!((at(&items[0]), at(&items[1])), ((3, 5), (4, 5)));
        let Value::Map(inner) = &items[1].value else { panic!("{root:?}") };
        assert_eq!(inner[0].node.value, Value::Text("no".into()), "only true and false are booleans");
        assert_eq!(at(&inner[0].node), (4, 9));
    }

    #[test]
    fn an_empty_document_is_nothing_and_an_empty_map_is_one() {
        for text in ["", "\n", "# nothing\n", "---\n"] {
            assert_eq!(parse(text, &"f".into()).expect("YAML").value, Value::Null, "{text:?}");
        }
        assert_eq!(parse("{}\n", &"f".into()).expect("YAML").value, Value::Map(Vec::new()));
    }

    // SEC-K6
    #[test]
    fn what_is_not_yaml_is_told_by_its_place_without_an_excerpt() {
        let finding = parse("a: 1\nurl: [canary\nb: 2\n", &"f.yaml".into()).expect_err("no YAML");
        assert!(matches!(finding.source, Source::File { line: 2.., .. }), "{finding}");
        assert!(!finding.to_string().contains("canary"), "{finding}");
    }
}
