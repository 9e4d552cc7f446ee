//! The key ring in a running process: read at start, read again when its directory changes, told to all who use it.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::audit::{self, About, Event};
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::state::{Entry, Hears, Sessions};
use crate::token::jwt::{Signer, Verifier};
use crate::token::keys::{KeyRing, RingRules};

/// Who uses the ring.
pub(super) struct Keys {
    pub(super) signer: Arc<Signer>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) hears: Arc<dyn Hears>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
}

impl Keys {
    /// Reads the directory again. A key that is gone dies at once here, and is announced to every checker (SEC-K3).
    ///
    /// # Errors
    /// When the directory can't be used as it is; the ring before stays.
    pub(super) async fn reload(&self, config: &Config) -> Result<()> {
        let ring = KeyRing::load(&config.keys, RingRules::of(config.auth.access_lifetime.0)).context("keys.dir")?;
        let (before, after) = (self.kids(&self.signer.ring()), self.kids(&ring));
        let ring = Arc::new(ring);
        self.verifier.replace_ring(&ring);
        self.signer.replace(ring);
        self.show();
        for kid in before.difference(&after) {
            self.verifier.remove_key(kid);
            let entry = Entry::Key(kid.clone());
            self.hears.hear(&entry);
            audit::record(Event::KeyChange, About { outcome: "removed", ..About::default() });
            self.sessions.announce(&entry).await.context("announcing the removed key")?;
        }
        if after.difference(&before).next().is_some() {
            audit::record(Event::KeyChange, About { outcome: "added", ..About::default() });
        }
        Ok(())
    }

    /// States follow from time alone, so this is called now and then too.
    pub(super) fn show(&self) {
        let keys = self.signer.ring().keys(self.clock.now());
        self.metrics.show_keys(keys.iter().map(|key| (key.kid.as_str(), key.state.as_str())));
    }

    fn kids(&self, ring: &KeyRing) -> BTreeSet<String> {
        ring.keys(self.clock.now()).into_iter().map(|key| key.kid).collect()
    }
}
