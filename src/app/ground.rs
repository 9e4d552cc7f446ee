//! What every part of a running process stands on: clock, metrics, health, and the signals of its end. `running` makes it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::gate::GateSettings;
use crate::health::Health;
use crate::listen::drain::Drain;
use crate::listen::peer::TrustedProxies;
use crate::metrics::Metrics;

/// What every part stands on.
pub(super) struct Ground {
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub clock: Arc<dyn Clock>,
    pub proxies: TrustedProxies,
    pub drain: Drain,
    pub rest: CancellationToken,
}

impl Ground {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            metrics: Arc::new(Metrics::new()),
            health: Arc::new(Health::new()),
            clock: Arc::new(SystemClock),
            proxies: TrustedProxies::new(&config.listen.trusted_proxies),
            drain: Drain::new(config.shutdown.finish.0),
            rest: CancellationToken::new(),
        }
    }

    pub(super) fn gate_settings(&self, config: &Config) -> GateSettings {
        GateSettings {
            trusted_proxies: self.proxies.clone(),
            cookie: config.check.cookie.clone(),
            sign_in_url: config.check.sign_in_url.clone(),
        }
    }
}
