//! Loading: default below file below environment below flags, every error told at once.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::config::finding::{ConfigErrors, Finding, Severity};
use crate::config::reserved::{self, Reserved};
use crate::config::schema::Schema;
use crate::config::shape::Shaped;
use crate::config::source::{Path, Source, Sources, Step};
use crate::config::tree::{self, Node};
use crate::config::watch::Watched;
use crate::config::{Config, Role, files, overlay, secrets, validate};

/// What a configuration is made of; kept with the result, so that it can be made again.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The file; without one only the environment and flags speak.
    pub path: Option<PathBuf>,
    /// The environment; names without our prefix are ignored.
    pub env: Vec<(String, String)>,
    /// `KEY=VALUE`, above all else.
    pub sets: Vec<String>,
    /// Which part of doorward it is for: keys that a role has no use for are ignored.
    pub role: Role,
    /// Whether it is for `serve --dev`, which may do what a real service may not.
    pub dev: bool,
    /// Whether what the named files hold is judged too: for `serve` and `config check`. Others may be there to mend it.
    pub files: bool,
}

impl Inputs {
    /// The file, and this process's environment.
    pub fn of_process(path: Option<PathBuf>) -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(overlay::PREFIX))
            .collect();
        Self { path, env, ..Self::default() }
    }
}

/// A configuration that may be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Keys without effect in this version.
    pub reserved: Reserved,
    /// Where each value comes from.
    pub sources: Sources,
    pub path: Option<PathBuf>,
    /// Changes when the file, or a file that it names, changes.
    pub watched: Watched,
    /// Warnings and notices, to be told once at start.
    pub notices: Vec<Finding>,
    pub inputs: Inputs,
}

/// Makes the configuration of these inputs.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigErrors> {
    let mut findings = Vec::new();
    let mut tree = match inputs.path.as_deref().map(read_file) {
        Some(Ok(tree)) => tree,
        Some(Err(finding)) => {
            findings.push(*finding);
            Node::empty()
        }
        None => Node::empty(),
    };
    for layer in [overlay::of_environment(&inputs.env, &mut findings), overlay::of_flags(&inputs.sets, &mut findings)] {
        for over in layer {
            tree.overlay(over, Some(Schema::root()));
        }
    }
    let mut shaped = Shaped { findings, ..Shaped::default() };
    let mut json = shaped.read(&tree, Schema::root(), &Path::default()).unwrap_or_default();
    let Shaped { sources, mut findings, leaves } = shaped;

    let (mut config, reserved) = typed(json.clone()).unwrap_or_else(|_| {
        let bad = judge(&mut json, &leaves);
        findings.extend(bad.into_iter().map(|(key, why)| Finding::error(&key, why, "").from(sources.of(&key))));
        typed(json).unwrap_or_default()
    });

    let broken: Vec<String> = findings.iter().map(|finding| finding.key.clone()).collect();
    let mut meaning = secrets::resolve(&mut config, |key| sources.is_set(key), inputs.role);
    let unread: Vec<String> = meaning.iter().map(|finding| finding.key.trim_end_matches("_file").to_owned()).collect();
    meaning.extend(validate::all(&config, inputs).into_iter().filter(|one| !unread.contains(&one.key)));
    if inputs.files {
        meaning.extend(files::findings(&config, inputs.role));
    }
    meaning.retain(|finding| {
        let keys = || std::iter::once(finding.key.as_str()).chain(finding.rests_on.iter().copied());
        !keys().any(|key| broken.iter().any(|broken| related(key, broken)))
    });
    findings.extend(meaning.into_iter().map(|finding| {
        let source = sources.of(&finding.key);
        finding.from(source)
    }));
    findings.extend(not_in_effect(&sources));

    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let (errors, notices): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(ConfigErrors(errors));
    }
    let watched = Watched::of(inputs.path.as_deref(), &config);
    Ok(Loaded { config, reserved, sources, path: inputs.path.clone(), watched, notices, inputs: inputs.clone() })
}

/// Makes the configuration anew from the same inputs; the environment and flags are those of the start.
///
/// # Errors
/// Everything that is wrong with it; what is loaded stays in use.
pub fn reload(loaded: &Loaded) -> Result<Loaded, ConfigErrors> {
    // A file that was cut short while it was written, or on a full disk, holds no rule any more: every valid token would pass.
    if let Some(path) = loaded.path.as_deref()
        && loaded.sources.names_file()
        && read_file(path).is_ok_and(|tree| tree.value == tree::Value::Null)
    {
        let what = format!("the configuration file {} is empty now", path.display());
        return Err(ConfigErrors(vec![Finding::error("", what, "write {} there if all defaults are meant")]));
    }
    // What the files hold is judged by those that take it over, while the rest goes on as it is.
    load(&Inputs { files: false, ..loaded.inputs.clone() })
}

fn read_file(path: &FilePath) -> Result<Node, Box<Finding>> {
    let name: Arc<str> = path.display().to_string().into();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("the configuration file {name} can't be read: {error}");
        Box::new(Finding::error("", what, "name a readable file with -c, or write one with `doorward config init`"))
    })?;
    tree::parse(&text, &name)
}

fn related(left: &str, right: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        !outer.is_empty()
            && inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    inside(left, right) || inside(right, left)
}

/// The values in their own types.
fn typed(json: Json) -> Result<(Config, Reserved), serde_json::Error> {
    let defaults = (serde_json::to_value(Config::default())?, serde_json::to_value(Reserved::default())?);
    let (own, rest) = split(json, &defaults.0, &defaults.1);
    Ok((serde_json::from_value(own)?, serde_json::from_value(rest)?))
}

/// Parts the values of `Config` from those of `Reserved`, by the keys that each has.
fn split(json: Json, own: &Json, reserved: &Json) -> (Json, Json) {
    let Json::Object(map) = json else { return (json, Json::Null) };
    let (mut ours, mut rest) = (Map::new(), Map::new());
    for (key, value) in map {
        match (own.get(&key), reserved.get(&key)) {
            (Some(own), Some(reserved)) => {
                let (left, right) = split(value, own, reserved);
                ours.insert(key.clone(), left);
                rest.insert(key, right);
            }
            (None, Some(_)) => {
                rest.insert(key, value);
            }
            _ => {
                ours.insert(key, value);
            }
        }
    }
    (Json::Object(ours), Json::Object(rest))
}

/// Tries each value on its own, so that every one its type refuses is told; takes those out of `json`.
fn judge(json: &mut Json, leaves: &[(Path, Json)]) -> Vec<(String, String)> {
    let mut bad = Vec::new();
    // From the last to the first, so that an entry taken out of a list moves none that is still to be judged.
    for (path, value) in leaves.iter().rev() {
        let alone = path.0.iter().rev().fold(value.clone(), |inner, step| match step {
            Step::Key(key) => Json::Object(Map::from_iter([(key.clone(), inner)])),
            Step::Index(_) => Json::Array(vec![inner]),
        });
        if let Err(why) = typed(alone) {
            bad.push((path.to_string(), in_plain_words(&why, path)));
            take_out(json, &path.0);
        }
    }
    bad.reverse();
    bad
}

fn take_out(from: &mut Json, path: &[Step]) {
    match (from, path) {
        (Json::Object(map), [Step::Key(key)]) => {
            map.remove(key);
        }
        (Json::Array(list), [Step::Index(at)]) if *at < list.len() => {
            list.remove(*at);
        }
        (Json::Object(map), [Step::Key(key), rest @ ..]) => {
            if let Some(inner) = map.get_mut(key) {
                take_out(inner, rest);
            }
        }
        (Json::Array(list), [Step::Index(at), rest @ ..]) => {
            if let Some(inner) = list.get_mut(*at) {
                take_out(inner, rest);
            }
        }
        _ => {}
    }
}

/// The type's own words where it has some (a duration's, a rate's), the schema's otherwise.
fn in_plain_words(error: &serde_json::Error, path: &Path) -> String {
    let text = error.to_string();
    let serdes_own = ["invalid type", "invalid value", "data did not match", "missing field", "unknown variant"];
    if serdes_own.iter().any(|start| text.starts_with(start)) {
        let belongs = Schema::at(path).map(Schema::in_words).unwrap_or_default();
        format!("here belongs {belongs} ({text})")
    } else {
        text
    }
}

fn not_in_effect(sources: &Sources) -> Vec<Finding> {
    let set = reserved::KEYS.into_iter().filter(|key| sources.is_set(key));
    set.map(|key| Finding::new(Severity::Notice, key, "not in effect in this version", "").from(sources.of(key)))
        .collect()
}

impl Loaded {
    /// Whether a key, or anything below it, was given.
    pub fn is_set(&self, key: &str) -> bool {
        self.sources.of(key) != Source::Default
    }
}
