//! What one launch, and all launches of a cell, say about time.

use super::interval::{Estimate, LogMean, log_of_ns};
use super::quantile::median;
use super::steady;
use crate::{Cell, Launch, Mode, Sample};

/// What one launch says about time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaunchTimes<'a> {
    /// The launch's round.
    pub round: u32,
    /// The first sample: always kept apart.
    pub cold: &'a Sample,
    /// The samples in steady state; empty where the cold one is the only one.
    pub steady: &'a [Sample],
    /// Samples between the two: warm-up.
    pub dropped: usize,
}

impl<'a> LaunchTimes<'a> {
    /// `None` for a launch without samples.
    pub fn of(launch: &'a Launch) -> Option<Self> {
        let (cold, warm) = launch.samples.split_first()?;
        let walls: Vec<u64> = warm.iter().map(|sample| sample.wall_ns).collect();
        let dropped = steady::dropped(&walls);
        Some(Self { round: launch.round, cold, steady: &warm[dropped..], dropped })
    }

    /// The samples that count: the cold one or the steady ones.
    pub fn samples(&self, cold: bool) -> &'a [Sample] {
        if cold { std::slice::from_ref(self.cold) } else { self.steady }
    }

    /// The median of the samples that count, as the logarithm of nanoseconds.
    fn log(&self, cold: bool) -> Option<f64> {
        let walls: Vec<f64> = self.samples(cold).iter().map(|s| s.wall_ns as f64).collect();
        median(&walls).map(log_of_ns)
    }
}

/// What the launches of a cell say about time: those in time mode that did not fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Times<'a> {
    /// In the order of the record.
    pub launches: Vec<LaunchTimes<'a>>,
    /// Whether no launch has more than its cold sample. Then that one is what there is, and the
    /// estimate says so. As soon as any launch has warm samples, cold ones are never mixed in.
    pub cold: bool,
    warm_logs: Vec<(u32, f64)>,
    cold_logs: Vec<(u32, f64)>,
}

impl<'a> Times<'a> {
    /// `None` where no sound launch in time mode has a sample.
    pub fn of(cell: &'a Cell) -> Option<Self> {
        let launches: Vec<_> =
            cell.sound_launches(Mode::Time).filter_map(LaunchTimes::of).collect();
        let logs = |cold| -> Vec<(u32, f64)> {
            launches.iter().filter_map(|l| Some((l.round, l.log(cold)?))).collect()
        };
        let (warm_logs, cold_logs) = (logs(false), logs(true));
        let cold = warm_logs.is_empty();
        (!launches.is_empty()).then_some(Self { launches, cold, warm_logs, cold_logs })
    }

    /// Each usable launch's round and the logarithm of its time in nanoseconds, of the cold
    /// samples or of the steady ones.
    pub fn logs(&self, cold: bool) -> &[(u32, f64)] {
        if cold { &self.cold_logs } else { &self.warm_logs }
    }

    /// The same without the rounds, of the samples that the estimate is made of.
    pub fn values(&self) -> Vec<f64> {
        self.logs(self.cold).iter().map(|&(_, log)| log).collect()
    }

    /// All samples that the estimate is made of.
    pub fn samples(&self) -> impl Iterator<Item = &'a Sample> {
        self.launches.iter().flat_map(|launch| launch.samples(self.cold))
    }

    /// The time of one sample.
    pub fn estimate(&self) -> Estimate {
        self.estimate_of(self.cold)
    }

    /// The time of a launch's first sample.
    pub fn cold_estimate(&self) -> Estimate {
        self.estimate_of(true)
    }

    fn estimate_of(&self, cold: bool) -> Estimate {
        let logs: Vec<f64> = self.logs(cold).iter().map(|&(_, log)| log).collect();
        let mean = LogMean::of(&logs).expect("times have a launch, whose samples were looked at");
        let dropped = |l: &LaunchTimes<'_>| if cold { 0 } else { l.dropped };
        Estimate {
            ns: mean.estimate(),
            interval: mean.interval(),
            launches: mean.count(),
            samples: self.launches.iter().map(|l| l.samples(cold).len()).sum(),
            dropped: self.launches.iter().map(dropped).sum(),
            cold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, failed, launch};

    #[test]
    fn a_launch_is_the_median_of_its_warm_samples() {
        let launch = launch(3, &[9_000, 100, 300, 110]);
        let times = LaunchTimes::of(&launch).unwrap();
        assert_eq!((times.round, times.cold.wall_ns, times.steady.len()), (3, 9_000, 3));
        assert_eq!(times.log(false), Some(110.0_f64.ln()));
        assert_eq!(times.log(true), Some(9_000.0_f64.ln()));
    }

    #[test]
    fn the_estimate_is_the_geometric_mean_of_the_launches() {
        let cell = cell("threads", vec![launch(0, &[900, 100]), launch(1, &[900, 121])]);
        let estimate = Times::of(&cell).unwrap().estimate();
        assert!((estimate.ns - 110.0).abs() < 1e-9);
        assert_eq!((estimate.launches, estimate.samples, estimate.cold), (2, 2, false));
    }

    #[test]
    fn a_launch_with_only_a_cold_sample_is_left_out_where_others_have_warm_ones() {
        let cell = cell("threads", vec![launch(0, &[900]), launch(1, &[900, 100])]);
        let times = Times::of(&cell).unwrap();
        let estimate = times.estimate();
        assert_eq!((estimate.launches, estimate.cold), (1, false));
        assert!((estimate.ns - 100.0).abs() < 1e-9);
        assert_eq!(times.cold_estimate().launches, 2);
    }

    #[test]
    fn where_every_launch_has_only_its_cold_sample_the_estimate_says_so() {
        let cell = cell("threads", vec![launch(0, &[900]), launch(1, &[900])]);
        let estimate = Times::of(&cell).unwrap().estimate();
        assert_eq!((estimate.launches, estimate.samples, estimate.cold), (2, 2, true));
        assert!((estimate.ns - 900.0).abs() < 1e-9);
    }

    #[test]
    fn warm_up_is_counted_and_left_out() {
        let mut walls = vec![9_000; 9];
        walls.extend([1_000; 20]);
        let cell = cell("threads", vec![launch(0, &walls)]);
        let estimate = Times::of(&cell).unwrap().estimate();
        assert_eq!((estimate.samples, estimate.dropped), (20, 8));
        assert!((estimate.ns - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn failed_launches_and_empty_ones_say_nothing() {
        assert_eq!(Times::of(&cell("threads", vec![])), None);
        assert_eq!(Times::of(&cell("threads", vec![launch(0, &[]), failed(1)])), None);
    }
}
