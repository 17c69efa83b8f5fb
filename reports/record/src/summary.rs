//! What a cell comes to: the row of a table.

use crate::statistics::{CellOutliers, Decomposition, Estimate, Interval, Times, quantile::median};
use crate::{Bound, Cell, Failure, Launch, Memory, Mode, Sample};

/// Near its bound is a cell whose floor is at least this share of its time.
const NEAR: f64 = 0.95;

/// What a cell comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct CellSummary<'a> {
    /// The cell itself, with its identity and all that was measured.
    pub cell: &'a Cell,
    /// The shortest name that no other cell of its group has: the executor, and with it the
    /// workers and the chunk where the group varies them.
    pub label: String,
    /// Why it failed or is unsupported. Such a cell has no time and is compared with nothing,
    /// even if some of its launches went well: the ones that failed might have been the slow
    /// ones.
    pub failure: Option<&'a Failure>,
    /// The time of one sample.
    pub time: Option<Estimate>,
    /// The time of a launch's first sample.
    pub cold: Option<Estimate>,
    /// Samples and launches that stand out. All of them are part of the time.
    pub outliers: Option<CellOutliers>,
    /// How much launches differ, and how much the samples of one: absent where that cannot be
    /// told.
    pub variance: Option<Decomposition>,
    /// How many times as fast as the group's sequential cell it is; absent for that one itself.
    pub speedup: Option<Ratio>,
    /// Speed-up / workers: 1 where every worker contributes as much as the sequential loop does
    /// alone. Workers beyond the machine's cores can only lower it for computing, while waiting
    /// is not limited by cores.
    pub efficiency: Option<f64>,
    /// How many times as long as the group's fastest cell it takes; absent for that one itself.
    pub vs_best: Option<Ratio>,
    /// CPU time of all workers for one sample, in nanoseconds: the median.
    pub cpu_ns: Option<f64>,
    /// Voluntary context switches of all workers in one sample: the median.
    pub voluntary: Option<f64>,
    /// Involuntary context switches of all workers in one sample: the median.
    pub involuntary: Option<f64>,
    /// Memory of the process tree before the executor was started, in bytes: the median of the
    /// memory launches.
    pub memory_before: Option<f64>,
    /// The largest sampled memory of the process tree, in bytes: the median of the memory
    /// launches.
    pub memory_peak: Option<f64>,
    /// The longest time between two readings of the memory: a shorter peak may have been missed.
    pub memory_gap_ns: Option<u64>,
    /// Time to start the executor, in nanoseconds: the median of the launches in time mode.
    pub startup_ns: Option<f64>,
    /// How near it is to what no executor can beat.
    pub bound: Option<AtBound<'a>>,
}

/// A comparison of two cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The geometric mean of the ratios within rounds.
    pub estimate: f64,
    /// 95 %, of this comparison alone; absent below six rounds that have both.
    pub interval: Option<Interval>,
    /// The p-value of "they are equally fast", corrected for the number of comparisons in the
    /// group; absent as the interval is.
    pub p: Option<f64>,
    /// The smallest ratio (above 1) that would have been called a difference in 80 of 100 such
    /// runs: what a tie says. Never below the larger of 2 % and the noise floor; for the
    /// strictest level that the correction asks of any comparison; absent as the interval is.
    pub detectable: Option<f64>,
    /// Rounds that have both.
    pub pairs: usize,
    /// Whether first, cold samples were compared, because one of the two has no others. Then
    /// the ratio is not that of the printed times, if the other has warm ones.
    pub cold: bool,
    /// What may be said about the cell.
    pub verdict: Verdict,
}

/// What may be said about a cell that was compared with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is faster.
    Faster,
    /// It is slower.
    Slower,
    /// No difference was shown, or one too small to matter. That is not a proof of equality.
    Tie,
    /// Too few rounds to say anything.
    Inconclusive,
}

/// How near a cell is to what no executor can beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtBound<'a> {
    /// The bound.
    pub bound: &'a Bound,
    /// Floor / time: 1 at the bound.
    pub fraction: f64,
    /// Whether the floor is at least 95 % of the time: then the bound explains the speed.
    pub near: bool,
    /// Whether a sample was faster than the floor, which no correct one can be: then the bound
    /// is wrong, or the work was not done.
    pub broken: bool,
}

impl<'a> CellSummary<'a> {
    /// All that one cell says by itself; the comparisons are left for the group.
    pub(crate) fn of(cell: &'a Cell, label: String, times: Option<&Times<'a>>) -> Self {
        let time = times.map(Times::estimate);
        let samples: Vec<&Sample> = times.map(|t| t.samples().collect()).unwrap_or_default();
        let of_samples = |figure: fn(&Sample) -> Option<u64>| {
            median_of(samples.iter().copied().filter_map(figure))
        };
        let memories: Vec<&Memory> =
            cell.sound_launches(Mode::Memory).filter_map(|l| l.memory.as_ref()).collect();
        let of_memory = |figure: fn(&Memory) -> Option<u64>| {
            median_of(memories.iter().copied().filter_map(figure))
        };
        let startup = |launch: &Launch| launch.startup_ns;
        Self {
            cell,
            label,
            failure: cell.failure(),
            time,
            cold: times.map(Times::cold_estimate),
            outliers: times.map(CellOutliers::of),
            variance: times.and_then(Decomposition::of_times),
            speedup: None,
            efficiency: None,
            vs_best: None,
            cpu_ns: of_samples(Sample::cpu_ns),
            voluntary: of_samples(|sample| sample.voluntary),
            involuntary: of_samples(|sample| sample.involuntary),
            memory_before: of_memory(|memory| memory.before),
            memory_peak: of_memory(|memory| memory.peak),
            memory_gap_ns: memories.iter().filter_map(|memory| memory.gap_ns).max(),
            startup_ns: median_of(cell.sound_launches(Mode::Time).filter_map(startup)),
            bound: cell.bound.as_ref().zip(time).map(|(b, t)| AtBound::of(b, t.ns, cell)),
        }
    }
}

impl<'a> AtBound<'a> {
    fn of(bound: &'a Bound, ns: f64, cell: &Cell) -> Self {
        let mut samples = cell.sound_launches(Mode::Time).flat_map(|launch| &launch.samples);
        // A measured 0 ns counts as 1 ns, as in every estimate.
        let fraction = bound.floor_ns as f64 / ns.max(1.0);
        let broken = samples.any(|sample| sample.wall_ns < bound.floor_ns);
        Self { bound, fraction, near: fraction >= NEAR, broken }
    }
}

fn median_of(figures: impl Iterator<Item = u64>) -> Option<f64> {
    let figures: Vec<f64> = figures.map(|figure| figure as f64).collect();
    median(&figures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, launch, memory};

    fn summary(cell: &Cell) -> CellSummary<'_> {
        CellSummary::of(cell, String::new(), Times::of(cell).as_ref())
    }

    #[test]
    fn costs_are_medians_and_what_was_not_measured_is_absent() {
        let launches =
            vec![launch(0, &[900, 100, 104]), memory(1_000, 5_000), memory(1_000, 7_000)];
        let cell = cell("threads", launches);
        let summary = summary(&cell);
        assert_eq!(summary.cpu_ns, Some(102.0));
        assert_eq!((summary.voluntary, summary.involuntary), (Some(2.0), None));
        assert_eq!((summary.memory_before, summary.memory_peak), (Some(1_000.0), Some(6_000.0)));
        assert_eq!((summary.startup_ns, summary.memory_gap_ns), (Some(50.0), Some(1_000_000)));
        assert_eq!(
            (summary.time.unwrap().ns.round(), summary.cold.unwrap().ns.round()),
            (102.0, 900.0)
        );
    }

    #[test]
    fn a_bound_is_near_from_95_percent_and_broken_by_a_sample_below_it() {
        let bound = |floor_ns| Some(Bound { floor_ns, reason: "the server".to_owned() });
        let mut cell = cell("threads", vec![launch(0, &[900, 1_000])]);
        for (floor, near, broken) in [(900, false, false), (960, true, true), (0, false, false)] {
            cell.bound = bound(floor);
            let found = summary(&cell).bound.unwrap();
            assert_eq!((found.near, found.broken), (near, broken), "{found:?}");
            assert!((found.fraction - floor as f64 / 1_000.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_cell_without_launches_is_a_row_without_figures() {
        let cell = cell("threads", vec![]);
        let summary = summary(&cell);
        assert_eq!((summary.time, summary.cpu_ns, summary.bound), (None, None, None));
        assert_eq!((summary.outliers, summary.variance), (None, None));
    }

    #[test]
    fn a_cell_says_where_its_variance_lies_and_what_stands_out() {
        let quiet = |round, wall| launch(round, &[9 * wall, wall, wall + 1, wall, wall + 1, wall]);
        let mut cell = cell("threads", vec![quiet(0, 1_000), quiet(1, 1_100), quiet(2, 1_050)]);
        cell.launches[2].samples[5].wall_ns = 1_500;
        let found = summary(&cell);
        let outliers = found.outliers.unwrap();
        assert_eq!((outliers.samples.count(), outliers.samples.values), (1, 15));
        let variance = found.variance.unwrap();
        assert_eq!((variance.launches, variance.samples), (3, 15));
        cell.launches[2].samples[5].wall_ns = 1_050;
        let share = summary(&cell).variance.unwrap().share_between().unwrap();
        assert!(share > 0.99 && share > variance.share_between().unwrap(), "{share}");
    }
}
