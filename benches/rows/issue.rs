//! Logins and refreshes, with their sessions in Redis: how many one core of an issuer does.

use crate::harness::doorward::Doorward;
use crate::kit::compare::{Turn, median, turn};
use crate::kit::questions::{Logins, Refreshes};
use crate::kit::world::World;
use crate::load::closed::Until;
use crate::load::{Address, http1};
use crate::table::{Line, Mark};

const CONNECTIONS: usize = 32;

pub fn measure(world: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    for (algorithm, least) in [("HS256", 15_000.0), ("EdDSA", 10_000.0)] {
        let issuer = world.issuer(algorithm);
        let at = Address::Tcp(issuer.public);
        let until = Until::After(world.turn());
        let mut logins = Logins::after(world.next_user());
        let login: Vec<_> =
            (0..world.rounds()).map(|_| one(issuer, || http1::run(&at, CONNECTIONS, until, &mut logins))).collect();
        let tokens = logins.pairs.into_iter().map(|pair| pair.refresh).collect();
        let mut refreshes = Refreshes { tokens };
        let refresh: Vec<_> =
            (0..world.rounds()).map(|_| one(issuer, || http1::run(&at, CONNECTIONS, until, &mut refreshes))).collect();
        for (what, turns) in [("POST /login (trusted)", login), ("POST /refresh", refresh)] {
            let (cpu, rate) =
                (median(turns.iter().map(|turn| turn.cpu)), median(turns.iter().map(|turn| turn.per_second)));
            lines.push(Line::new(
                &format!("{what} with Redis, {algorithm}"),
                Mark::Above(least, "/s a core"),
                1e6 / cpu,
                format!("{cpu:.1} µs CPU of the issuer each; {rate:.0}/s with one worker, Redis and the client on the other core"),
            ));
        }
    }
    lines
}

fn one(issuer: &Doorward, load: impl FnMut() -> crate::load::Tally) -> Turn {
    turn(&[issuer.process.id()], load)
}
