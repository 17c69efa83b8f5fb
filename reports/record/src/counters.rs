//! What processors and workloads counted while samples ran.

use std::collections::BTreeMap;

use crate::statistics::{Times, quantile::median};
use crate::{Cell, Hardware, Mode, Sample};

/// What the processors did during one sample of a cell, over all workers. CPU time and switches
/// are medians over the samples that its time rests on. Migrations and hardware counters would
/// disturb those, so they are counted in the last sample of each launch in memory mode, and are
/// medians over these. What was not counted is absent.
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
        let counted: Vec<&Sample> =
            cell.sound_launches(Mode::Memory).filter_map(|launch| launch.samples.last()).collect();
        let of_samples = |figure: fn(&Sample) -> Option<u64>| median_of(&samples, &figure);
        let of_hardware = |figure: fn(&Hardware) -> Option<u64>| {
            median_of(&counted, &|sample| figure(sample.hardware.as_ref()?))
        };
        Self {
            user_ns: of_samples(|sample| sample.user_ns),
            system_ns: of_samples(|sample| sample.system_ns),
            voluntary: of_samples(|sample| sample.voluntary),
            involuntary: of_samples(|sample| sample.involuntary),
            migrations: median_of(&counted, &|sample| sample.migrations),
            cycles: of_hardware(|hardware| hardware.cycles),
            instructions: of_hardware(|hardware| hardware.instructions),
            cache_misses: of_hardware(|hardware| hardware.cache_misses),
            branch_misses: of_hardware(|hardware| hardware.branch_misses),
        }
    }
}

fn median_of(samples: &[&Sample], figure: &dyn Fn(&Sample) -> Option<u64>) -> Option<f64> {
    let figures: Vec<f64> =
        samples.iter().filter_map(|sample| Some(figure(sample)? as f64)).collect();
    median(&figures)
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
    use crate::fixture::{cell, launch, memory, sample};

    #[test]
    fn times_are_of_time_launches_and_counters_of_the_last_sample_of_memory_launches() {
        let mut time = launch(0, &[900, 100, 104]);
        for (sample, lost) in time.samples.iter_mut().zip([7.0, 1.0, 3.0]) {
            sample.counters.insert("lost-updates".to_owned(), lost);
        }
        let counted = |migrations| {
            let mut launch = memory(1_000, 5_000);
            launch.samples = vec![sample(9_000), sample(8_000)];
            launch.samples[1].migrations = Some(migrations);
            launch.samples[1].hardware =
                Some(Hardware { cycles: Some(100 * migrations), ..Hardware::default() });
            launch
        };
        let cell = cell("threads", vec![time, counted(1), counted(3)]);
        let found = Processor::of(&cell);
        assert_eq!((found.migrations, found.cycles), (Some(2.0), Some(200.0)));
        assert_eq!((found.user_ns, found.voluntary), (Some(102.0), Some(2.0)));
        assert_eq!((found.involuntary, found.instructions), (None, None));
        assert_eq!(of_workload(&cell), BTreeMap::from([("lost-updates", 2.0)]));
    }

    #[test]
    fn a_cell_without_samples_counted_nothing() {
        let cell = cell("threads", vec![]);
        assert_eq!(Processor::of(&cell), Processor::default());
        assert!(of_workload(&cell).is_empty());
    }
}
