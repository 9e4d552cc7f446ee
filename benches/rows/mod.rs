//! The rows of the table, in the order in which they are measured.

mod cold;
mod flat;
mod flood;
mod issue;
mod load;
mod memory;
mod open;
mod proxies;
mod revocation;
mod signing;
mod start;
mod warm;

use crate::kit::world::World;
use crate::table::Line;

pub struct Row {
    /// As `./bench ROW` names it.
    pub name: &'static str,
    pub what: &'static str,
    pub measure: fn(&World) -> Vec<Line>,
}

pub const ALL: &[Row] = &[
    Row { name: "http", what: "warm check, HTTP/1 keep-alive, tokens in turn", measure: warm::http },
    Row { name: "grpc", what: "warm check, gRPC, tokens in turn", measure: warm::grpc },
    Row { name: "nginx", what: "behind NGINX, Unix socket", measure: proxies::nginx },
    Row { name: "envoy-grpc", what: "behind Envoy, gRPC", measure: proxies::envoy_grpc },
    Row { name: "envoy-http", what: "behind Envoy, HTTP", measure: proxies::envoy_http },
    Row {
        name: "nginx-defaults",
        what: "the shipped NGINX configuration against defaults",
        measure: proxies::nginx_defaults,
    },
    Row { name: "jwt-authn", what: "Envoy + doorward against Envoy alone", measure: proxies::jwt_authn },
    Row { name: "cold", what: "cold checks, each token new", measure: cold::checks },
    Row { name: "misses", what: "lookups in Redis, many at once", measure: cold::misses },
    Row { name: "signing", what: "signing with each algorithm", measure: signing::measure },
    Row { name: "issue", what: "logins and refreshes with Redis", measure: issue::measure },
    Row { name: "threads", what: "1 and 2 threads", measure: flat::threads },
    Row { name: "identities", what: "few and many cached identities", measure: flat::identities },
    Row { name: "connections", what: "few and many connections", measure: flat::connections },
    Row { name: "memory", what: "memory of --role check", measure: memory::measure },
    Row { name: "start", what: "start to ready", measure: start::measure },
    Row { name: "revocation", what: "revocation to refusal on another node", measure: revocation::measure },
    Row { name: "open", what: "warm checks at fixed times", measure: open::steady },
    Row { name: "overload", what: "twice the capacity offered", measure: open::overload },
    Row { name: "flood", what: "a flood of password logins beside checks", measure: flood::measure },
    Row { name: "load", what: "the load test with k6, in a tenth of a CPU", measure: load::measure },
];

pub fn find(name: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.name == name)
}
