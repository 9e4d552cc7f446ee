//! Where a configured value comes from: what `config show` tells and what an error points at.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The origin of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Built in.
    Default,
    /// The configuration file; line and column count from 1.
    File { file: Arc<str>, line: u64, column: u64 },
    /// An environment variable, by its name.
    Env(Arc<str>),
    /// `--set KEY=VALUE`, by its key.
    Flag(Arc<str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(key) => write!(f, "--set {key}"),
        }
    }
}

/// The origins of all values that are not built in, by dotted path.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<String, Source>);

impl Sources {
    pub(super) fn note(&mut self, path: &Path, source: Source) {
        self.0.insert(path.to_string(), source);
    }

    /// Where the key's value comes from. A map or list that holds configured values answers with the first of them.
    pub fn of(&self, key: &str) -> Source {
        self.0.get(key).or_else(|| self.below(key).next()).cloned().unwrap_or(Source::Default)
    }

    /// Whether the key, or anything below it, was configured.
    pub fn is_set(&self, key: &str) -> bool {
        self.0.contains_key(key) || self.below(key).next().is_some()
    }

    /// Whether any value comes from the configuration file.
    pub(super) fn names_file(&self) -> bool {
        self.0.values().any(|source| matches!(source, Source::File { .. }))
    }

    fn below<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Source> {
        let inside =
            move |path: &str| path.strip_prefix(key).is_some_and(|rest| key.is_empty() || rest.starts_with(['.', '[']));
        self.0
            .range(key.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(key))
            .filter_map(move |(path, source)| inside(path).then_some(source))
    }
}

/// One step of a path into the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// A path into the configuration; reads `check.rules[0].path`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(pub Vec<Step>);

impl Path {
    pub(super) fn of_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(keys.into_iter().map(|key| Step::Key(key.to_owned())).collect())
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl From<&Path> for String {
    fn from(path: &Path) -> Self {
        path.to_string()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_set_where_anything_below_it_is() {
        let mut sources = Sources::default();
        let source = Source::Env("DOORWARD__AUTH__ISSUER".into());
        sources.note(&Path::of_keys(["auth", "issuer"]), source.clone());
        assert!(sources.is_set("auth") && sources.is_set("auth.issuer"));
        assert!(!sources.is_set("aut") && !sources.is_set("auth.iss"));
        assert_eq!((sources.of("auth"), sources.of("auth.audience")), (source, Source::Default));
    }
}
