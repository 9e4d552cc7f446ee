//! A running doorward: the parts of its role behind their open doors, and the way they end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::ServeOptions;
use crate::app::ground::Ground;
use crate::app::parts::{self, Store};
use crate::app::session_plane::{Making, SessionPlane};
use crate::check::activity::Activity;
use crate::check::checker::{self, Checker};
use crate::check::follower::Follower;
use crate::check::headers::HeaderPlan;
use crate::check::minted::EndsOnly;
use crate::check::policy::Policy;
use crate::config::{Config, Role};
use crate::gate::Gate;
use crate::grpc;
use crate::health::Health;
use crate::listen::address::{Address, Listener};
use crate::listen::cores::Cores;
use crate::listen::drain::Drain;
use crate::listen::limits::Limits;
use crate::listen::peer::Peer;
use crate::listen::routed;
use crate::listen::serve::{Drained, serve, serve_on};
use crate::metrics::Metrics;
use crate::ops;
use crate::state::{Hears, Lookups};
use crate::token::jwt::{OwnKeys, Verifier};
use crate::token::keys::KeyRing;
use crate::token::remote::source::SourceView;
use crate::web;

const HEALTH_INTERVAL: Duration = Duration::from_secs(30);

/// Where the doors are, as bound; a role that does not open one has none.
#[derive(Clone, Debug)]
pub struct Doors {
    pub public: Option<Address>,
    pub check: Option<Address>,
    pub ops: Address,
}

/// One process at work.
pub struct Running {
    doors: Doors,
    health: Arc<Health>,
    drain: Drain,
    /// Ends what works behind the doors; told only when they are closed.
    rest: CancellationToken,
    serving: JoinSet<()>,
    working: JoinSet<()>,
    /// What a reload touches.
    pub(super) reloads: Reloads,
}

/// The parts that take over changes while running.
pub(super) struct Reloads {
    pub checker: Arc<Checker>,
    /// The session plane's; a checker has none.
    pub session_plane: Option<SessionPlane>,
    pub dev: bool,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("doors", &self.doors).finish_non_exhaustive()
    }
}

impl Running {
    /// # Errors
    /// When a part can't be made of the configuration, or a listener can't be bound.
    pub async fn start(config: &Config, options: ServeOptions) -> Result<Self> {
        let ServeOptions { role, dev } = options;
        // Before anything works, so that a process that says it is ready has all its doors.
        let bound = Bound::of(config, role).await?;
        let doors = bound.doors();
        let ground = Ground::new(config);
        let Ground { metrics, health, clock, drain, rest, .. } = &ground;
        let store = Store::open(config, role, Arc::clone(clock), Arc::clone(metrics)).await?;
        let ring = (role != Role::Check).then(|| {
            KeyRing::load_or_create(&config.keys, parts::ring_rules(config), clock.now())
                .context("keys.dir")
                .map(Arc::new)
        });
        let ring = ring.transpose()?;
        let verifier = Arc::new(verifier(config, ring.as_ref())?);
        let checker = Arc::new(Checker::new(checker::Parts {
            verifier: verifier.clone(),
            store: Arc::clone(&store.lookups),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
            settings: config.check.cache.clone(),
            policy: Policy::compile(&config.check.rules, dev).context("check.rules")?,
            plan: HeaderPlan::new(&config.check.headers).context("check.headers")?,
        }));
        watch_over(health, &checker, &verifier);

        let mut working = JoinSet::new();
        let cache = &config.check.cache;
        let follower = Follower::new(checker.clone(), Arc::clone(metrics), cache.max_staleness.0);
        working.spawn(follower.run(rest.clone()));
        let activity = Activity::new(checker.clone(), config.auth.auto_logout.0, cache.activity_interval.0);
        working.spawn(activity.run(rest.clone()));
        let (keeper, stop) = (verifier.clone(), rest.clone());
        working.spawn(async move { keeper.keep_keys_fresh(stop).await });
        working.spawn(look_after_store(Arc::clone(&store.lookups), health.clone(), Arc::clone(metrics), rest.clone()));

        let mut serving = JoinSet::new();
        let router = routed::router(ops::router(Arc::clone(metrics), health.clone()));
        serving.spawn(until_drained(serve(bound.ops, Limits::ops(), router, drain.clone())));
        if let Some(listener) = bound.check {
            let gate = Gate::new(checker.clone(), &ground.gate_settings(config), metrics, health.clone());
            let make = move |peer: &Peer| gate.on(peer);
            let cores = cores(config, role).context("threads")?;
            let drain = drain.clone();
            serving.spawn(async move {
                until_drained(serve_on(&cores, listener, Limits::check(), make, drain)).await;
            });
        }
        let mut session_plane = None;
        if let (Some(listener), Some(ring)) = (bound.public, ring) {
            let address = listener.tcp_addr().map(|addr| addr.ip());
            let hears: Arc<dyn Hears> =
                if role == Role::All { checker.clone() } else { Arc::new(EndsOnly(checker.clone())) };
            let made = SessionPlane::make(Making {
                config,
                ground: &ground,
                store: &store,
                verifier,
                checker: &checker,
                hears,
                ring,
                address,
                dev,
                working: &mut working,
            })
            .await?;
            let web = web::router::router(made.desk.clone());
            let router = routed::router(grpc::beside(web, made.desk.clone(), health.clone()));
            let limits = Limits::public(ground.proxies.clone());
            serving.spawn(until_drained(serve(listener, limits, router, drain.clone())));
            session_plane = Some(made);
        }
        let reloads = Reloads { checker, session_plane, dev };
        let Ground { health, drain, rest, .. } = ground;
        Ok(Self { doors, health, drain, rest, serving, working, reloads })
    }

    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Not ready at once, serving on for `delay`, then finishing what is in flight (SEC-N2).
    pub async fn stop(mut self, delay: Duration) {
        self.health.set_draining();
        self.drain.begin(delay).await;
        while self.serving.join_next().await.is_some() {}
        // Only now, so that the last activity is written and the last revocation heard.
        self.rest.cancel();
        while self.working.join_next().await.is_some() {}
    }
}

/// Where checks are served. A sidecar has a core a worker. Beside a session plane they share its runtime, in which another
/// thread takes over the checks that wait behind a signature.
fn cores(config: &Config, role: Role) -> std::io::Result<Cores> {
    if role == Role::Check { Cores::here_and_beside(config.threads()) } else { Ok(Cores::here()) }
}

fn verifier(config: &Config, ring: Option<&Arc<KeyRing>>) -> Result<Verifier> {
    let keys = ring.map_or_else(|| parts::own_keys_elsewhere(config), |ring| OwnKeys::Ring(ring.clone()));
    Ok(Verifier::new(parts::own_profile(config), keys, &config.issuers)?)
}

/// Readiness by dependency (SEC-N1).
fn watch_over(health: &Health, checker: &Arc<Checker>, verifier: &Arc<Verifier>) {
    let keys = checker.clone();
    let known = move || keys.ready().keys.then_some(()).ok_or_else(|| "the issuer's keys are not known yet".to_owned());
    health.add("keys", Arc::new(known));
    let state = checker.clone();
    let synced = move || {
        let why = || "the revocation log was not read within the error bound".to_owned();
        state.ready().state.then_some(()).ok_or_else(why)
    };
    health.add("state", Arc::new(synced));
    let issuers = Arc::clone(verifier);
    health.observe("issuers", Arc::new(move || issuers_without_keys(&issuers)));
}

/// Another issuer's absence makes nobody unready, but its tokens are refused meanwhile.
fn issuers_without_keys(verifier: &Verifier) -> Vec<String> {
    let unknown = verifier.unknown_issuers();
    let told = verifier.sources().into_iter().filter(|source| unknown.contains(&&*source.issuer));
    told.map(|SourceView { issuer, problem, .. }| {
        let why = problem.unwrap_or_else(|| "no key came yet".into());
        format!("no key of `{issuer}` is known, so its tokens are refused: {why}")
    })
    .collect()
}

/// Asks the store now and then how it is, and tells what an operator should mend (SEC-F8, F11).
async fn look_after_store(
    store: Arc<dyn Lookups>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    rest: CancellationToken,
) {
    let mut told = Vec::new();
    loop {
        let pause = match store.health().await {
            Ok(found) => {
                metrics.store_clock_skew.set(found.clock_skew);
                if found.warnings != told {
                    found.warnings.iter().for_each(|warning| tracing::warn!("token store: {warning}"));
                    health.set_remarks("state", found.warnings.clone());
                    told = found.warnings;
                }
                HEALTH_INTERVAL
            }
            // The follower tells outages; here only to look again soon.
            Err(_) => Duration::from_secs(1),
        };
        tokio::select! {
            () = rest.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The role's listeners, bound and not serving yet: who connects now waits.
struct Bound {
    public: Option<Listener>,
    check: Option<Listener>,
    ops: Listener,
}

impl Bound {
    async fn of(config: &Config, role: Role) -> Result<Self> {
        let listen = &config.listen;
        let public = if role == Role::Check { None } else { Some(bind("listen.public", &listen.public).await?) };
        let check = if role == Role::Issuer { None } else { Some(bind("listen.check", &listen.check).await?) };
        Ok(Self { public, check, ops: bind("listen.ops", &listen.ops).await? })
    }

    fn doors(&self) -> Doors {
        let address = |listener: &Option<Listener>| listener.as_ref().map(Listener::local_addr);
        Doors { public: address(&self.public), check: address(&self.check), ops: self.ops.local_addr() }
    }
}

async fn bind(key: &str, text: &str) -> Result<Listener> {
    let listener = Listener::bind(text).await.map_err(|error| {
        let taken = error.is_taken();
        let fix =
            if taken { format!(": stop what listens there, or set {key} to another address") } else { String::new() };
        anyhow::Error::new(error).context(format!("{key}{fix}"))
    })?;
    tracing::info!(listener = key, address = %listener.local_addr(), "listening");
    Ok(listener)
}

async fn until_drained(serving: impl Future<Output = Drained>) {
    let Drained { cut } = serving.await;
    if cut > 0 {
        tracing::warn!(connections = cut, "did not finish in time and were cut");
    }
}
