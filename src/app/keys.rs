//! The key ring in a running process: read at start, read again when its directory changes, told to all who use it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;

use crate::audit::{self, About, Event};
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::secret::{Secret, constant_time_eq};
use crate::state::{Entry, Hears, Sessions, Written};
use crate::token::jwt::{Signer, Verifier};
use crate::token::keys::{KeyRing, RingRules};

/// `key revoke` tells of the removal before the file goes, so the directory is looked at until it has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: u32 = 50;

/// Who uses the ring.
pub(super) struct Keys {
    pub(super) signer: Arc<Signer>,
    /// The server's secret at the start, which refresh tokens are made with until the end.
    pub(super) secret: Secret,
    pub(super) verifier: Arc<Verifier>,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) hears: Arc<dyn Hears>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    /// Removed keys of which the checkers could not be told yet.
    pub(super) unannounced: Mutex<BTreeSet<String>>,
}

impl Keys {
    /// Reads the directory again. A key that is gone dies at once here, and is announced to every checker (SEC-K3).
    ///
    /// # Errors
    /// When the directory can't be used as it is; the ring before stays.
    pub(super) async fn reload(&self, config: &Config) -> Result<()> {
        let rules = RingRules::of(config.auth.access_lifetime.0);
        let ring = KeyRing::load(&config.keys, rules).and_then(|ring| ring.signing(self.clock.now()));
        let ring = Arc::new(ring.context("keys.dir")?);
        if !constant_time_eq(ring.secret().expose(), self.secret.expose()) {
            let key = "keys.secret_file";
            tracing::warn!(
                key,
                "changed, but not in effect: it takes a restart, after which every session must sign in again"
            );
        }
        let (before, after) = (self.kids(&self.signer.ring()), self.kids(&ring));
        self.verifier.replace_ring(&ring);
        self.signer.replace(ring);
        self.show();
        for kid in before.difference(&after) {
            self.verifier.remove_key(kid);
            self.hears.hear(&Entry::Key(kid.clone()));
            self.owed().insert(kid.clone());
            record(kid, "removed");
        }
        after.difference(&before).for_each(|kid| record(kid, "added"));
        self.announce().await;
        Ok(())
    }

    /// Tells the checkers of removed keys; what can't be told now is told later.
    pub(super) async fn announce(&self) {
        let owed: Vec<String> = self.owed().iter().cloned().collect();
        for kid in owed {
            match self.sessions.announce(&Entry::Key(kid.clone())).await.and_then(Written::sure) {
                Ok(()) => {
                    self.owed().remove(&kid);
                }
                Err(error) => tracing::warn!(%kid, %error, "the checkers can't be told of the removed key yet"),
            }
        }
    }

    /// Changes when another process removed a key.
    pub(super) fn removals(&self) -> watch::Receiver<()> {
        self.verifier.removals()
    }

    /// After a removal by another process: takes over the ring without the key as soon as it is there, so that signing
    /// goes on with its successor.
    pub(super) async fn follow_removal(&self, config: &Config) {
        for _ in 0..LOOKS {
            let stale = |kid: &String| self.verifier.has_removed(kid);
            if !self.kids(&self.signer.ring()).iter().any(stale) {
                return;
            }
            if let Err(error) = self.reload(config).await {
                tracing::warn!("the key directory can't be used: {error:#}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// States follow from time alone, so this is called now and then too.
    pub(super) fn show(&self) {
        let keys = self.signer.ring().keys(self.clock.now());
        self.metrics.show_keys(keys.iter().map(|key| (key.kid.as_str(), key.state.as_str())));
    }

    fn kids(&self, ring: &KeyRing) -> BTreeSet<String> {
        ring.keys(self.clock.now()).into_iter().map(|key| key.kid).collect()
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.unannounced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(kid: &str, outcome: &str) {
    audit::record(Event::KeyChange, About { subject: Some(kid), outcome, ..About::default() });
}
