//! Open loops: 10 000 checks a second at fixed times, and twice of what the checker can do.

use std::time::Duration;

use serde_json::json;

use crate::kit::compare::percentile;
use crate::kit::questions::Bearers;
use crate::kit::world::World;
use crate::load::closed::Until;
use crate::load::open::{self, Offer};
use crate::load::{Address, Tally, http1};
use crate::table::{Line, Mark};

/// A steady stream of warm checks.
pub fn steady(world: &World) -> Vec<Line> {
    let per_second = 10_000.0;
    let tokens = world.tokens();
    let checker = world.checker(json!({"workers": 1}));
    world.warm(&Address::Tcp(checker.check), tokens);
    let offer = Offer { per_second, lasting: Duration::from_secs(world.of(3, 20)), connections: 256 };
    let outcome = open::run(checker.check, offer, Bearers::by_nginx(tokens.to_vec().leak()));
    let (p50, p99) = (ms(&outcome.good, 0.5), ms(&outcome.good, 0.99));
    let done = outcome.good.per_second();
    let figures = format!("{done:.0}/s answered, {} refused, p50 {p50:.2} ms", outcome.refused.answers);
    vec![Line::new("warm checks, open loop at 10 000/s: p99", Mark::Below(10.0, "ms"), p99, figures)]
}

/// Cold checks, which cost the most, at twice the rate that a closed loop reaches.
pub fn overload(world: &World) -> Vec<Line> {
    let lasting = Duration::from_secs(world.of(2, 5));
    let first = world.of(4000, 20_000);
    let checker = world.checker(json!({"workers": 1}));
    let at = Address::Tcp(checker.check);
    let tokens = world.new_tokens("EdDSA", first);
    let closed = http1::run(&at, 64, Until::Asked(first as u64 - 64), &mut Bearers::by_nginx(&tokens));
    let capacity = (closed.answers - closed.others) as f64 / closed.took.as_secs_f64();
    let offered = 2.0 * capacity;
    let more = world.new_tokens("EdDSA", (offered * lasting.as_secs_f64() * 1.1) as usize + 1024);
    let offer = Offer { per_second: offered, lasting, connections: 1024 };
    let outcome = open::run(checker.check, offer, Bearers::by_nginx(more.leak()));
    let answered = outcome.good.per_second();
    vec![
        Line::new(
            "overload: cold checks at twice the capacity, answered",
            Mark::AtLeast(0.9),
            answered / capacity,
            format!(
                "{answered:.0}/s of a capacity of {capacity:.0}/s, {offered:.0}/s offered over 1024 connections; {:.0}/s refused",
                outcome.refused.per_second()
            ),
        ),
        Line::new(
            "overload: p99 of what is refused",
            Mark::Told("ms"),
            if outcome.refused.answers > 0 { ms(&outcome.refused, 0.99) } else { 0.0 },
            format!("p99 of what is answered: {:.1} ms, from when it was due", ms(&outcome.good, 0.99)),
        ),
    ]
}

fn ms(tally: &Tally, share: f64) -> f64 {
    let mut latencies = tally.latencies.clone();
    latencies.sort_unstable();
    percentile(&latencies, share) / 1e6
}
