//! Warm checks behind real proxies: the same proxy asks doorward and the bare server in turn, and answers its clients by
//! itself. Three processes and a client share the cores, so throughput is of all of them together.

use serde_json::json;

use super::warm::first_answer;
use crate::floor::{Floor, Kind};
use crate::harness::http::Request;
use crate::kit::compare::{Compared, a_b_a_b, turn};
use crate::kit::edges::{self, Upstream};
use crate::kit::questions::Bearers;
use crate::kit::world::{World, headers_of};
use crate::load::closed::Until;
use crate::load::{Address, http1};
use crate::table::{Line, Mark};

const CONNECTIONS: usize = 32;

/// A proxy, and all processes that work for its answers.
struct Side {
    edge: Address,
    pids: Vec<u32>,
}

/// Over a Unix socket with kept connections.
pub fn nginx(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let ours = Address::Unix(world.socket());
    let checker = world.checker(json!({"workers": 1, "listen": {"check": ours.to_string()}}));
    world.warm(&ours, tokens);
    let headers = headers_of(&ours, &mut Bearers::by_nginx(tokens));
    let floor = Floor::start_at(&Kind::Http(headers), 1, Address::Unix(world.socket()));
    let Some((edge, a)) = edges::nginx(&ours, Upstream::Kept) else { return Vec::new() };
    let ours = Side { edge, pids: vec![a.process.id(), checker.process.id()] };
    let Some((edge, b)) = edges::nginx(&floor.at, Upstream::Kept) else { return Vec::new() };
    let floor = Side { edge, pids: vec![b.process.id(), floor.process.id()] };
    behind(world, "NGINX (Unix socket, keepalive)", (0.95, 3.0), &ours, &floor)
}

pub fn envoy_grpc(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let checker = world.checker(json!({"workers": 1}));
    let ours = Address::Tcp(checker.check);
    world.warm(&ours, tokens);
    let floor = Floor::start(&Kind::Grpc(first_answer(&ours, tokens)), 1);
    let Some((edge, a)) = edges::envoy("envoy/grpc.yaml", &ours) else { return Vec::new() };
    let ours = Side { edge, pids: vec![a.process.id(), checker.process.id()] };
    let Some((edge, b)) = edges::envoy("envoy/grpc.yaml", &floor.at) else { return Vec::new() };
    let floor = Side { edge, pids: vec![b.process.id(), floor.process.id()] };
    behind(world, "Envoy gRPC", (1.1, 5.0), &ours, &floor)
}

pub fn envoy_http(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let checker = world.checker(json!({"workers": 1}));
    let ours = Address::Tcp(checker.check);
    world.warm(&ours, tokens);
    let floor = Floor::start(&Kind::Http(headers_of(&ours, &mut Bearers::by_envoy(tokens))), 1);
    let Some((edge, a)) = edges::envoy("envoy/http.yaml", &ours) else { return Vec::new() };
    let ours = Side { edge, pids: vec![a.process.id(), checker.process.id()] };
    let Some((edge, b)) = edges::envoy("envoy/http.yaml", &floor.at) else { return Vec::new() };
    let floor = Side { edge, pids: vec![b.process.id(), floor.process.id()] };
    behind(world, "Envoy HTTP", (0.95, 5.0), &ours, &floor)
}

/// The shipped configuration against one that says nothing of keeping connections, both to doorward.
pub fn nginx_defaults(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let checker = world.checker(json!({"workers": 1}));
    let at = Address::Tcp(checker.check);
    world.warm(&at, tokens);
    let Some((edge, a)) = edges::nginx(&at, Upstream::Kept) else { return Vec::new() };
    let kept = Side { edge, pids: vec![a.process.id(), checker.process.id()] };
    let Some((edge, b)) = edges::nginx(&at, Upstream::Default) else { return Vec::new() };
    let default = Side { edge, pids: vec![b.process.id(), checker.process.id()] };
    let compared = compare(world, tokens, CONNECTIONS, &kept, &default);
    let what = "shipped NGINX configuration against NGINX's defaults (no keepalive): throughput";
    vec![Line::new(what, Mark::AtLeast(2.3), compared.ratio(|turn| turn.per_second), throughput(&compared))]
}

/// Envoy with doorward against Envoy that verifies by itself, for tokens it can verify itself.
pub fn jwt_authn(world: &World) -> Vec<Line> {
    const TOKENS: usize = 1000;
    let mut lines = Vec::new();
    for (algorithm, mark) in [("ES256", Mark::AtLeast(1.35)), ("RS256", Mark::AtLeast(0.95))] {
        let tokens = world.new_tokens(algorithm, TOKENS);
        let checker = world.checker_of(algorithm, json!({"workers": 1}));
        let at = Address::Tcp(checker.check);
        world.warm(&at, &tokens);
        let Some((edge, a)) = edges::envoy("envoy/grpc.yaml", &at) else { return lines };
        let ours = Side { edge, pids: vec![a.process.id(), checker.process.id()] };
        let jwks = Request::get("/.well-known/jwks.json").send(world.issuer(algorithm).public).body;
        for (cache, mark, words) in
            [(None, mark, "without its cache"), (Some(2 * TOKENS), Mark::Told("×"), "with jwt_cache_config")]
        {
            let Some((edge, b)) = edges::jwt_authn(&jwks, cache) else { return lines };
            let alone = Side { edge, pids: vec![b.process.id()] };
            let compared = compare(world, &tokens, CONNECTIONS, &ours, &alone);
            let what =
                format!("Envoy + doorward (gRPC, warm) against Envoy + jwt_authn {algorithm} {words}: throughput");
            lines.push(Line::new(&what, mark, compared.ratio(|turn| turn.per_second), throughput(&compared)));
        }
    }
    lines
}

fn behind(world: &World, proxy: &str, (least, most): (f64, f64), ours: &Side, floor: &Side) -> Vec<Line> {
    let many = compare(world, world.tokens(), CONNECTIONS, ours, floor);
    let one = compare(world, world.tokens(), 1, ours, floor);
    let p50 = (one.ours(|turn| turn.p50), one.floor(|turn| turn.p50));
    vec![
        Line::new(
            &format!("warm check behind {proxy}: throughput"),
            Mark::AtLeast(least),
            many.ratio(|turn| turn.per_second),
            throughput(&many),
        ),
        Line::new(
            &format!("behind {proxy}: added p50 at one connection"),
            Mark::Below(most, "µs"),
            one.more(|turn| turn.p50),
            format!("p50 {:.1} µs against {:.1} µs", p50.0, p50.1),
        ),
    ]
}

fn compare(world: &World, tokens: &[String], connections: usize, ours: &Side, floor: &Side) -> Compared {
    let until = Until::After(world.turn());
    let (mut to_ours, mut to_floor) = (Bearers::of_clients(tokens), Bearers::of_clients(tokens));
    a_b_a_b(
        world.rounds(),
        || turn(&ours.pids, || http1::run(&ours.edge, connections, until, &mut to_ours)),
        || turn(&floor.pids, || http1::run(&floor.edge, connections, until, &mut to_floor)),
    )
}

fn throughput(compared: &Compared) -> String {
    format!(
        "{:.0}/s and {:.1} µs CPU, proxy and all, against {:.0}/s and {:.1} µs",
        compared.ours(|turn| turn.per_second),
        compared.ours(|turn| turn.cpu),
        compared.floor(|turn| turn.per_second),
        compared.floor(|turn| turn.cpu),
    )
}
