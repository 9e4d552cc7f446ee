//! Warm checks: every token is known to the checker, each is asked about in its turn. One worker on each side: the other
//! core is the client's.

use serde_json::json;

use crate::floor::{Floor, Kind};
use crate::kit::compare::{Compared, a_b_a_b, turn};
use crate::kit::questions::{Bearers, Calls};
use crate::kit::world::{World, headers_of};
use crate::load::closed::{self, Until};
use crate::load::{Address, grpc, http1};
use crate::table::{Line, Mark};

const CONNECTIONS: usize = 32;
/// As an Envoy of four threads asks.
const GRPC_CONNECTIONS: usize = 4;
const STREAMS: usize = 8;

/// HTTP/1 against bare hyper.
pub fn http(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let checker = world.checker(json!({"workers": 1}));
    let ours = Address::Tcp(checker.check);
    world.warm(&ours, tokens);
    let floor = Floor::start(&Kind::Http(headers_of(&ours, &mut Bearers::by_nginx(tokens))), 1);

    let until = Until::After(world.turn());
    let (mut to_ours, mut to_floor) = (Bearers::by_nginx(tokens), Bearers::by_nginx(tokens));
    let compared = a_b_a_b(
        world.rounds(),
        || turn(&[checker.process.id()], || http1::run(&ours, CONNECTIONS, until, &mut to_ours)),
        || turn(&[floor.process.id()], || http1::run(&floor.at, CONNECTIONS, until, &mut to_floor)),
    );
    let what = format!("warm check, {CONNECTIONS} connections of HTTP/1.1, {} tokens in turn", tokens.len());
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

/// gRPC against bare tonic, which answers the very message that doorward does.
pub fn grpc(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let checker = world.checker(json!({"workers": 1}));
    let ours = Address::Tcp(checker.check);
    world.warm(&ours, tokens);
    let floor = Floor::start(&Kind::Grpc(first_answer(&ours, tokens)), 1);

    let until = Until::After(world.turn());
    let (mut to_ours, mut to_floor) = (Calls::new(tokens), Calls::new(tokens));
    let calls = |to: &Address, script: &mut Calls<'_>| {
        closed::run(&mut grpc::open(to, GRPC_CONNECTIONS, STREAMS), until, script)
    };
    let compared = a_b_a_b(
        world.rounds(),
        || turn(&[checker.process.id()], || calls(&ours, &mut to_ours)),
        || turn(&[floor.process.id()], || calls(&floor.at, &mut to_floor)),
    );
    let what = format!("warm check, {GRPC_CONNECTIONS} connections of gRPC, {} tokens in turn", tokens.len());
    vec![Line::new(&what, Mark::AtMost(0.65), compared.ratio(|turn| turn.cpu), cpu(&compared, "bare tonic"))]
}

/// The message that a gRPC check is answered with.
pub(super) fn first_answer(to: &Address, tokens: &[String]) -> Vec<u8> {
    let mut first = Calls::new(tokens);
    closed::run(&mut grpc::open(to, 1, 1), Until::Asked(1), &mut first);
    first.heard
}

/// CPU and throughput of both sides, in words.
pub(super) fn cpu(compared: &Compared, floor: &str) -> String {
    format!(
        "{:.2} µs CPU and {:.0}/s against {:.2} µs and {:.0}/s of {floor}",
        compared.ours(|turn| turn.cpu),
        compared.ours(|turn| turn.per_second),
        compared.floor(|turn| turn.cpu),
        compared.floor(|turn| turn.per_second),
    )
}
