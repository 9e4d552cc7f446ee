//! Changes while running: SIGHUP, a changed configuration file, a changed key directory. All or nothing: where anything
//! can't be used, the log says what, and all that ran before goes on (SEC-P14).

use std::time::Duration;

use anyhow::{Context, Result};

use crate::app::running::Reloads;
use crate::app::session_plane::trusted_callers;
use crate::audit::{self, About, Event};
use crate::check::headers::HeaderPlan;
use crate::check::policy::Policy;
use crate::config::change::needing_restart;
use crate::config::{self, Config, Loaded, Watch};
use crate::logging;
use crate::oauth::clients::Clients;

pub(super) struct Reloading {
    /// What was there at the start: what needs a restart is still as it says.
    started: Config,
    loaded: Loaded,
    watch: Watch,
}

impl Reloading {
    pub(super) fn new(loaded: Loaded) -> Self {
        let watch = Watch::new(loaded.watched.clone());
        Self { started: loaded.config.clone(), loaded, watch }
    }

    /// Returns when a file that matters has changed.
    pub(super) async fn changed(&mut self) {
        self.watch.changed().await;
    }

    /// How long to serve on after SIGTERM: the start's word, as with all that needs a restart.
    pub(super) fn delay(&self) -> Duration {
        self.started.shutdown.delay.0
    }

    pub(super) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Takes over what has changed: rules, headers, keys, trusted callers, OAuth clients, limits, the log level. The rest asks for a restart.
    pub(super) async fn apply(&mut self, to: &Reloads) {
        let outcome = match self.try_apply(to).await {
            Ok(()) => "reloaded",
            Err(failure) => {
                // What a terminal shows on two lines, the log has on one.
                let why = format!("{failure:#}").replace("\n    fix: ", "; ").replace('\n', "; ");
                tracing::error!("the changed configuration is not used; what was loaded before goes on: {why}");
                "refused"
            }
        };
        audit::record(Event::ConfigChange, About { outcome, ..About::default() });
    }

    async fn try_apply(&mut self, to: &Reloads) -> Result<()> {
        let fresh = config::reload(&self.loaded)?;
        let config = &fresh.config;
        let policy = Policy::compile(&config.check.rules, to.dev).context("check.rules")?;
        let plan = HeaderPlan::new(&config.check.headers).context("check.headers")?;
        if let Some(plane) = &to.session_plane {
            let callers = trusted_callers(config, plane.address, to.dev).context("auth.trusted_login")?;
            if let Some(warning) = callers.warning() {
                tracing::warn!("{warning}");
            }
            let clients = Clients::new(&config.clients)?;
            // The one step that can still fail comes before those that cannot.
            plane.keys.reload(config).await?;
            plane.desk.callers.store(callers.into());
            plane.limits.reload(config.limits.clone());
            if let Some(oauth) = &plane.desk.oauth {
                oauth.reload(clients);
            }
        }
        to.checker.reload(policy, plan);
        logging::set_level(config.logging.level);
        for notice in &fresh.notices {
            tracing::warn!(key = %notice.key, "{notice}");
        }
        for key in needing_restart(&self.started, config) {
            tracing::warn!(%key, "changed, but not in effect: it takes a restart");
        }
        self.watch.follow(fresh.watched.clone());
        self.loaded = fresh;
        Ok(())
    }
}
