//! How long a task must be before an executor is worth its cost.
//!
//! Task Bench (Slaughter et al., SC 2020) measures the *granularity* of a run, the core-seconds
//! that go into a task with everything around it, and asks for the smallest one at which the cores
//! still do half of the work that they could: METG(50 %), the minimum effective task granularity.
//! Work that an executor cannot keep up with shows there whatever it is made of: queueing, waking
//! up, sending, merging.
//!
//! Everything here is computed round by round and then averaged over rounds, as all else in this
//! crate: what a launch of one length and a launch of another share, the machine's mood in that
//! minute, cancels, and the spread over rounds is the interval.

mod fit;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use fit::{Cost, cost};
pub use sweep::{Curve, Point, Sweep, curves};

use crate::format::duration;
use crate::statistics::Interval;
use crate::statistics::interval::LogMean;
use crate::statistics::ratio::paired;

/// The share of the best rate that METG is asked for.
pub const HALF: f64 = 0.5;

/// The lengths of work, in nanoseconds, at which efficiency is stated: 1, 10 and 100 us.
pub const STATED: [f64; 3] = [1e3, 1e4, 1e5];

/// The granularity of a sample: core-nanoseconds per task. Workers beyond the cores add no cores.
pub fn granularity(wall_ns: f64, workers: u32, cores: u32, tasks: u64) -> f64 {
    wall_ns * f64::from(workers.min(cores).max(1)) / tasks.max(1) as f64
}

/// What an executor did with tasks of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Length {
    /// Units of work in a task, in the unit of the parameter that was swept: steps.
    pub work: f64,
    /// Rounds and the logarithms of their [`granularity`].
    pub logs: Vec<(u32, f64)>,
}

impl Length {
    /// The geometric mean of its granularity over rounds.
    fn mean(&self) -> Option<f64> {
        let logs: Vec<f64> = self.logs.iter().map(|&(_, log)| log).collect();
        LogMean::of(&logs).map(|mean| mean.estimate())
    }
}

/// The best rate of work that any executor reached on the same number of cores, at any length:
/// what efficiencies are shares of. It is one measured cell, so in each round it is what that cell
/// did in that round.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// Core-nanoseconds per unit of work: the reciprocal of the rate.
    pub ns_per_unit: f64,
    logs: Vec<(u32, f64)>,
}

impl Best {
    /// The best of all lengths of all executors. `None` where no task had any work.
    ///
    /// The highest of many noisy rates is too high by about their noise; Task Bench takes the
    /// machine's peak, which is further off.
    pub fn of<'a>(lengths: impl IntoIterator<Item = &'a Length>) -> Option<Self> {
        let worked = lengths.into_iter().filter(|length| length.work > 0.0);
        let rated = worked.filter_map(|length| Some((length, length.mean()? / length.work)));
        let (length, ns_per_unit) = rated.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let log_work = length.work.ln();
        let logs = length.logs.iter().map(|(round, log)| (*round, log - log_work)).collect();
        Some(Self { ns_per_unit, logs })
    }

    fn rounds(&self) -> BTreeMap<u32, f64> {
        self.logs.iter().copied().collect()
    }
}

/// A share of the best rate, 1 for all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The geometric mean over rounds.
    pub share: f64,
    /// 95 %; absent below six rounds.
    pub interval: Option<Interval>,
}

/// The efficiency at one length: its rate of work over the best one, paired by round. `None` for
/// tasks without work, which have no rate, and where no round has both.
pub fn efficiency(length: &Length, best: &Best) -> Option<Share> {
    if length.work <= 0.0 {
        return None;
    }
    let log_work = length.work.ln();
    let ideal: Vec<(u32, f64)> =
        best.logs.iter().map(|(round, log)| (*round, log + log_work)).collect();
    let ratio = paired(&ideal, &length.logs)?;
    Some(Share { share: ratio.estimate, interval: ratio.interval })
}

/// The efficiency for tasks with this much work, in nanoseconds at the best rate: between the two
/// measured lengths around it, granularity is taken to be linear in work, which it is exactly
/// where a task's cost does not depend on its length. `None` outside of what was measured.
pub fn efficiency_at(lengths: &[Length], best: &Best, work_ns: f64) -> Option<Share> {
    let work = work_ns / best.ns_per_unit;
    let sorted = sorted(lengths);
    let above = sorted.iter().position(|length| length.work >= work)?;
    let (low, high) = (sorted[above.checked_sub(1)?], sorted[above]);
    let (lows, highs) = (rounds_of(low), rounds_of(high));
    let way = (work - low.work) / (high.work - low.work);
    let shares = best.logs.iter().filter_map(|(round, log)| {
        let (low, high) = (lows.get(round)?.exp(), highs.get(round)?.exp());
        Some(log + work.ln() - (low + way * (high - low)).ln())
    });
    let mean = LogMean::of(&shares.collect::<Vec<_>>())?;
    Some(Share { share: mean.estimate(), interval: mean.interval() })
}

/// The minimum effective task granularity, or on which side of all that was measured it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metg {
    /// Efficiency crosses the share.
    Crosses {
        /// Core-nanoseconds per task at the crossing.
        ns: f64,
        /// 95 %; absent below six rounds, and where a round does not cross: those that do would
        /// pull the interval to their side.
        interval: Option<Interval>,
    },
    /// Even the shortest tasks with work reach the share.
    Below {
        /// Their granularity in nanoseconds.
        shortest_ns: f64,
    },
    /// Not even the longest tasks reach the share.
    Above {
        /// Their granularity in nanoseconds.
        longest_ns: f64,
    },
}

impl fmt::Display for Metg {
    /// In words, with the reason where there is no number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crosses { ns, .. } => write!(f, "METG is {}", duration(*ns)),
            Self::Below { shortest_ns } => write!(
                f,
                "efficiency never falls below half: METG is below the shortest task measured, {}",
                duration(*shortest_ns)
            ),
            Self::Above { longest_ns } => write!(
                f,
                "efficiency never reaches half: METG is above the longest task measured, {}",
                duration(*longest_ns)
            ),
        }
    }
}

/// METG: where the curve of efficiency over granularity crosses [`HALF`], by interpolation between
/// the two measured points on both sides, linear in efficiency and in the logarithm of granularity.
///
/// Tasks without work take no part: their rate is 0 by definition, so a crossing next to them
/// would not be a measured one. Where noise makes the curve cross several times, the middle
/// crossing counts; Task Bench takes the first, which noise can only make too low.
///
/// `None` where nothing was measured.
pub fn metg(lengths: &[Length], best: &Best) -> Option<Metg> {
    let worked: Vec<&Length> = sorted(lengths).into_iter().filter(|l| l.work > 0.0).collect();
    let of_means = |length: &&Length| Some((length.mean()?.ln(), efficiency(length, best)?.share));
    let curve: Vec<(f64, f64)> = worked.iter().filter_map(of_means).collect();
    let (shortest, longest) = (*curve.first()?, *curve.last()?);
    let Some(log) = crossing(&curve) else {
        return Some(if shortest.1 >= HALF {
            Metg::Below { shortest_ns: shortest.0.exp() }
        } else {
            Metg::Above { longest_ns: longest.0.exp() }
        });
    };
    let of_rounds = crossings_by_round(&worked, best);
    let mean = of_rounds.and_then(|logs| LogMean::of(&logs));
    Some(match mean {
        Some(mean) => Metg::Crosses { ns: mean.estimate(), interval: mean.interval() },
        None => Metg::Crosses { ns: log.exp(), interval: None },
    })
}

/// The crossing of each round that has all points, as logarithms; `None` where one does not cross.
fn crossings_by_round(lengths: &[&Length], best: &Best) -> Option<Vec<f64>> {
    let by_round: Vec<BTreeMap<u32, f64>> = lengths.iter().map(|l| rounds_of(l)).collect();
    let whole = best.rounds().into_iter().filter_map(|(round, ideal)| {
        let point = |(length, logs): (&&Length, &BTreeMap<u32, f64>)| {
            let log = *logs.get(&round)?;
            Some((log, (ideal + length.work.ln() - log).exp()))
        };
        lengths.iter().zip(&by_round).map(point).collect::<Option<Vec<_>>>()
    });
    whole.map(|curve| crossing(&curve)).collect()
}

/// The logarithm of granularity at which a curve of (log granularity, efficiency), in ascending
/// order of work, rises through [`HALF`]: the middle one of an odd number of crossings.
///
/// What comes after the last point that reaches it takes no part: there is no rise in it.
fn crossing(curve: &[(f64, f64)]) -> Option<f64> {
    let last = curve.iter().rposition(|(_, efficiency)| *efficiency >= HALF)?;
    let curve = &curve[..=last];
    if curve[0].1 >= HALF {
        return None;
    }
    let crossings: Vec<f64> = curve
        .windows(2)
        .filter(|pair| (pair[0].1 < HALF) != (pair[1].1 < HALF))
        .map(|pair| {
            let ((from, low), (to, high)) = (pair[0], pair[1]);
            from + (HALF - low) / (high - low) * (to - from)
        })
        .collect();
    crossings.get(crossings.len() / 2).copied()
}

fn sorted(lengths: &[Length]) -> Vec<&Length> {
    let mut sorted: Vec<&Length> = lengths.iter().filter(|l| !l.logs.is_empty()).collect();
    sorted.sort_by(|a, b| a.work.total_cmp(&b.work));
    sorted
}

fn rounds_of(length: &Length) -> BTreeMap<u32, f64> {
    length.logs.iter().copied().collect()
}

/// Rounds that every length has.
fn common_rounds(lengths: &[&Length]) -> BTreeSet<u32> {
    let rounds = |length: &&Length| -> BTreeSet<u32> { length.logs.iter().map(|l| l.0).collect() };
    let all = lengths.iter().map(rounds);
    all.reduce(|a, b| a.intersection(&b).copied().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
