//! The JSON Schema of the whole configuration, made from the settings structs: the one source of names, types, defaults
//! and meanings for errors, environment names, `config schema` and the reference.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::config::Config;
use crate::config::reserved::Reserved;
use crate::config::source::{Path, Step};

static WHOLE: LazyLock<Value> = LazyLock::new(|| {
    let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut whole = generator.clone().into_root_schema_for::<Config>().to_value();
    unite(&mut whole, generator.into_root_schema_for::<Reserved>().to_value());
    whole["title"] = "doorward".into();
    whole
});

/// JSON Schema 2020-12.
pub fn whole() -> &'static Value {
    &WHOLE
}

/// Adds the properties of `more` to those of `schema`, deeply.
fn unite(schema: &mut Value, more: Value) {
    let Value::Object(mut more) = more else { return };
    let Some(Value::Object(more)) = more.remove("properties") else { return };
    let properties = &mut schema["properties"];
    for (name, inner) in more {
        match properties.get_mut(&name) {
            Some(known) => unite(known, inner),
            None => properties[name] = inner,
        }
    }
}

/// One place in the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema<'a>(&'a Value);

impl Schema<'static> {
    pub(super) fn root() -> Self {
        Self(whole())
    }

    /// The schema of what stands at `path`.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.0.iter().try_fold(Self::root(), |schema, step| match step {
            Step::Key(key) => schema.property(key),
            Step::Index(_) => schema.items(),
        })
    }
}

impl<'a> Schema<'a> {
    /// An optional value's schema is that of the value.
    fn unwrapped(self) -> Self {
        match self.alternatives().as_slice() {
            [one] => *one,
            _ => self,
        }
    }

    /// The members of `anyOf`, without null. Not of `oneOf`: that is how choices are written.
    fn alternatives(self) -> Vec<Self> {
        let any_of = self.0.get("anyOf").and_then(Value::as_array);
        any_of.into_iter().flatten().filter(|one| one["type"] != "null").map(Schema).collect()
    }

    /// Whether there is more than one way to write it, so that only its own type can judge it as a whole.
    pub(super) fn is_ambiguous(self) -> bool {
        self.alternatives().len() > 1
    }

    fn properties(self) -> Option<&'a Map<String, Value>> {
        self.unwrapped().0.get("properties").and_then(Value::as_object)
    }

    /// A map whose keys doorward names.
    pub(super) fn has_fixed_keys(self) -> bool {
        self.properties().is_some()
    }

    /// A map whose keys the user names.
    pub(super) fn has_free_keys(self) -> bool {
        self.unwrapped().0.get("additionalProperties").is_some_and(Value::is_object)
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.properties().into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// The schema of the value under `key`.
    pub(super) fn property(self, key: &str) -> Option<Self> {
        let here = self.unwrapped();
        if here.is_ambiguous() {
            let mut alternatives = here.alternatives();
            alternatives.sort_by_key(|one| one.has_free_keys());
            return alternatives.into_iter().find_map(|one| one.property(key));
        }
        let named = here.properties().and_then(|properties| properties.get(key));
        named.or_else(|| here.0.get("additionalProperties").filter(|inner| inner.is_object())).map(Schema)
    }

    pub(super) fn items(self) -> Option<Self> {
        self.unwrapped().0.get("items").map(Schema)
    }

    /// Whether a value of this JSON type may stand here.
    pub(super) fn accepts(self, kind: &str) -> bool {
        let here = self.unwrapped();
        if here.is_ambiguous() {
            return here.alternatives().iter().any(|one| one.accepts(kind));
        }
        match here.0.get("type") {
            Some(Value::String(one)) => one == kind,
            Some(Value::Array(several)) => several.iter().any(|one| one == kind),
            _ => kind == "string" && !here.choices().is_empty(),
        }
    }

    /// The words that may stand here, where they are few and known.
    pub(super) fn choices(self) -> Vec<&'a str> {
        let here = self.unwrapped().0;
        let listed = here.get("enum").and_then(Value::as_array).into_iter().flatten();
        let explained = here.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let explained = explained.flat_map(|one| {
            one.get("const").into_iter().chain(one.get("enum").and_then(Value::as_array).into_iter().flatten())
        });
        listed.chain(explained).filter_map(Value::as_str).collect()
    }

    /// What each choice means, where that is told.
    pub(super) fn explained_choices(self) -> Vec<(&'a str, &'a str)> {
        let one_of = self.unwrapped().0.get("oneOf").and_then(Value::as_array);
        one_of
            .into_iter()
            .flatten()
            .filter_map(|one| Some((one.get("const")?.as_str()?, one.get("description")?.as_str()?)))
            .collect()
    }

    pub(super) fn description(self) -> &'a str {
        let told = self.0.get("description").or_else(|| self.unwrapped().0.get("description"));
        told.and_then(Value::as_str).unwrap_or_default()
    }

    /// What may stand here, in words.
    pub(super) fn in_words(self) -> String {
        let here = self.unwrapped();
        if !here.choices().is_empty() {
            return format!("one of {}", here.choices().join(", "));
        }
        match here.0.get("title").and_then(Value::as_str).filter(|_| here.0.get("pattern").is_some()) {
            Some("duration") => return "a duration such as 250ms, 5s, 15m, 24h or 30d".into(),
            Some("size") => return "a size such as 512B, 64KiB, 19MiB or 1GiB".into(),
            Some("rate") => return "a rate such as 5/min, or off".into(),
            _ => {}
        }
        let words = [
            ("boolean", "true or false"),
            ("integer", "a whole number"),
            ("number", "a number"),
            ("array", "a list"),
            ("object", "a map"),
            ("string", "a text"),
        ];
        let fitting: Vec<_> = words.iter().filter(|(kind, _)| here.accepts(kind)).map(|(_, word)| *word).collect();
        fitting.join(" or ")
    }
}
