//! The rule of comparison: A B A B, a ratio for each pair of neighbours, and of those the median. What disturbs the
//! machine for longer than a turn disturbs both sides.

use std::time::Duration;

use super::cost;
use crate::load::Tally;

/// One turn of one side.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Microseconds of CPU of the processes measured, an answer.
    pub cpu: f64,
    pub per_second: f64,
    /// Microseconds from question to answer.
    pub p50: f64,
    pub p99: f64,
}

/// The turns of both sides, in order.
#[derive(Debug, Default)]
pub struct Compared {
    pub ours: Vec<Turn>,
    pub floor: Vec<Turn>,
}

/// Lets a load run and reads what it cost the processes. Every answer must be the one that was asked for. On a busy machine
/// a store may take longer than a server waits for it; such a turn does not count, and is taken again.
pub fn turn(processes: &[u32], mut load: impl FnMut() -> Tally) -> Turn {
    let spent = || processes.iter().map(|pid| cost::cpu(*pid)).sum::<Duration>();
    let mut attempt = || {
        let before = spent();
        let tally = load();
        (tally.others == 0).then(|| (spent().saturating_sub(before), tally))
    };
    let measured = (0..3).find_map(|_| attempt());
    let (cpu, mut tally) = measured.expect("three times, not all answers were as they must be");
    tally.latencies.sort_unstable();
    let at = |share: f64| percentile(&tally.latencies, share) / 1000.0;
    Turn {
        cpu: cpu.as_secs_f64() * 1e6 / tally.answers as f64,
        per_second: tally.per_second(),
        p50: at(0.5),
        p99: at(0.99),
    }
}

pub fn a_b_a_b(rounds: usize, mut ours: impl FnMut() -> Turn, mut floor: impl FnMut() -> Turn) -> Compared {
    let mut compared = Compared::default();
    for _ in 0..rounds {
        compared.ours.push(ours());
        compared.floor.push(floor());
    }
    compared
}

impl Compared {
    /// The median of the pairs' ratios, ours to the floor's.
    pub fn ratio(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        median(self.ours.iter().zip(&self.floor).map(|(ours, floor)| of(ours) / of(floor)))
    }

    /// The median of the pairs' differences: how much more ours is than the floor's.
    pub fn more(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        median(self.ours.iter().zip(&self.floor).map(|(ours, floor)| of(ours) - of(floor)))
    }

    pub fn ours(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        median(self.ours.iter().map(of))
    }

    pub fn floor(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        median(self.floor.iter().map(of))
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}

/// Of sorted values, the one below which this share lies.
pub fn percentile(sorted: &[u32], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() as f64 * share) as usize).or(sorted.get(last)).map_or(f64::NAN, |nanos| f64::from(*nanos))
}
