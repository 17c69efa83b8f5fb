//! What came of comparing one executor with one yardstick, and what the performance budget says.

use manyhands::executors::ExecutorName;

use crate::side::Length;
use crate::statistics::Estimate;

/// What an executor is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// The same loop written by hand with the same library.
    Hand,
    /// Python's `multiprocessing.Pool`.
    PythonPool,
}

impl Against {
    /// In tables and objects.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::PythonPool => "python-pool",
        }
    }
}

/// One row.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) executor: ExecutorName,
    pub(crate) length: Length,
    pub(crate) against: Against,
    /// Per task.
    pub(crate) ours_ns: Estimate,
    /// Per task.
    pub(crate) theirs_ns: Estimate,
    /// Against a loop by hand: our time over its time. Against the pool: our tasks per second
    /// over its tasks per second.
    pub(crate) ratio: Estimate,
    /// Ours less theirs, per task.
    pub(crate) excess_ns: Estimate,
}

impl Comparison {
    /// Of pairs (ours, theirs) in nanoseconds per task, each measured side by side.
    pub(crate) fn of(
        executor: ExecutorName,
        length: Length,
        against: Against,
        pairs: &[(f64, f64)],
    ) -> Self {
        let each = |of: fn(f64, f64) -> f64| {
            Estimate::of(pairs.iter().map(|(ours, theirs)| of(*ours, *theirs)))
        };
        Self {
            executor,
            length,
            against,
            ours_ns: each(|ours, _| ours),
            theirs_ns: each(|_, theirs| theirs),
            ratio: match against {
                Against::Hand => each(|ours, theirs| ours / theirs),
                Against::PythonPool => each(|ours, theirs| theirs / ours),
            },
            excess_ns: each(|ours, theirs| ours - theirs),
        }
    }

    /// What the budget allows.
    pub(crate) fn bound(&self) -> Bound {
        match (self.against, self.executor, self.length) {
            (Against::PythonPool, ExecutorName::ProcessesShm, _) => Bound::RatioAtLeast(100.0),
            (Against::PythonPool, ..) => Bound::RatioAtLeast(20.0),
            (Against::Hand, _, Length::TenMicroseconds) => Bound::RatioAtMost(1.05),
            (Against::Hand, _, Length::Noop) => {
                Bound::ExcessAtMost(f64::max(20.0, 0.05 * self.theirs_ns.median))
            }
        }
    }

    /// Whether the bound is met.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.bound() {
            Bound::RatioAtMost(most) => judge(self.ratio, |ratio| ratio <= most),
            Bound::RatioAtLeast(least) => judge(self.ratio, |ratio| ratio >= least),
            Bound::ExcessAtMost(most) => judge(self.excess_ns, |excess| excess <= most),
        }
    }
}

/// A line of the performance budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    /// Nanoseconds per task.
    ExcessAtMost(f64),
}

/// Whether a bound is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    NotMet,
    /// The estimate is beyond the bound but its interval is not: measure on a quieter machine.
    Unclear,
}

fn judge(estimate: Estimate, meets: impl Fn(f64) -> bool) -> Verdict {
    if meets(estimate.median) {
        return Verdict::Met;
    }
    match estimate.interval {
        Some(interval) if !interval.into_iter().any(meets) => Verdict::NotMet,
        _ => Verdict::Unclear,
    }
}
