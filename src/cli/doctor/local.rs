//! What can be told on this machine: keys, token state, users, clock, listeners.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::http1::{self, Request};
use super::super::parts;
use super::redis;
use super::report::Report;
use crate::app::parts::ring_rules;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{Config, Role};
use crate::database::{self, DatabaseError, Standing};
use crate::state::Lookups;
use crate::token::keys::{KeyError, KeyRing, KeyState};

/// A moment before this version was written: a clock that shows less has lost its time.
const LONG_AGO: Timestamp = Timestamp(1_750_000_000);
const KEYS_WITHIN: Duration = Duration::from_secs(5);

/// `service`: whether the service itself is to be asked, too.
pub(super) async fn examine(config: &Config, role: Role, pre: bool, service: bool, report: &mut Report) {
    if role == Role::Check {
        verification_keys(config, report).await;
    } else {
        signing_keys(config, pre, report);
        if !config.issuers.is_empty() {
            verification_keys(config, report).await;
        }
    }
    let now = SystemClock.now();
    let users_fine = role == Role::Check || users(config, report).await;
    if config.state.url == "sql" && !users_fine {
        report.unknown("state", "it lies in the users' database", "");
    } else {
        state(config, pre, report).await;
    }
    if now < LONG_AGO {
        report.bad("clock", format!("this machine's clock shows {now}, long ago"), "set it, and run chrony or ntpd");
    }
    if pre {
        ports(config, role, report).await;
    } else if service {
        doors(config, role, report).await;
    }
}

fn signing_keys(config: &Config, pre: bool, report: &mut Report) {
    let dir = &config.keys.dir;
    let now = SystemClock.now();
    match KeyRing::load(&config.keys, ring_rules(config)) {
        Ok(ring) => {
            let keys = ring.keys(now);
            match keys.iter().find(|key| key.state == KeyState::Active) {
                Some(active) => {
                    let count = keys.len();
                    report.good("keys", format!("{count} in {dir}; {} signs, {}", active.kid, active.algorithm));
                    if active.algorithm != config.keys.algorithm {
                        let what =
                            format!("keys.algorithm is {}, but {} signs", config.keys.algorithm, active.algorithm);
                        report.warn("keys", what, "run: doorward key rotate");
                    }
                }
                None => report.bad("keys", format!("none in {dir} signs now"), "run: doorward key rotate"),
            }
        }
        Err(error @ (KeyError::NoKey { .. } | KeyError::Unreadable { .. }))
            if pre && !std::path::Path::new(dir).exists() =>
        {
            report.unknown("keys", format!("{dir} is not there yet; the first start makes it"), "");
            drop(error);
        }
        Err(error) => {
            let text = error.to_string();
            // The room's own words end with the fix.
            let (what, fix) =
                text.rsplit_once("; ").unwrap_or((&text, "start doorward once, or run: doorward key generate"));
            report.bad("keys", what, fix);
        }
    }
}

async fn verification_keys(config: &Config, report: &mut Report) {
    let made = match parts::verification(config, KEYS_WITHIN).await {
        Ok(made) => made,
        Err(error) => return report.bad("keys", format!("{error:#}"), "mend check.jwks or issuers"),
    };
    for source in made.verifier.sources() {
        let own = *source.issuer == config.auth.issuer;
        match source.problem {
            Some(problem) => {
                let key = if own { "check.jwks" } else { "issuers" };
                let what = format!("those of {} can't be had: {problem}", source.issuer);
                report.bad("keys", what, format!("see that {key} names a JWK Set that this machine can reach"));
            }
            None => report.good("keys", format!("{} of {} are known", source.keys, source.issuer)),
        }
    }
}

async fn state(config: &Config, pre: bool, report: &mut Report) {
    let fix = match config.state.url.as_str() {
        "sql" => "see that users.url names a database that runs, and that this machine may reach and use",
        _ => "see that state.url names a store that runs, and that this machine may reach and use",
    };
    if pre && config.state.url == "sql" && parts::sqlite_file(&config.users.url).is_some_and(|file| !file.exists()) {
        return report.unknown("state", "the database is not there yet; the first start makes it", "");
    }
    let store = match parts::store(config).await {
        Ok(store) => store,
        Err(error) => return report.bad("state", format!("{error:#}"), fix),
    };
    let asked = Instant::now();
    let health = match Lookups::health(store.as_ref()).await {
        Ok(health) => health,
        Err(error) => {
            let what = error.to_string();
            let fix = redis::fix(&config.state.url, &what).unwrap_or(fix);
            return report.bad("state", what, fix);
        }
    };
    report.good("state", format!("answers in {:.1} ms", asked.elapsed().as_secs_f64() * 1000.0));
    for warning in health.warnings {
        let (what, fix) = warning.split_once(": ").unwrap_or((&warning, ""));
        report.warn("state", what, fix);
    }
    let skew = health.clock_skew;
    let words = format!("the token store's clock differs by {:.3} s", skew.abs());
    let fix = "run chrony or ntpd on both machines";
    match skew.abs() {
        ..1.0 => report.good("clock", words),
        ..5.0 => report.warn("clock", words, fix),
        _ => report.bad("clock", words, fix),
    }
}

/// The users' database, as far as it is there: the first start makes a file. Whether nothing is wrong with it.
async fn users(config: &Config, report: &mut Report) -> bool {
    if parts::must_exist(&config.users.url).is_err() {
        return true;
    }
    let asked = Instant::now();
    let looked = async {
        let database = database::connect(&config.users, Arc::new(SystemClock)).await?;
        let standing = database::standing(&database).await?;
        Ok::<_, DatabaseError>((database.engine().name(), standing))
    };
    match looked.await {
        Ok((engine, Standing { found, known })) if found == known => {
            let took = asked.elapsed().as_secs_f64() * 1000.0;
            report.good("users", format!("{engine} answers in {took:.1} ms; its schema is up to date"));
            return true;
        }
        Ok((engine, Standing { found, known })) if found < known && config.users.migrate => {
            report.good("users", format!("{engine}: the next start brings its schema from {found} to {known}"));
            // To look at token state there would bring it now.
            return config.state.url != "sql";
        }
        Ok((engine, Standing { found, known })) if found < known => {
            let what = format!("{engine}: its schema ({found}) is older than this doorward ({known})");
            report.bad("users", what, "run: doorward db migrate");
        }
        Ok((engine, Standing { found, known })) => {
            let what = format!("{engine}: a newer doorward made its schema ({found}; known here {known})");
            report.bad("users", what, "run that version");
        }
        Err(error) => {
            let (what, fix) = error.told();
            report.bad("users", what, fix);
        }
    }
    false
}

fn listeners(config: &Config, role: Role) -> Vec<(&'static str, &str)> {
    let listen = &config.listen;
    let public = (role != Role::Check).then_some(("listen.public", listen.public.as_str()));
    let check = (role != Role::Issuer).then_some(("listen.check", listen.check.as_str()));
    public.into_iter().chain(check).chain([("listen.ops", listen.ops.as_str())]).collect()
}

/// Before the start: are the addresses free?
async fn ports(config: &Config, role: Role, report: &mut Report) {
    for (key, address) in listeners(config, role) {
        if address.starts_with("unix:") {
            continue;
        }
        match tokio::net::TcpListener::bind(address).await {
            Ok(_) => report.good("service", format!("{key} {address} is free")),
            Err(error) => {
                let fix = format!("stop what listens there, or set {key}");
                report.bad("service", format!("{key} {address} can't be bound: {error}"), fix);
            }
        }
    }
}

/// Beside the running service: does each door answer?
async fn doors(config: &Config, role: Role, report: &mut Report) {
    for (key, address) in listeners(config, role) {
        let path = if key == "listen.public" { "/ping" } else { "/readyz" };
        let request = Request::get(path).within(Duration::from_secs(2));
        match http1::send(&http1::reachable(address), &request).await {
            Ok(reply) if reply.status == 200 => report.good("service", format!("{key} {address} answers")),
            Ok(reply) => {
                let what = format!("{key} {address}{path} answers {}: {}", reply.status, reply.body.trim());
                report.bad("service", what, "see its log");
            }
            Err(error) => {
                report.bad("service", format!("{key}: {error}"), "start it: doorward serve; before that, use --pre");
            }
        }
    }
}
