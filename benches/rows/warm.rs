//! Warm checks: every token is known to the checker, each is asked about in its turn.

use serde_json::json;

use crate::floor::{Floor, Kind};
use crate::kit::compare::{Compared, a_b_a_b, turn};
use crate::kit::questions::Checks;
use crate::kit::world::{World, headers_of};
use crate::load::{Address, Until, http1};
use crate::table::{Line, Mark};

const CONNECTIONS: usize = 32;

/// HTTP/1 against bare hyper, one worker each: the other core is the client's.
pub fn http(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let checker = world.checker(json!({"workers": 1}));
    let ours = Address::Tcp(checker.check);
    world.warm(&ours, tokens);
    let floor = Floor::start(&Kind::Http(headers_of(&ours, &mut Checks::new(tokens))), 1);

    let until = Until::After(world.turn());
    let (mut to_ours, mut to_floor) = (Checks::new(tokens), Checks::new(tokens));
    let compared = a_b_a_b(
        world.rounds(),
        || turn(&[checker.process.id()], || http1::run(&ours, CONNECTIONS, until, &mut to_ours)),
        || turn(&[floor.process.id()], || http1::run(&floor.at, CONNECTIONS, until, &mut to_floor)),
    );
    let what = format!("warm check, HTTP/1.1 keep-alive, {} tokens in turn", tokens.len());
    vec![
        Line::new(&what, Mark::AtMost(1.15), compared.ratio(|turn| turn.cpu), cpu(&compared, "bare hyper")),
        Line::new(
            "the same: p99 with 32 connections",
            Mark::AtMost(1.3),
            compared.ratio(|turn| turn.p99),
            format!("p99 {:.0} µs against {:.0} µs", compared.ours(|turn| turn.p99), compared.floor(|turn| turn.p99)),
        ),
    ]
}

fn cpu(compared: &Compared, floor: &str) -> String {
    format!(
        "{:.2} µs CPU and {:.0}/s against {:.2} µs and {:.0}/s of {floor}",
        compared.ours(|turn| turn.cpu),
        compared.ours(|turn| turn.per_second),
        compared.floor(|turn| turn.cpu),
        compared.floor(|turn| turn.per_second),
    )
}
