//! The reference of the configuration, `docs/configuration.md`: made from the settings structs and their doc comments.

use std::fmt::Write as _;

use crate::check::requirement::Require;
use crate::check::rules::RuleSettings;
use crate::config::Config;
use crate::config::overlay::variable;
use crate::config::reserved::{KEYS, Provider, Reserved};
use crate::config::schema::Schema;
use crate::config::show::{in_order, inline, tree_of};
use crate::config::source::Path;
use crate::config::tree::{Entry, Node, Value};
use crate::oauth::clients::ClientSettings;
use crate::token::remote::IssuerSettings;

const INTRODUCTION: &str = "\
# Configuration

<!-- Made by `doorward config reference`; a test compares the two. Change the doc comments of the settings instead. -->

One YAML file, named by `-c FILE` or by the environment variable `DOORWARD__CONFIG`. Every key is optional, and without a file
doorward runs on defaults; no file is read that was not named. A flag (`--set KEY=VALUE`) stands over the environment, that over
the file, that over the default.

- `doorward config check -c FILE` tells everything that is wrong, with line, column and the fix; `doorward config show` tells
  each effective value and where it comes from; `doorward config init` prints a file to start from; `doorward config schema`
  prints a JSON Schema for editors.
- Every key has an environment variable: its path in capitals, joined by two underscores. Lists and maps are given as YAML flow
  text: `DOORWARD__AUTH__AUDIENCE='[web, app]'`. An empty variable counts as not set. Maps are merged key by key; a list
  replaces the list below it.
- Durations are written `250ms`, `5s`, `15m`, `24h`, `30d`; sizes `512B`, `64KiB`, `19MiB`, `1GiB`; rates `5/s`, `5/min`, `600/h` (that
  many at once, refilled evenly: `5/min` is one more each 12 seconds), or `off`.
- Keys that end in `_file` name a file that holds a secret, so that it stays out of the configuration. Paths are relative to the
  working directory.
- SIGHUP or a changed file (a swapped ConfigMap link too) is read again as a whole; a file with an error changes nothing. At once
  take effect `check.rules`, `check.headers`, `auth.trusted_login`, `clients`, `limits`, `keys` and `logging.level`; whatever else has changed is named
  in a warning, and takes a restart.
- Keys that a role has no use for are ignored, so one file serves all roles.
";

/// The whole reference, in Markdown.
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    let defaults = tree_of(&Config::default(), &Reserved::default());
    write_entries(&mut out, &defaults, &Path::default(), true);
    out
}

/// What the entries of a list or free map look like, by the path of the list: their defaults, in the order of the struct.
fn prototype(path: &str) -> Option<(Path, Node)> {
    let keys = |text: &str| Path::of_keys(text.split('.'));
    Some(match path {
        "issuers" => (keys("issuers").index(0), in_order(&IssuerSettings::default())),
        "check.rules" => (keys("check.rules").index(0), in_order(&RuleSettings::default())),
        "check.rules[0].require" => (keys("check.rules").index(0).key("require"), in_order(&Require::default())),
        "clients" => (keys("clients").index(0), in_order(&ClientSettings::default())),
        "providers" => (keys("providers.NAME"), in_order(&Provider::default())),
        _ => return None,
    })
}

fn write_entries(out: &mut String, node: &Node, path: &Path, by_environment: bool) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        write_entry(out, entry, &path.key(&entry.key), by_environment);
    }
}

fn write_entry(out: &mut String, entry: &Entry, path: &Path, by_environment: bool) {
    let Some(schema) = Schema::at(path) else { return };
    let key = path.to_string();
    let shown = key.replace("[0]", "[]");
    let level = if path.0.len() == 1 { "##" } else { "###" };
    let _ = write!(out, "\n{level} `{shown}`\n\n");
    if KEYS.contains(&key.as_str()) {
        out.push_str("*Not in effect in this version; the names and shapes are checked.*\n\n");
    }
    if !schema.description().is_empty() {
        let _ = write!(out, "{}\n\n", schema.description().replace('\n', " "));
    }
    for (choice, meaning) in schema.explained_choices() {
        let _ = writeln!(out, "- `{choice}`: {}", meaning.replace('\n', " "));
    }
    if !schema.explained_choices().is_empty() {
        out.push('\n');
    }
    if schema.has_fixed_keys() && matches!(&entry.node.value, Value::Map(_)) {
        trim_blank(out);
        return write_entries(out, &entry.node, path, by_environment);
    }
    let prototype = prototype(&key);
    let default = match &entry.node.value {
        Value::Null => "absent".to_owned(),
        Value::Text(text) if text.is_empty() => "empty".to_owned(),
        value => format!("`{}`", inline(value, &key)),
    };
    let _ = write!(out, "{}; default {default}", kind(schema, path));
    if by_environment {
        let _ = write!(out, "; `{}`", variable(path));
    }
    out.push('\n');
    if let Some((path, node)) = prototype {
        write_entries(out, &node, &path, false);
    }
}

/// The type in few words.
fn kind(schema: Schema<'_>, path: &Path) -> String {
    let choices = schema.choices();
    if !choices.is_empty() {
        return choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or ");
    }
    if schema.has_free_keys() {
        return "map".into();
    }
    if schema.accepts("array") {
        let inner = schema.items().map(|inner| kind(inner, &path.index(0))).unwrap_or_default();
        return format!("list of {}", inner.replace("map", "maps").replace("text", "texts"));
    }
    let words = schema.in_words();
    let short = words.split(" such as ").next().unwrap_or(&words);
    short.trim_start_matches("a ").to_owned()
}

fn trim_blank(out: &mut String) {
    while out.ends_with("\n\n") {
        out.pop();
    }
}
