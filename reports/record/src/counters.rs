//! What processors and workloads counted while samples ran.

use std::collections::BTreeMap;

use crate::statistics::{Times, quantile::median};
use crate::{Cell, Hardware, Sample};

/// What the processors did during one sample of a cell, over all workers: medians over the samples
/// that its time rests on. What was not counted is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Processor {
    /// CPU time in user mode, in nanoseconds.
    pub user_ns: Option<f64>,
    /// CPU time in the kernel, in nanoseconds.
    pub system_ns: Option<f64>,
    /// Voluntary context switches.
    pub voluntary: Option<f64>,
    /// Involuntary context switches.
    pub involuntary: Option<f64>,
    /// How often a thread was moved to another processor.
    pub migrations: Option<f64>,
    /// Processor cycles.
    pub cycles: Option<f64>,
    /// Instructions that were completed.
    pub instructions: Option<f64>,
    /// Misses of the last level of cache.
    pub cache_misses: Option<f64>,
    /// Branches that were predicted wrongly.
    pub branch_misses: Option<f64>,
}

impl Processor {
    /// Everything absent for a cell without samples.
    pub fn of(cell: &Cell) -> Self {
        let samples = samples(cell);
        let of_samples = |figure: &dyn Fn(&Sample) -> Option<u64>| {
            let figures: Vec<f64> =
                samples.iter().filter_map(|sample| Some(figure(sample)? as f64)).collect();
            median(&figures)
        };
        let of_hardware =
            |figure: fn(&Hardware) -> Option<u64>| of_samples(&|s| figure(s.hardware.as_ref()?));
        Self {
            user_ns: of_samples(&|sample| sample.user_ns),
            system_ns: of_samples(&|sample| sample.system_ns),
            voluntary: of_samples(&|sample| sample.voluntary),
            involuntary: of_samples(&|sample| sample.involuntary),
            migrations: of_samples(&|sample| sample.migrations),
            cycles: of_hardware(|hardware| hardware.cycles),
            instructions: of_hardware(|hardware| hardware.instructions),
            cache_misses: of_hardware(|hardware| hardware.cache_misses),
            branch_misses: of_hardware(|hardware| hardware.branch_misses),
        }
    }
}

/// What the workload counted beside its answer: the median of each counter over the samples that
/// the cell's time rests on.
pub fn of_workload(cell: &Cell) -> BTreeMap<&str, f64> {
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for sample in samples(cell) {
        for (name, value) in &sample.counters {
            all.entry(name).or_default().push(*value);
        }
    }
    all.into_iter().filter_map(|(name, values)| Some((name, median(&values)?))).collect()
}

fn samples(cell: &Cell) -> Vec<&Sample> {
    Times::of(cell).map(|times| times.samples().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, launch};

    #[test]
    fn medians_are_of_the_warm_samples_and_what_was_not_counted_is_absent() {
        let mut launch = launch(0, &[900, 100, 104]);
        for (sample, lost) in launch.samples.iter_mut().zip([7.0, 1.0, 3.0]) {
            sample.migrations = Some(lost as u64);
            sample.counters.insert("lost-updates".to_owned(), lost);
            sample.hardware =
                Some(Hardware { cycles: Some(100 * lost as u64), ..Hardware::default() });
        }
        let cell = cell("threads", vec![launch]);
        let found = Processor::of(&cell);
        assert_eq!((found.migrations, found.cycles), (Some(2.0), Some(200.0)));
        assert_eq!(
            (found.voluntary, found.involuntary, found.instructions),
            (Some(2.0), None, None)
        );
        assert_eq!(of_workload(&cell), BTreeMap::from([("lost-updates", 2.0)]));
    }

    #[test]
    fn a_cell_without_samples_counted_nothing() {
        let cell = cell("threads", vec![]);
        assert_eq!(Processor::of(&cell), Processor::default());
        assert!(of_workload(&cell).is_empty());
    }
}
