//! The parts that commands work with, where they differ from those of `serve`: nothing is made that is not there, and keys
//! elsewhere are waited for.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::app::parts::{Store, own_keys_elsewhere, own_profile, ring_rules};
use crate::app::session_plane;
use crate::clock::SystemClock;
use crate::config::{Config, Role};
use crate::database;
use crate::issue::record::Records;
use crate::issue::{Call, Issuer, Parts};
use crate::limit::Limits;
use crate::logging;
use crate::metrics::Metrics;
use crate::state::Sessions;
use crate::token::jwt::{OwnKeys, Signer, Verifier};
use crate::token::keys::KeyRing;
use crate::token::refresh::RefreshToken;
use crate::users::Users;
use crate::users::sql::SqlUsers;

/// The key ring as it stands; a command makes no keys by the way.
pub(super) fn ring(config: &Config) -> anyhow::Result<Arc<KeyRing>> {
    Ok(Arc::new(KeyRing::load(&config.keys, ring_rules(config))?))
}

/// The token store, as the configuration names it. Never makes a database: a command in the wrong folder would then find
/// an empty one, and say that all is well.
pub(super) async fn store(config: &Config) -> anyhow::Result<Arc<dyn Sessions>> {
    // Where it is Redis, as a checker has it: without the users' database, which would be made by the way.
    let role = if config.state.url == "sql" { Role::Issuer } else { Role::Check };
    if role == Role::Issuer {
        must_exist(&config.users.url)?;
    }
    let (clock, metrics) = (Arc::new(SystemClock), Arc::new(Metrics::new()));
    Ok(Store::open(config, role, clock, metrics).await?.sessions)
}

/// The users' database; it is not made by the way either.
pub(super) async fn users(config: &Config) -> anyhow::Result<Arc<SqlUsers>> {
    must_exist(&config.users.url)?;
    let database = database::open(&config.users, Arc::new(SystemClock)).await.context("users.url")?;
    Ok(Arc::new(SqlUsers::new(database)))
}

/// Refuses a database that no other process can see, or that is not there.
pub(super) fn must_exist(url: &str) -> anyhow::Result<()> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        bail!("users.url: this database is in the memory of the running process; no command can reach it there");
    }
    match sqlite_file(url).filter(|file| !file.exists()) {
        Some(file) => {
            bail!("{} does not exist; name the configuration with -c, or run `doorward serve` first", file.display())
        }
        None => Ok(()),
    }
}

/// The file of `sqlite:FILE`.
pub(super) fn sqlite_file(url: &str) -> Option<&Path> {
    let rest = url.strip_prefix("sqlite:")?;
    let file = rest.strip_prefix("//").unwrap_or(rest).split('?').next().unwrap_or(rest);
    Some(Path::new(file))
}

/// A verifier, and why it does not know our own keys where it does not.
pub(super) struct Verification {
    pub verifier: Arc<Verifier>,
    pub own_problem: Option<String>,
}

/// Verifies own tokens, by the ring where there is one and by `check.jwks` otherwise, and those of the other issuers.
/// Keys elsewhere are fetched now, for at most `budget`.
pub(super) async fn verification(config: &Config, budget: Duration) -> anyhow::Result<Verification> {
    let check = &config.check;
    let (keys, own_problem) = if !check.jwks.is_empty() || !check.hs256_secret_file.is_empty() {
        (own_keys_elsewhere(config), None)
    } else {
        match ring(config) {
            Ok(ring) => (OwnKeys::Ring(ring), None),
            // The other issuers' tokens can be verified all the same: there are then none of our own.
            Err(error) if !config.issuers.is_empty() => {
                let nothing = OwnKeys::Remote { jwks: String::new(), hs256_secret_file: String::new() };
                (nothing, Some(format!("{error:#}")))
            }
            Err(error) => return Err(error),
        }
    };
    let verifier = Arc::new(Verifier::new(own_profile(config), keys, &config.issuers)?);
    fetch_keys(&verifier, budget).await;
    Ok(Verification { verifier, own_problem })
}

async fn fetch_keys(verifier: &Arc<Verifier>, budget: Duration) {
    let stop = CancellationToken::new();
    let fetching = tokio::spawn({
        let (verifier, stop) = (Arc::clone(verifier), stop.clone());
        async move { verifier.keep_keys_fresh(stop).await }
    });
    let end = Instant::now() + budget;
    let settled = || verifier.sources().iter().all(|source| source.keys > 0 || source.problem.is_some());
    while !settled() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    let _ = fetching.await;
}

/// An issuer over the store and the keys, as `serve` has one.
pub(super) async fn issuer(config: &Config, sessions: Arc<dyn Sessions>) -> anyhow::Result<Issuer> {
    issuer_with(config, sessions, None, Records::default())
}

fn issuer_with(
    config: &Config,
    sessions: Arc<dyn Sessions>,
    users: Option<Arc<SqlUsers>>,
    records: Records,
) -> anyhow::Result<Issuer> {
    let ring = ring(config)?;
    let own = OwnKeys::Ring(Arc::clone(&ring));
    Ok(Issuer::new(Parts {
        cores: config.threads(),
        sessions,
        users: users.map(|users| users as Arc<dyn Users>),
        records,
        verifier: Arc::new(Verifier::new(own_profile(config), own, &[])?),
        refresh_key: RefreshToken::key(ring.secret()),
        signer: Arc::new(Signer::new(ring)),
        clock: Arc::new(SystemClock),
        // No check plane runs in this process: those elsewhere hear of it by the revocation log.
        hears: None,
        metrics: Arc::new(Metrics::new()),
        settings: config.auth.clone(),
    }))
}

/// What a command leaves in the users' database beside its log, for administrators to read.
pub(super) struct Trail {
    pub records: Records,
    writing: JoinHandle<()>,
    end: CancellationToken,
}

impl Trail {
    pub(super) fn begin(users: &Arc<SqlUsers>) -> Self {
        let (records, writer) = Records::new(users.clone(), users.clone());
        let end = CancellationToken::new();
        Self { records, writing: tokio::spawn(writer.run(end.clone())), end }
    }

    /// Waits until what happened is written.
    pub(super) async fn close(self) {
        self.end.cancel();
        let _ = self.writing.await;
    }
}

/// Accounts as `serve` has them, for who stands at the machine; nothing is limited here.
pub(super) struct Console {
    pub accounts: Accounts,
    trail: Trail,
}

impl Console {
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        must_exist(&config.users.url)?;
        let (clock, metrics) = (Arc::new(SystemClock), Arc::new(Metrics::new()));
        let store = Store::open(config, Role::Issuer, clock.clone(), Arc::clone(&metrics)).await?;
        let users = store.users.clone().context("users.url: no database is used")?;
        let trail = Trail::begin(&users);
        let issuer = Arc::new(issuer_with(config, store.sessions, Some(users.clone()), trail.records.clone())?);
        let limits = Arc::new(Limits::new(config.limits.clone(), store.counters, clock, metrics));
        Ok(Self { accounts: session_plane::accounts(config, &issuer, &users, &limits)?, trail })
    }

    /// Waits until what happened is written to the audit tail.
    pub(super) async fn close(self) {
        self.trail.close().await;
    }
}

/// Who acts, for the audit log.
pub(super) fn call() -> Call {
    Call { request_id: "command-line".into(), ..Call::default() }
}

/// Starts the log for a command that changes something: its audit events go to standard error (SEC-G3).
pub(super) fn log_audit(config: &Config) -> anyhow::Result<logging::Guard> {
    let settings =
        logging::Settings { level: logging::Level::Warn, otlp_endpoint: String::new(), ..config.logging.clone() };
    Ok(logging::init(&settings)?)
}
