//! Where token state and users are kept: URLs that a store will answer to, and that the role may use.

use super::{Told, is_loopback_host};
use crate::config::finding::Finding;
use crate::config::{Config, Role};
use crate::database::Engine;

/// `state` and `users`, as far as the role uses them.
pub(super) fn judge(config: &Config, role: Role, told: &mut Told) {
    const STORES: [&str; 7] =
        ["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster", "unix"];
    let url = config.state.url.as_str();
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    let sql = url == "sql";
    let known = sql || STORES.contains(&scheme);
    let fix =
        "write sql, redis://host:6379, rediss://…, redis-sentinel://…, redis-cluster://… or unix:///run/redis.sock";
    told.error_if(!known, "state.url", format!("`{scheme}` is no kind of token store that is known"), fix);
    if sql {
        let what = "role `check` needs the token state in Redis or Valkey: a sidecar never opens the users' database";
        told.error_if(
            role == Role::Check,
            "state.url",
            what,
            "set state.url to the issuer's redis://… address, there and here",
        );
        let fix = "remove it, or set state.url to redis://…";
        told.error_if(config.state.wait_replicas > 0, "state.wait_replicas", "`sql` has no replicas to wait for", fix);
    }
    if known && !sql {
        let fix = match scheme.trim_start_matches("rediss").trim_start_matches("redis") {
            "-sentinel" => "write redis-sentinel://HOST:26379/0?node=HOST2:26379&sentinelServiceName=mymaster",
            "-cluster" => "write redis-cluster://HOST:6379?node=HOST2:6379&node=HOST3:6379",
            _ => fix,
        };
        match store_hosts(url) {
            Err(why) => told.0.push(Finding::error("state.url", format!("this is no URL of a store: {why}"), fix)),
            // SEC-K8
            Ok(hosts) => {
                let plain = !scheme.starts_with("rediss") && !hosts.iter().all(|host| is_loopback_host(host));
                let what = "the token state comes over the network without TLS: who is on the way can bring revoked tokens back";
                let fix = "set state.url to rediss://…, or state.allow_plaintext to true where the network is private";
                let refused = plain && !config.state.allow_plaintext;
                told.error_if(refused && role == Role::Check, "state.url", what, fix);
                told.warn_if(refused && role != Role::Check, "state.url", what, fix);
            }
        }
    }
    let ca = !config.state.ca_file.is_empty() && !scheme.starts_with("rediss");
    told.warn_if(known && ca, "state.ca_file", "it is not used without TLS", "set state.url to rediss://…");
    if role == Role::Check {
        return;
    }
    let fix = "write sqlite:FILE, postgres://user:password@host/database or mysql://user:password@host/database";
    told.error_if(Engine::of(&config.users.url).is_none(), "users.url", "this is no database URL that is known", fix);
    database_url(&config.users.url, told);
    let file = config.users.url.strip_prefix("sqlite:").map(|rest| rest.trim_start_matches("//"));
    let nowhere = file.is_some_and(|file| file.is_empty() || file.starts_with('?'));
    told.error_if(nowhere, "users.url", "it names no file, so nothing would be kept", "write sqlite:FILE");
    told.error_if(config.users.pool == 0, "users.pool", "0 connections reach nothing", "write 1 or more");
}

/// What the database's driver would only tell at the start, or, of a missing user, not at all.
fn database_url(url: &str, told: &mut Told) {
    const POSTGRES: &str = "disable, allow, prefer, require, verify-ca or verify-full";
    const MYSQL: &str = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";
    let (engine, Ok(parsed)) = (Engine::of(url), reqwest::Url::parse(url)) else { return };
    let known = match engine {
        Some(Engine::Postgres) => POSTGRES,
        Some(Engine::MySql) => MYSQL,
        _ => return,
    };
    let of = |names: &[&str]| parsed.query_pairs().find(|(name, _)| names.contains(&&**name)).map(|(_, value)| value);
    let mode = of(&["sslmode", "ssl-mode"]);
    let mut words = known.split([' ', ',']).filter(|word| !["", "or"].contains(word));
    if let Some(mode) = mode.filter(|mode| !words.any(|word| word.eq_ignore_ascii_case(mode))) {
        let key = if engine == Some(Engine::MySql) { "ssl-mode" } else { "sslmode" };
        told.error_if(true, "users.url", format!("{key} can't be `{}`", mode.escape_debug()), format!("write {known}"));
    }
    // The driver does not ask the system who runs it, as PostgreSQL's own programs do.
    let nobody = engine == Some(Engine::Postgres)
        && parsed.username().is_empty()
        && of(&["user"]).is_none()
        && std::env::var_os("PGUSER").is_none();
    let fix = "write postgres://USER:PASSWORD@HOST/DATABASE; with a Unix socket \
               postgres:///DATABASE?host=/run/postgresql&user=doorward; or set PGUSER";
    told.warn_if(nobody, "users.url", "it names no user, so doorward would sign in as `anonymous`", fix);
}

/// The hosts that a Redis URL names, `node=` parameters too; none for a Unix socket. Errors never tell the URL: it may
/// hold a password.
fn store_hosts(url: &str) -> Result<Vec<String>, String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    if parsed.scheme() == "unix" {
        return Ok(Vec::new());
    }
    if parsed.port() == Some(0) {
        return Err("port 0 can't be reached".into());
    }
    let mut hosts: Vec<_> = parsed.host_str().map(str::to_owned).into_iter().collect();
    for (_, node) in parsed.query_pairs().filter(|(name, _)| name == "node") {
        let (host, port) = node.rsplit_once(':').unwrap_or((&node, "6379"));
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err("invalid port number of a node".into());
        }
        hosts.push(host.to_owned());
    }
    if hosts.is_empty() {
        return Err("it names no host".into());
    }
    let mut path = parsed.path_segments().into_iter().flatten().filter(|part| !part.is_empty());
    if path.next().is_some_and(|number| number.parse::<u8>().is_err()) || path.next().is_some() {
        return Err("its path must be the number of a database, such as /0".into());
    }
    let names_service = parsed.query_pairs().any(|(name, value)| name == "sentinelServiceName" && !value.is_empty());
    if parsed.scheme().ends_with("-sentinel") && !names_service {
        return Err("it does not name what the sentinels watch".into());
    }
    Ok(hosts)
}
