//! What must not matter: how many threads, identities and connections there are. CPU a check, the dearest against the
//! cheapest of each kind.

use serde_json::json;

use crate::floor::{Floor, Kind};
use crate::harness::doorward::Doorward;
use crate::kit::compare::{Turn, median, turn};
use crate::kit::questions::Bearers;
use crate::kit::world::{World, headers_of};
use crate::load::closed::{self, Until};
use crate::load::{Address, http1};
use crate::table::{Line, Mark};

const FLAT: Mark = Mark::AtMost(1.3);
const CONNECTIONS: usize = 32;

pub fn threads(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let counts = [1, 2];
    let cases = counts.map(|workers| {
        let checker = world.checker(json!({"workers": workers}));
        let at = Address::Tcp(checker.check);
        world.warm(&at, tokens);
        (checker, Bearers::by_nginx(tokens))
    });
    let mut cases = cases.map(connected);
    let until = Until::After(world.turn());
    let turns = by_turns(world, cases.len(), |case| {
        let (checker, lines, script) = &mut cases[case];
        turn(&[checker.process.id()], || closed::run(lines, until, script))
    });
    vec![line("1 and 2 threads", &counts.map(|count| count.to_string()), &turns, "")]
}

pub fn identities(world: &World) -> Vec<Line> {
    let counts = world.of([100, 1000, 10_000], [1000, 100_000, 1_000_000]);
    // HS256, since a million logins take a while.
    let tokens = world.new_tokens("HS256", counts[2]);
    let cases = counts.map(|count| {
        let checker = world.checker_of("HS256", json!({"workers": 1}));
        let at = Address::Tcp(checker.check);
        // Looked up, and then found: only with that are they known to the thread that serves.
        world.warm(&at, &tokens[..count]);
        world.warm(&at, &tokens[..count]);
        (checker, Bearers::by_nginx(&tokens[..count]))
    });
    let mut cases = cases.map(connected);
    let until = Until::After(world.turn());
    let turns = by_turns(world, cases.len(), |case| {
        let (checker, lines, script) = &mut cases[case];
        turn(&[checker.process.id()], || closed::run(lines, until, script))
    });
    let names = counts.map(|count| count.to_string());
    vec![line("cached identities", &names, &turns, "each asked about in its turn")]
}

pub fn connections(world: &World) -> Vec<Line> {
    let tokens = world.tokens();
    let counts = [1, 100, world.of(2000, 10_000)];
    let checker = world.checker(json!({"workers": 1}));
    let ours = Address::Tcp(checker.check);
    world.warm(&ours, tokens);
    let floor = Floor::start(&Kind::Http(headers_of(&ours, &mut Bearers::by_nginx(tokens))), 1);
    let until = Until::After(world.turn());
    let mut measured = [Vec::new(), Vec::new()];
    for (side, (at, process)) in [(&ours, &checker.process), (&floor.at, &floor.process)].into_iter().enumerate() {
        let mut cases = counts.map(|count| {
            let mut script = Bearers::by_nginx(tokens);
            (http1::open_and_ask(at, count, &mut script), script)
        });
        measured[side] = by_turns(world, cases.len(), |case| {
            let (lines, script) = &mut cases[case];
            turn(&[process.id()], || closed::run(lines, until, script))
        });
    }
    // With one connection either server sleeps and wakes for every request, five times as dear as work that waits for it; what
    // must be flat is what a check costs beside that.
    let shares: Vec<_> = each(&measured[0]).zip(each(&measured[1])).map(|(ours, floor)| ours / floor).collect();
    let cases = counts.iter().zip(&shares).zip(each(&measured[0]).zip(each(&measured[1])));
    let told: Vec<_> = cases
        .map(|((count, share), (ours, floor))| format!("{count}: {share:.2} × ({ours:.2} against {floor:.2} µs)"))
        .collect();
    let what = "CPU a check as a ratio to bare hyper's, flat over connections";
    vec![Line::new(what, FLAT, spread(shares.into_iter()), told.join(", "))]
}

/// Once all are warm: a connection that asks nothing for too long is closed.
fn connected<S>((checker, script): (Doorward, S)) -> (Doorward, Vec<http1::Line>, S) {
    let lines = http1::open(&Address::Tcp(checker.check), CONNECTIONS);
    (checker, lines, script)
}

/// The cases' turns, one after the other, round by round.
fn by_turns(world: &World, cases: usize, mut run: impl FnMut(usize) -> Turn) -> Vec<Vec<Turn>> {
    let mut turns = vec![Vec::new(); cases];
    for _ in 0..world.rounds() {
        for (case, turns) in turns.iter_mut().enumerate() {
            turns.push(run(case));
        }
    }
    turns
}

fn line(what: &str, names: &[String], turns: &[Vec<Turn>], more: &str) -> Line {
    let told: Vec<_> = names.iter().zip(each(turns)).map(|(name, cpu)| format!("{name}: {cpu:.2} µs")).collect();
    let figures = format!("CPU a check with {}{}{more}", told.join(", "), if more.is_empty() { "" } else { "; " });
    Line::new(&format!("CPU a check, flat over {what}"), FLAT, spread(each(turns)), figures)
}

fn each(turns: &[Vec<Turn>]) -> impl Iterator<Item = f64> {
    turns.iter().map(|turns| median(turns.iter().map(|turn| turn.cpu)))
}

/// The dearest against the cheapest.
fn spread(cases: impl Iterator<Item = f64>) -> f64 {
    let (least, most) = cases.fold((f64::MAX, 0.0), |(least, most), case| (case.min(least), case.max(most)));
    most / least
}
