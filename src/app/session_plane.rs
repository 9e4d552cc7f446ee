//! The session plane of one process: the issuer, accounts, the desk that serves them, and what works behind them.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use tokio::task::JoinSet;

use crate::accounts::first_admin::FirstAdmin;
use crate::accounts::retention::Retaining;
use crate::accounts::{self, Accounts};
use crate::app::ground::Ground;
use crate::app::keys::Keys;
use crate::app::parts::Store;
use crate::authn::password::Passwords;
use crate::check::checker::Checker;
use crate::config::Config;
use crate::issue::record::Records;
use crate::issue::trusted::TrustedCallers;
use crate::issue::{self, Issuer};
use crate::limit::Limits;
use crate::oauth::clients::Clients;
use crate::oauth::{self, Names, OAuth};
use crate::state::Hears;
use crate::token::jwt::{Signer, Verifier};
use crate::token::keys::KeyRing;
use crate::token::refresh::RefreshToken;
use crate::users::Users;
use crate::users::sql::SqlUsers;
use crate::web::Desk;

pub(super) struct SessionPlane {
    pub desk: Arc<Desk>,
    pub limits: Arc<Limits>,
    pub keys: Keys,
    /// Where it listens, for the rule of who may log users in (SEC-K9).
    pub address: Option<IpAddr>,
}

/// What it is made of.
pub(super) struct Making<'a> {
    pub config: &'a Config,
    pub ground: &'a Ground,
    pub store: &'a Store,
    pub verifier: Arc<Verifier>,
    pub checker: &'a Arc<Checker>,
    /// Who of the check plane hears of ends, and of what is minted.
    pub hears: Arc<dyn Hears>,
    pub ring: Arc<KeyRing>,
    pub address: Option<IpAddr>,
    pub dev: bool,
    /// Takes up what works on behind the doors.
    pub working: &'a mut JoinSet<()>,
}

impl SessionPlane {
    pub(super) async fn make(making: Making<'_>) -> Result<Self> {
        let Making { config, ground, store, verifier, checker, hears, ring, address, dev, working } = making;
        let callers = trusted_callers(config, address, dev)?;
        let users = store.users.clone().context("users.url: a session plane needs the users' database")?;
        let (records, writer) = Records::new(users.clone(), users.clone());
        working.spawn(writer.run(ground.rest.clone()));
        let (secret, refresh_key) = (ring.secret().clone(), RefreshToken::key(ring.secret()));
        let signer = Arc::new(Signer::new(ring).heeding(verifier.clone()));
        let issuer = Arc::new(Issuer::new(issue::Parts {
            cores: config.threads(),
            sessions: Arc::clone(&store.sessions),
            users: Some(users.clone()),
            records,
            signer: signer.clone(),
            verifier: verifier.clone(),
            refresh_key,
            clock: Arc::clone(&ground.clock),
            hears: Some(hears),
            metrics: Arc::clone(&ground.metrics),
            settings: config.auth.clone(),
        }));
        let (counters, clock) = (Arc::clone(&store.counters), Arc::clone(&ground.clock));
        let limits = Arc::new(Limits::new(config.limits.clone(), counters, clock, Arc::clone(&ground.metrics)));
        let accounts = accounts(config, &issuer, &users, &limits)?;
        let oauth = OAuth::new(
            oauth::Parts {
                issuer: Arc::clone(&issuer),
                accounts: accounts.clone(),
                limits: Arc::clone(&limits),
                counters: Arc::clone(&store.counters),
                verifier: verifier.clone(),
                clock: Arc::clone(&ground.clock),
                names: Names::new(&config.auth.issuer, &config.public_url),
            },
            Clients::new(&config.clients)?,
        );
        let retaining = Retaining::new(users.clone(), users.clone(), users.clone(), config.retention.clone());
        let retaining = retaining.heeding(Arc::clone(&store.sessions));
        working.spawn(retaining.run(ground.rest.clone()));
        let (sessions, stop) = (Arc::clone(&store.sessions), ground.rest.clone());
        working.spawn(async move { sessions.guard(stop).await });

        let (published, clock) = (signer.clone(), Arc::clone(&ground.clock));
        let desk = Arc::new(Desk {
            issuer,
            accounts: Some(accounts),
            oauth: Some(Arc::new(oauth)),
            first_admin: first_admin(config, &*users).await,
            limits: Some(Arc::clone(&limits)),
            authenticates: checker.clone(),
            keys: Arc::new(move || published.ring().jwks(clock.now())),
            callers: ArcSwap::from_pointee(callers),
            proxies: ground.proxies.clone(),
            graphql: config.graphql.enabled,
            dev,
        });
        let keys = Keys {
            signer,
            secret,
            verifier,
            sessions: Arc::clone(&store.sessions),
            hears: checker.clone(),
            clock: Arc::clone(&ground.clock),
            metrics: Arc::clone(&ground.metrics),
            unannounced: Mutex::default(),
        };
        keys.show();
        Ok(Self { desk, limits, keys, address })
    }
}

/// Accounts over these users; `serve` and the commands of `cli` have the same ones.
pub(crate) fn accounts(
    config: &Config,
    issuer: &Arc<Issuer>,
    users: &Arc<SqlUsers>,
    limits: &Arc<Limits>,
) -> Result<Accounts> {
    Ok(Accounts::new(accounts::Parts {
        issuer: Arc::clone(issuer),
        users: users.clone(),
        history: users.clone(),
        tail: users.clone(),
        passwords: Passwords::new(&config.auth.passwords).context("auth.passwords")?,
        limits: Arc::clone(limits),
        registration: config.auth.registration,
    }))
}

/// Says where the one-time secret lies while nobody is administrator; a database that is away now is asked at the next start.
async fn first_admin(config: &Config, users: &dyn Users) -> FirstAdmin {
    let way = FirstAdmin::in_folder(Path::new(&config.keys.dir));
    match way.prepare(users).await {
        Ok(Some(file)) => {
            let file = file.display();
            tracing::info!(%file, "nobody is administrator yet; who reads this file can make the first: POST /admin/first");
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "whether there is an administrator is not known"),
    }
    way
}

/// Who may log users in; refuses to open that to the world (SEC-K9).
pub(super) fn trusted_callers(config: &Config, address: Option<IpAddr>, dev: bool) -> Result<TrustedCallers> {
    let callers = TrustedCallers::load(&config.auth.trusted_login, dev)?;
    callers.fit_to_serve_on(address)?;
    Ok(callers)
}
