//! A closed loop: each connection asks, waits for its answers, asks again. One thread with plain blocking sockets in two
//! groups: while one group's answers are read, the other group's requests are with the server, so it always has some.

use std::io;
use std::time::{Duration, Instant};

use super::Tally;

/// What a run asks, and who hears the answers.
pub trait Script {
    /// Appends the bytes of one request.
    fn ask(&mut self, into: &mut Vec<u8>);

    /// Hears an answer; whether it is what was asked for.
    fn hear(&mut self, status: u16, body: &[u8]) -> bool;
}

/// One connection.
pub trait Line {
    /// How many requests it sends at once.
    fn width(&self) -> u64;
    fn send(&mut self, script: &mut impl Script);
    /// Reads the answers to all that was sent.
    fn receive(&mut self, script: &mut impl Script, tally: &mut Tally) -> io::Result<()>;
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    After(Duration),
    Asked(u64),
}

pub fn run<L: Line>(lines: &mut [L], until: Until, script: &mut impl Script) -> Tally {
    let mut tally = Tally::default();
    let began = Instant::now();
    let half = lines.len().div_ceil(2);
    let (first, second) = lines.split_at_mut(half);
    let (mut now, mut next) = (first, second);
    let mut asked = send(now, script);
    loop {
        let more = match until {
            Until::After(time) => began.elapsed() < time,
            Until::Asked(most) => asked < most,
        };
        if more {
            asked += send(next, script);
        }
        for line in &mut *now {
            line.receive(script, &mut tally).unwrap_or_else(|error| panic!("no answer: {error}"));
        }
        if !more {
            break;
        }
        std::mem::swap(&mut now, &mut next);
    }
    tally.took = began.elapsed();
    tally
}

fn send<L: Line>(lines: &mut [L], script: &mut impl Script) -> u64 {
    lines.iter_mut().for_each(|line| line.send(script));
    lines.iter().map(Line::width).sum()
}
