//! Parts of a session as both stores write them down.

use super::{Entry, Mark, StateError};
use crate::token::HolderKind;

/// A list of words as a JSON array.
pub(super) fn list(words: &[String]) -> String {
    serde_json::Value::from(words.to_vec()).to_string()
}

pub(super) fn words(json: &str) -> Result<Vec<String>, StateError> {
    serde_json::from_str(json).map_err(|_| StateError::Corrupt("a list of words is not one".into()))
}

pub(super) const fn kind_name(kind: HolderKind) -> &'static str {
    match kind {
        HolderKind::PlainNumber => "number",
        HolderKind::PlainText => "text",
        HolderKind::Account => "account",
        HolderKind::Client => "client",
    }
}

pub(super) fn kind_from(name: &str) -> Result<HolderKind, StateError> {
    match name {
        "number" => Ok(HolderKind::PlainNumber),
        "text" => Ok(HolderKind::PlainText),
        "account" => Ok(HolderKind::Account),
        "client" => Ok(HolderKind::Client),
        _ => Err(StateError::Corrupt("a session's holder is of no kind known here".into())),
    }
}

/// An entry of the revocation log as a kind and a name. Readers take a kind they do not know, written by a newer version,
/// as "everything": forgetting too much is safe.
pub(super) fn entry_parts(entry: &Entry) -> (&'static str, String) {
    match entry {
        Entry::Session(sid) => ("s", sid.to_string()),
        Entry::Subject(tag) => ("u", tag.to_string()),
        Entry::Everyone(mark) => ("m", mark.0.to_string()),
        Entry::Key(kid) => ("k", kid.clone()),
        Entry::Everything => ("a", String::new()),
    }
}

pub(super) fn entry_from(kind: &str, name: &str) -> Entry {
    match kind {
        "s" => name.parse().map_or(Entry::Everything, Entry::Session),
        "u" => name.parse().map_or(Entry::Everything, Entry::Subject),
        "m" => name.parse().map_or(Entry::Everything, |mark| Entry::Everyone(Mark(mark))),
        "k" => Entry::Key(name.to_owned()),
        _ => Entry::Everything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{SessionId, SubjectTag};

    #[test]
    fn log_entries_read_as_written_and_unknown_ones_mean_everything() {
        let tag = SubjectTag::of("doorward", "alice");
        let entries = [
            Entry::Session(SessionId::fresh(tag)),
            Entry::Subject(tag),
            Entry::Everyone(Mark(7)),
            Entry::Key("k1".into()),
            Entry::Everything,
        ];
        for entry in entries {
            let (kind, name) = entry_parts(&entry);
            assert_eq!(entry_from(kind, &name), entry);
        }
        assert_eq!(entry_from("x", "y"), Entry::Everything);
        assert_eq!(entry_from("s", "no id"), Entry::Everything);
        assert_eq!(entry_from("m", "no number"), Entry::Everything);
    }
}
