//! What a sidecar holds in memory: idle, for each identity that it knows, for each connection that is kept open.

use serde_json::json;

use crate::floor::{Floor, Kind};
use crate::harness::process::Process;
use crate::kit::cost;
use crate::kit::questions::Bearers;
use crate::kit::world::{World, headers_of};
use crate::load::{Address, http1};
use crate::table::{Line, Mark};

pub fn measure(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let checker = world.checker(json!({}));
    let idle = cost::resident_kib(checker.process.id());
    let ours = Address::Tcp(checker.check);

    let connections = world.of(2000, 10_000);
    let floor = Floor::start(&Kind::Http(headers_of(&ours, &mut Bearers::by_nginx(tokens))), 2);
    let each = each_connection(&ours, &checker.process, connections, &tokens[..1]);
    let each_of_floor = each_connection(&floor.at, &floor.process, connections, &tokens[..1]);

    // One checker more, so that what the connections left behind is not reused.
    let checker = world.checker(json!({}));
    let ours = Address::Tcp(checker.check);
    world.warm(&ours, &tokens[..64]);
    let before = cost::resident_kib(checker.process.id());
    world.warm(&ours, tokens);
    let grown = cost::resident_kib(checker.process.id()) - before;

    vec![
        Line::new(
            "memory of --role check: idle",
            Mark::Below(14.0, "MiB"),
            idle as f64 / 1024.0,
            "resident, once it is ready",
        ),
        Line::new(
            "memory: a cached identity",
            Mark::Below(450.0, "bytes"),
            grown as f64 * 1024.0 / (tokens.len() - 64) as f64,
            format!("{} identities, each with a session of its own", tokens.len()),
        ),
        Line::new(
            "memory: a keep-alive connection",
            Mark::AtMost(1.2),
            each / each_of_floor,
            format!(
                "{each:.0} bytes against {each_of_floor:.0} of bare hyper, {connections} connections after a check each"
            ),
        ),
    ]
}

/// Bytes that each of so many connections adds, all of them kept open.
fn each_connection(to: &Address, process: &Process, connections: usize, tokens: &[String]) -> f64 {
    let before = cost::resident_kib(process.id());
    let _lines = http1::open_and_ask(to, connections, &mut Bearers::by_nginx(tokens));
    let grown = cost::resident_kib(process.id()).saturating_sub(before);
    grown as f64 * 1024.0 / connections as f64
}
