//! The keys that verify one issuer's tokens, by `kid`. Immutable: a refresh makes a new set and swaps it in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::token::keys::verification::VerificationKey;

#[derive(Debug, Default)]
pub struct KeySet {
    named: HashMap<Box<str>, Entry>,
    unnamed: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    kid: Option<Arc<str>>,
    key: VerificationKey,
    /// The key verifies up to here; `None`: as long as it is in the set.
    until: Option<Timestamp>,
}

/// A key that may have signed a token.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub key: &'a VerificationKey,
    pub kid: Option<&'a Arc<str>>,
}

/// The same `kid` was given to two keys (SEC-T3, K7).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key id `{0}` stands for two keys")]
pub struct DoubledKid(pub String);

impl KeySet {
    /// A key without `kid` may have signed any token whose `kid` names no other key.
    ///
    /// # Errors
    /// [`DoubledKid`], and the set stays as it was.
    pub fn insert(
        &mut self,
        kid: Option<&str>,
        key: VerificationKey,
        until: Option<Timestamp>,
    ) -> Result<(), DoubledKid> {
        let entry = Entry { kid: kid.map(Arc::from), key, until };
        match kid {
            None => self.unnamed.push(entry),
            Some(kid) if self.named.contains_key(kid) => return Err(DoubledKid(kid.to_owned())),
            Some(kid) => {
                self.named.insert(kid.into(), entry);
            }
        }
        Ok(())
    }

    /// The keys that may have signed a token with this `kid` (only ever a map key, SEC-T5) at this time.
    pub fn candidates(&self, kid: Option<&str>, now: Timestamp) -> impl Iterator<Item = Candidate<'_>> {
        let by_name = kid.and_then(|kid| self.named.get(kid));
        let all_named = kid.is_none().then(|| self.named.values()).into_iter().flatten();
        let unnamed = if by_name.is_some() { &[] } else { self.unnamed.as_slice() };
        by_name
            .into_iter()
            .chain(all_named)
            .chain(unnamed)
            .filter(move |entry| entry.until.is_none_or(|until| now < until))
            .map(|entry| Candidate { key: &entry.key, kid: entry.kid.as_ref() })
    }

    pub fn knows(&self, kid: &str) -> bool {
        self.named.contains_key(kid)
    }

    pub fn len(&self) -> usize {
        self.named.len() + self.unnamed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
