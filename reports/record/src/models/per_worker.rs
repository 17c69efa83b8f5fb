//! What a worker, or a task in flight, costs in memory.
//!
//! The peak of the process tree is a straight line over the workers: what is there without any,
//! and as much again for each. The line is fitted by least squares of *relative* errors
//! (weights 1 / fitted value squared, found by repetition: Carroll and Ruppert 1988, section 2.1),
//! so that ten workers and a million both have a say: unweighted, the largest would decide alone,
//! and the intercept with it.
//!
//! A point is a cell, the mean of its memory launches; the scatter of the cells about the line
//! gives the intervals (t, cells - 2 degrees of freedom). Launches of one cell repeat each other
//! more exactly than cells follow a line, and would make intervals that are too narrow.

use std::fmt;

use super::{Value, series_key};
use crate::statistics::interval::CONFIDENCE;
use crate::statistics::{Interval, quantile::median, student};
use crate::{Cell, CellSummary, Group, Memory, Mode};

/// A line through two points always fits: it takes three numbers of workers.
pub const MIN_COUNTS: usize = 3;

/// Weights follow from the fit and the fit from the weights; by then both stand still.
const REPETITIONS: usize = 100;

/// A page: sizes below are as uncertain as one of this.
const LEAST: f64 = 4096.0;

/// Bytes over workers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Bytes that each more worker costs.
    pub per_worker: Value,
    /// Bytes without any worker.
    pub without: Value,
    /// Cells that it was fitted to.
    pub points: usize,
}

/// Why there is no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoLine {
    /// Too few numbers of workers.
    TooFewCounts {
        /// Numbers of workers whose memory is known.
        found: usize,
    },
}

impl fmt::Display for NoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::TooFewCounts { found } = self;
        write!(
            f,
            "it takes {MIN_COUNTS} numbers of workers whose memory is known, and there are {found}"
        )
    }
}

impl std::error::Error for NoLine {}

/// What a worker of one executor costs, of each kind of memory.
#[derive(Debug, Clone, PartialEq)]
pub struct PerWorker {
    /// The executor, with whatever else tells this series from others of its group.
    pub name: String,
    /// The executor alone.
    pub executor: String,
    /// The peak of the process tree (PSS).
    pub peak: Result<Line, NoLine>,
    /// The part of the peak in pages of one process alone.
    pub private: Result<Line, NoLine>,
    /// Kernel stacks: derived, not measured.
    pub kernel_stacks: Result<Line, NoLine>,
}

/// What a worker costs, for each series of the group whose memory was measured with several
/// numbers of workers.
pub fn of_group(group: &Group<'_>) -> Vec<PerWorker> {
    let mut keys = Vec::new();
    let mut series: Vec<Vec<&CellSummary<'_>>> = Vec::new();
    let measured = |cell: &&CellSummary<'_>| cell.failure.is_none() && cell.memory_peak.is_some();
    for cell in group.cells.iter().filter(measured) {
        let key = series_key(&cell.cell.id);
        let place = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            keys.push(key);
            series.push(Vec::new());
            keys.len() - 1
        });
        series[place].push(cell);
    }
    let named = keys.iter().map(|key| super::series_name(key, &keys)).zip(series);
    named.filter(|(_, cells)| cells.len() > 1).map(|(name, cells)| of_cells(name, &cells)).collect()
}

fn of_cells(name: String, cells: &[&CellSummary<'_>]) -> PerWorker {
    let line_of = |figure: fn(&Memory) -> Option<u64>| {
        let points: Vec<(f64, f64)> = cells
            .iter()
            .filter_map(|cell| Some((f64::from(cell.cell.id.workers), mean(cell.cell, figure)?)))
            .collect();
        line(&points)
    };
    PerWorker {
        name,
        executor: cells[0].cell.id.executor.clone(),
        peak: line_of(|memory| memory.peak),
        private: line_of(|memory| memory.private),
        kernel_stacks: line_of(|memory| memory.kernel_stacks),
    }
}

/// The mean of a figure over a cell's memory launches.
fn mean(cell: &Cell, figure: fn(&Memory) -> Option<u64>) -> Option<f64> {
    let memories = cell.sound_launches(Mode::Memory).filter_map(|launch| launch.memory.as_ref());
    let figures: Vec<f64> = memories.filter_map(figure).map(|bytes| bytes as f64).collect();
    (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
}

/// The memory of a cell's process tree, split: medians of its memory launches, in bytes. What was
/// not measured is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Split {
    /// The program, before it had any input.
    pub program: Option<f64>,
    /// What loading the input added.
    pub input: Option<f64>,
    /// What running added: workers with their copies.
    pub added: Option<f64>,
    /// The part of the peak in pages of one process alone.
    pub private: Option<f64>,
    /// The part of the peak in pages that several processes map.
    pub shared: Option<f64>,
    /// Kernel stacks: derived, and not part of the peak.
    pub kernel_stacks: Option<f64>,
}

impl Split {
    /// Everything absent for a cell without memory launches.
    pub fn of(cell: &Cell) -> Self {
        let of_memory = |figure: &dyn Fn(&Memory) -> Option<u64>| {
            let launches = cell.sound_launches(Mode::Memory);
            let figures: Vec<f64> = launches
                .filter_map(|launch| Some(figure(launch.memory.as_ref()?)? as f64))
                .collect();
            median(&figures)
        };
        Self {
            program: of_memory(&|memory| memory.empty),
            input: of_memory(&|memory| Some(memory.before?.saturating_sub(memory.empty?))),
            added: of_memory(&|memory| Some(memory.peak?.saturating_sub(memory.before?))),
            private: of_memory(&|memory| memory.private),
            shared: of_memory(&|memory| memory.shared),
            kernel_stacks: of_memory(&|memory| memory.kernel_stacks),
        }
    }
}

/// The line through points of (workers, bytes).
///
/// # Errors
/// With fewer than [`MIN_COUNTS`] different numbers of workers.
pub fn line(points: &[(f64, f64)]) -> Result<Line, NoLine> {
    let mut counts: Vec<f64> = points.iter().map(|(workers, _)| *workers).collect();
    counts.sort_by(f64::total_cmp);
    counts.dedup();
    if counts.len() < MIN_COUNTS {
        return Err(NoLine::TooFewCounts { found: counts.len() });
    }
    let mut scales: Vec<f64> = points.iter().map(|(_, bytes)| bytes.max(LEAST)).collect();
    let mut sums = Sums::of(points, &scales);
    for _ in 0..REPETITIONS {
        let fitted = |(workers, _): &(f64, f64)| sums.at(*workers).max(LEAST);
        scales = points.iter().map(fitted).collect();
        sums = Sums::of(points, &scales);
    }
    let residuals = points.iter().zip(&scales);
    let squares = residuals.map(|((n, bytes), scale)| ((bytes - sums.at(*n)) / scale).powi(2));
    let degrees = (points.len() - 2) as f64;
    let scatter = squares.sum::<f64>() / degrees;
    let t = student::critical(CONFIDENCE, degrees);
    let value = |estimate: f64, share: f64| {
        let reach = t * (scatter * share).max(0.0).sqrt();
        let interval = Interval { low: estimate - reach, high: estimate + reach };
        Value { estimate, interval: Some(interval) }
    };
    Ok(Line {
        per_worker: value(sums.slope, 1.0 / sums.spread),
        without: value(sums.intercept(), 1.0 / sums.weight + sums.mean_n.powi(2) / sums.spread),
        points: points.len(),
    })
}

/// The sums of a weighted straight line, taken about the means: a million squared and 10 squared
/// do not go together otherwise.
struct Sums {
    weight: f64,
    mean_n: f64,
    mean_bytes: f64,
    spread: f64,
    slope: f64,
}

impl Sums {
    fn of(points: &[(f64, f64)], scales: &[f64]) -> Self {
        let weighted = || points.iter().zip(scales).map(|((n, bytes), s)| (*n, *bytes, s.powi(-2)));
        let weight: f64 = weighted().map(|(_, _, w)| w).sum();
        let mean_n = weighted().map(|(n, _, w)| w * n).sum::<f64>() / weight;
        let mean_bytes = weighted().map(|(_, bytes, w)| w * bytes).sum::<f64>() / weight;
        let spread: f64 = weighted().map(|(n, _, w)| w * (n - mean_n).powi(2)).sum();
        let along: f64 = weighted().map(|(n, b, w)| w * (n - mean_n) * (b - mean_bytes)).sum();
        Self { weight, mean_n, mean_bytes, spread, slope: along / spread }
    }

    fn at(&self, workers: f64) -> f64 {
        self.mean_bytes + self.slope * (workers - self.mean_n)
    }

    fn intercept(&self) -> f64 {
        self.at(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::planted::Noise;
    use super::*;
    use crate::fixture::{cell, launch, memory, record};
    use crate::verdict::groups;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-6 * expected.abs()
    }

    #[test]
    fn the_line_is_scipys() {
        // scipy.optimize.curve_fit(a + b x, sigma = the fitted values, absolute_sigma=False),
        // repeated until they stand still, and scipy.stats.t.ppf(0.975, 3); SciPy 1.17.1
        let points = [(10.0, 8.1e6), (100.0, 8.3e6), (1e3, 8.6e6), (1e4, 13.2e6), (1e5, 52.7e6)];
        let found = line(&points).unwrap();
        assert!(close(found.per_worker.estimate, 452.3940873298123), "{found:?}");
        assert!(close(found.without.estimate, 8225050.866616967), "{found:?}");
        let (slope, without) =
            (found.per_worker.interval.unwrap(), found.without.interval.unwrap());
        assert!(close(slope.low, 412.83190319566563), "{slope:?}");
        assert!(close(slope.high, 491.95627146395896), "{slope:?}");
        assert!(close(without.low, 7862593.1003189), "{without:?}");
        assert!(close(without.high, 8587508.632915033), "{without:?}");
    }

    #[test]
    fn a_planted_cost_lies_in_its_interval_from_ten_to_a_million() {
        let mut random = Noise::new(21);
        let mut held = 0;
        for _ in 0..500 {
            let points: Vec<(f64, f64)> = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6]
                .map(|n: f64| (n, (8e6 + 448.0 * n) * (1.0 + 0.01 * random.next())))
                .to_vec();
            let interval = line(&points).unwrap().per_worker.interval.unwrap();
            held += usize::from((interval.low..=interval.high).contains(&448.0));
        }
        println!("bytes per worker: {held} of 500");
        assert!(held * 100 >= 93 * 500, "{held} of 500");
    }

    #[test]
    fn each_kind_of_memory_has_its_line() {
        let cells = [1, 2, 4].map(|workers: u32| {
            let mut cell = cell("processes:spawn", vec![launch(0, &[100])]);
            cell.id.workers = workers;
            let mut launch = memory(0, 10_000_000 + 5_000_000 * u64::from(workers));
            let figures = launch.memory.as_mut().unwrap();
            figures.private = Some(4_000_000 * u64::from(workers));
            figures.kernel_stacks = Some(16_384 * u64::from(workers + 1));
            cell.launches.push(launch);
            cell
        });
        let record = record(cells.to_vec());
        let found = of_group(&groups(&record)[0]).remove(0);
        let slope = |line: Result<Line, NoLine>| line.unwrap().per_worker.estimate.round();
        assert_eq!(found.name, "processes:spawn");
        assert_eq!(slope(found.peak), 5_000_000.0);
        assert_eq!(slope(found.private), 4_000_000.0);
        assert_eq!(slope(found.kernel_stacks), 16_384.0);
    }

    #[test]
    fn a_peak_is_split_by_origin_and_by_owner() {
        let mut launch = memory(3_000, 10_000);
        let figures = launch.memory.as_mut().unwrap();
        (figures.empty, figures.private, figures.shared) = (Some(1_000), Some(8_000), Some(2_000));
        let expected = Split {
            program: Some(1_000.0),
            input: Some(2_000.0),
            added: Some(7_000.0),
            private: Some(8_000.0),
            shared: Some(2_000.0),
            kernel_stacks: None,
        };
        assert_eq!(Split::of(&cell("threads", vec![launch])), expected);
        assert_eq!(Split::of(&cell("threads", vec![])), Split::default());
    }

    #[test]
    fn two_counts_are_no_line_however_often_they_were_measured() {
        let points = [(1.0, 5e6), (2.0, 6e6), (2.0, 6.1e6), (1.0, 5.1e6)];
        let refused = line(&points).unwrap_err();
        assert_eq!(refused, NoLine::TooFewCounts { found: 2 });
        assert_eq!(
            refused.to_string(),
            "it takes 3 numbers of workers whose memory is known, and there are 2"
        );
    }
}
