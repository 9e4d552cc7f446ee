//! The names of keys in Redis. All of one subject share its hash tag, so they share a slot and one script reaches them all.

use fred::util::redis_keyslot;

use crate::secret::{Digest, append_base64url};
use crate::token::{SessionId, SubjectTag, TokenId};

/// The revocation log, and when this store's state began.
pub(super) const LOG: &str = "dw:{log}:r";
pub(super) const BEGAN: &str = "dw:{log}:began";

/// The not-before mark. It lies with the log, which is told in the same step.
pub(super) const MARK: &str = "dw:{log}:m";

/// How long the log is kept, in entries. A checker that was away for longer empties its cache.
pub(super) const LOG_LENGTH: u64 = 100_000;

/// `dw:{TAG}:KIND`, and which one where there are many. Without `format!`, which took a sixth of a look-up's instructions.
fn of(tag: SubjectTag, kind: &str, which: &[u8]) -> String {
    let mut key = String::with_capacity(64);
    key.push_str("dw:{");
    append_base64url(tag.as_bytes(), &mut key);
    key.push_str("}:");
    key.push_str(kind);
    append_base64url(which, &mut key);
    key
}

/// The subject's index of sessions; the scripts derive every other key of the subject from it.
pub(super) fn index(tag: SubjectTag) -> String {
    of(tag, "i", &[])
}

pub(super) fn session(sid: &SessionId) -> String {
    of(sid.tag(), "s:", sid.as_bytes())
}

pub(super) fn epoch(tag: SubjectTag) -> String {
    of(tag, "e", &[])
}

/// A denied token. A foreign `jti` may be long and hold anything, so its digest stands for it.
pub(super) fn denied(tag: SubjectTag, jti: &TokenId) -> String {
    of(tag, "j:", digest(jti).as_bytes())
}

pub(super) fn jti_digest(jti: &TokenId) -> String {
    digest(jti).to_string()
}

fn digest(jti: &TokenId) -> Digest {
    Digest::of(jti.as_str().as_bytes())
}

/// A foreign subject's "issued at or before".
pub(super) fn not_before(tag: SubjectTag) -> String {
    of(tag, "n", &[])
}

/// On a cluster: an end of this subject is not yet in the log.
pub(super) fn debt(tag: SubjectTag) -> String {
    of(tag, "z", &[])
}

/// How often something was tried.
pub(super) fn counter(name: &str) -> String {
    format!("dw:l:{name}")
}

/// Written before `WAIT`, so that it waits for this write and for all before it.
pub(super) fn nudge(tag: SubjectTag) -> String {
    of(tag, "w", &[])
}

pub(super) const LOG_NUDGE: &str = "dw:{log}:w";

/// The subject whose index this is.
pub(super) fn tag_of_index(key: &str) -> Option<SubjectTag> {
    key.strip_prefix("dw:{")?.strip_suffix("}:i")?.parse().ok()
}

pub(super) fn slot(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_subject_share_a_slot() {
        let tag = SubjectTag::of("doorward", "alice");
        let sid = SessionId::fresh(tag);
        let jti = TokenId::fresh();
        let home = slot(&index(tag));
        for key in [session(&sid), epoch(tag), denied(tag, &jti), not_before(tag), debt(tag), nudge(tag)] {
            assert_eq!(slot(&key), home, "{key}");
        }
        assert_eq!((slot(BEGAN), slot(MARK)), (slot(LOG), slot(LOG)));
        assert_eq!(tag_of_index(&index(tag)), Some(tag));
    }
}
