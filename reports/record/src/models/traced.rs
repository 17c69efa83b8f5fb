//! What a traced launch tells of a cell: where the time went, how long single tasks took and
//! waited, and what tracing itself cost.

use crate::{CellSummary, Histogram, Mode, Shares, Trace};

/// The traced sample of a cell, with what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traced<'a> {
    /// The sample.
    pub trace: &'a Trace,
    /// Its launch's place among all launches of the run: the traces' files are named by it.
    pub sequence: u32,
    /// What tracing cost ([`crate::trace::cost`]): one sample, so it holds the noise of one.
    pub cost: Option<f64>,
    /// Whether tasks came at a rate of their own: then latency counts from when a task was due.
    pub open_loop: bool,
}

/// The first sound traced launch of a cell.
pub fn of_cell<'a>(cell: &CellSummary<'a>) -> Option<Traced<'a>> {
    let mut launches = cell.cell.sound_launches(Mode::Trace);
    let (launch, trace) = launches.find_map(|launch| Some((launch, launch.trace.as_ref()?)))?;
    let cost = crate::trace::cost(cell.cell);
    let open_loop = cell.cell.id.rate.is_some();
    Some(Traced { trace, sequence: launch.sequence, cost, open_loop })
}

/// A part of the wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Inside tasks, on a core.
    Computing,
    /// Inside tasks, off the cores.
    Waiting,
    /// Between tasks: start-up of the phase and dispatch.
    Dispatch,
    /// Waiting for the other lanes at the end of a phase.
    Imbalance,
    /// Without any task.
    Idle,
    /// What is in none of them.
    Residual,
}

impl Part {
    /// In the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Computing,
        Self::Waiting,
        Self::Dispatch,
        Self::Imbalance,
        Self::Idle,
        Self::Residual,
    ];

    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Computing => "computing",
            Self::Waiting => "waiting in tasks",
            Self::Dispatch => "start-up and dispatch",
            Self::Imbalance => "imbalance",
            Self::Idle => "no task",
            Self::Residual => "residual",
        }
    }

    /// Its nanoseconds; all of them add up to the wall time. Only the residual may be negative.
    pub fn ns(self, shares: &Shares) -> i64 {
        let whole = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        match self {
            Self::Computing => whole(shares.computing_ns),
            Self::Waiting => whole(shares.waiting_ns),
            Self::Dispatch => whole(shares.dispatch_ns),
            Self::Imbalance => whole(shares.imbalance_ns),
            Self::Idle => whole(shares.idle_ns),
            Self::Residual => shares.residual_ns,
        }
    }
}

/// [`Histogram::quantile`], but absent where fewer than one count lies beyond: the 99.9th percentile
/// of 64 tasks would be another name for the longest.
pub fn percentile(histogram: &Histogram, q: f64) -> Option<u64> {
    let beyond = histogram.count() as f64 * (1.0 - q);
    histogram.quantile(q).filter(|_| beyond >= 1.0 - 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Launch;
    use crate::fixture::{cell, launch, record, timed};
    use crate::verdict::groups;

    #[test]
    fn percentiles_are_those_of_the_counted_values() {
        let histogram = Histogram { buckets: (1..=1_000).map(|ms| (ms * 1_000, 1)).collect() };
        let found = [0.5, 0.9, 0.99, 0.999].map(|q| percentile(&histogram, q));
        assert_eq!(found, [Some(500_000), Some(900_000), Some(990_000), Some(999_000)]);
    }

    #[test]
    fn a_percentile_beyond_the_last_value_is_absent() {
        let histogram = Histogram { buckets: vec![(10, 63), (90, 1)] };
        assert_eq!(percentile(&histogram, 0.5), Some(10));
        assert_eq!(percentile(&histogram, 0.99), None);
        assert_eq!(percentile(&Histogram::default(), 0.5), None);
    }

    #[test]
    fn the_parts_add_up_and_the_cost_of_tracing_is_a_ratio() {
        let shares = Shares {
            lanes: 2,
            wall_ns: 1_100,
            computing_ns: 700,
            waiting_ns: 200,
            dispatch_ns: 150,
            imbalance_ns: 60,
            idle_ns: 0,
            residual_ns: -10,
        };
        assert_eq!(Part::ALL.iter().map(|part| part.ns(&shares)).sum::<i64>(), 1_100);
        let trace = Some(Trace { shares, ..Trace::default() });
        let traced = Launch { mode: Mode::Trace, sequence: 42, trace, ..launch(0, &[1_100]) };
        let mut threads = timed("threads", &[1_000; 6]);
        threads.launches.push(traced);
        let record = record(vec![threads, cell("rayon", vec![launch(0, &[5])])]);
        let groups = groups(&record);
        let found = of_cell(&groups[0].cells[0]).unwrap();
        assert!((found.cost.unwrap() - 1.1).abs() < 1e-9);
        assert_eq!((found.sequence, found.open_loop), (42, false));
        assert_eq!(of_cell(&groups[0].cells[1]), None);
    }
}
