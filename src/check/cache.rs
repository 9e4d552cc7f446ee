//! The identity cache: moka over verified tokens, and the cells through which a revocation ends them in one step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Size, Span};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Identities at the most.
    pub max_entries: u64,
    /// Bytes at the most, all identities together.
    pub max_bytes: Size,
    /// How long ago the revocation log may last have been read for a hit to be answered from memory: the longest a
    /// revocation goes unseen.
    pub max_staleness: Span,
    /// The same while the token store can't be reached; 0 answers 503 at once.
    pub max_staleness_on_error: Span,
    /// How often a session's activity is written to the store.
    pub activity_interval: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            max_bytes: Size(128 << 20),
            max_staleness: Span::secs(5),
            max_staleness_on_error: Span::secs(30),
            activity_interval: Span::secs(30),
        }
    }
}
