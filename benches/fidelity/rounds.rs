//! Rounds of short blocks in turn, and what they come to.

use std::path::Path;

use manyhands_record::Interval;
use manyhands_record::statistics::interval::LogMean;
use manyhands_record::statistics::quantile::median;

use crate::sides::{Comparison, Result};

/// Fewer rounds give no interval.
const LEAST_ROUNDS: usize = 6;

/// Rounds, at most.
const MOST_ROUNDS: usize = 12;

/// The half-width of the interval at which rounds end.
const NARROW: f64 = 0.01;

/// What a comparison came to.
pub(crate) struct Found {
    /// The median of the rounds' ratios: manyhands / other.
    pub(crate) ratio: f64,
    /// 95 %, of the rounds' geometric mean.
    pub(crate) interval: Option<Interval>,
    pub(crate) rounds: usize,
    /// The smallest ratio of a round.
    pub(crate) least: f64,
    /// The largest.
    pub(crate) most: f64,
}

/// Goes on until the ratio is known well enough.
pub(crate) fn go(comparison: &Comparison, folder: &Path) -> Result<Found> {
    let mut logs = Vec::new();
    while logs.len() < MOST_ROUNDS {
        logs.push(round(comparison, folder, logs.len())?);
        let interval = LogMean::of(&logs).and_then(|mean| mean.interval());
        let narrow = interval.is_some_and(|i| (i.high / i.low).ln() / 2.0 < NARROW);
        if logs.len() >= LEAST_ROUNDS && narrow {
            break;
        }
    }
    Ok(found(&logs))
}

fn found(logs: &[f64]) -> Found {
    let ratios: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
    Found {
        ratio: median(&ratios).expect("there is a round"),
        interval: LogMean::of(logs).and_then(|mean| mean.interval()),
        rounds: logs.len(),
        least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        most: ratios.iter().copied().fold(0.0, f64::max),
    }
}

/// The logarithm of one round's ratio: two blocks of each side, so ordered that a steady drift
/// adds as much to the one as to the other.
fn round(comparison: &Comparison, folder: &Path, number: usize) -> Result<f64> {
    let ours_first = number.is_multiple_of(2);
    let mut sums = [0.0; 2];
    for is_ours in [ours_first, !ours_first, !ours_first, ours_first] {
        let side = if is_ours { &comparison.ours } else { &comparison.theirs };
        let block = tempfile::tempdir_in(folder).map_err(|e| format!("no folder: {e}"))?;
        let ns = side(block.path()).map_err(|error| format!("{}: {error}", comparison.what))?;
        sums[usize::from(is_ours)] += ns.ln();
    }
    let [theirs, ours] = sums;
    Ok((ours - theirs) / 2.0)
}
