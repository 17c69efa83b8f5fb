//! Where the variance lies: between launches or between the samples of one launch.
//!
//! Samples of one process share its memory layout and its luck, so more samples make a launch's
//! own time surer, and nothing else. How much that is worth follows from the two variances and
//! from what a launch and a sample cost (Kalibera and Jones 2013, *Rigorous Benchmarking in
//! Reasonable Time*, section 6, for two levels). The variances are estimated on the log scale by
//! the analysis of variance for one random factor with unequal numbers (Searle, Casella and
//! McCulloch 1992, *Variance Components*, section 3.6).

use super::interval::log_of_ns;
use super::launch::Times;

/// The variance of one sample, taken apart. Both parts are on the log scale: 0.0001 is a standard
/// deviation of 1 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decomposition {
    /// Between launches; 0 where the samples' own variance explains all differences of launches.
    pub between: f64,
    /// Between the samples of one launch.
    pub within: f64,
    /// Launches with a sample.
    pub launches: usize,
    /// Samples, over all launches.
    pub samples: usize,
}

impl Decomposition {
    /// Of wall times in nanoseconds, a slice for each launch: only samples that count, without
    /// the cold one. Launches may have different numbers of them; those without any are left out.
    /// `None` where one of the two parts cannot be told: below two launches, and where no launch
    /// has two samples.
    pub fn of(launches: &[&[u64]]) -> Option<Self> {
        let log = |&wall: &u64| log_of_ns(wall as f64);
        Self::of_logs(
            &launches.iter().map(|walls| walls.iter().map(log).collect()).collect::<Vec<_>>(),
        )
    }

    /// Of the samples that a cell's estimate is made of.
    pub fn of_times(times: &Times<'_>) -> Option<Self> {
        let launches = times.launches.iter().map(|launch| {
            let samples = launch.samples(times.cold).iter();
            samples.map(|sample| log_of_ns(sample.wall_ns as f64)).collect()
        });
        Self::of_logs(&launches.collect::<Vec<_>>())
    }

    fn of_logs(launches: &[Vec<f64>]) -> Option<Self> {
        let launches: Vec<&[f64]> =
            launches.iter().map(Vec::as_slice).filter(|logs| !logs.is_empty()).collect();
        let count = launches.len();
        let samples: usize = launches.iter().map(|logs| logs.len()).sum();
        if count < 2 || samples == count {
            return None;
        }
        let (k, n) = (count as f64, samples as f64);
        let all = launches.iter().copied().flatten().sum::<f64>() / n;
        let (mut between, mut within, mut squares) = (0.0, 0.0, 0.0);
        for logs in launches {
            let size = logs.len() as f64;
            let mean = logs.iter().sum::<f64>() / size;
            between += size * (mean - all).powi(2);
            within += logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>();
            squares += size * size;
        }
        let within = within / (n - k);
        // What takes the place of the number of samples per launch where it is not the same.
        let per_launch = (n - squares / n) / (k - 1.0);
        let between = ((between / (k - 1.0) - within) / per_launch).max(0.0);
        Some(Self { between, within, launches: count, samples })
    }

    /// The share of a sample's variance that lies between launches, 0 to 1; absent where there
    /// is no variance at all.
    pub fn share_between(&self) -> Option<f64> {
        let all = self.between + self.within;
        (all > 0.0).then(|| self.between / all)
    }

    /// How many samples a launch should take, so that a given time tells the cell's mean as
    /// exactly as it can: the square root of (cost of a launch / cost of a sample) x (variance
    /// within / variance between), rounded, from `min` to `max`. What a launch costs beside its
    /// samples that count (start, cold sample, end) and a sample are in the same unit of time.
    ///
    /// Where launches do not differ, samples are as good as launches and cheaper: `max`. Where
    /// samples do not differ, one says it all: `min`.
    pub fn samples_per_launch(
        &self,
        launch_cost: f64,
        sample_cost: f64,
        min: u32,
        max: u32,
    ) -> u32 {
        let max = max.max(min);
        if self.within <= 0.0 || launch_cost.is_nan() || launch_cost <= 0.0 {
            return min;
        }
        if self.between <= 0.0 || sample_cost.is_nan() || sample_cost <= 0.0 {
            return max;
        }
        let best = (launch_cost / sample_cost * (self.within / self.between)).sqrt();
        // The cast saturates; an overflow to infinity ends at `max`.
        (best.round() as u32).clamp(min, max)
    }

    /// The variance of a launch's mean of this many samples (at least 1): what remains of it
    /// however many they are is the launches' own.
    pub fn of_launch(&self, samples: u32) -> f64 {
        self.between + self.within / f64::from(samples.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNBALANCED: [&[u64]; 4] =
        [&[1000, 1012, 995, 1003], &[1100, 1093, 1110], &[950, 961, 948, 955, 970], &[1030, 1025]];

    fn decomposition(between: f64, within: f64) -> Decomposition {
        Decomposition { between, within, launches: 6, samples: 60 }
    }

    #[test]
    fn unequal_launches_give_the_f_statistic_of_scipy() {
        // scipy.stats.f_oneway(*map(numpy.log, launches)).statistic, SciPy 1.17.1, is the ratio of
        // the mean squares, so (F - 1) x within / n0 is the variance between; n0 = (14 - 54 / 14) / 3.
        let found = Decomposition::of(&UNBALANCED).unwrap();
        let within = 6.306_625_849_009_64e-5;
        let between = (199.708_526_267_071_1 - 1.0) * within / ((14.0 - 54.0 / 14.0) / 3.0);
        assert!((found.within / within - 1.0).abs() < 1e-9, "{found:?}");
        assert!((found.between / between - 1.0).abs() < 1e-9, "{found:?}");
        assert!((found.share_between().unwrap() - 0.983_270_022_746_501_9).abs() < 1e-9);
        assert_eq!((found.launches, found.samples), (4, 14));
        let with_empty = [&[][..], UNBALANCED[0], UNBALANCED[1], UNBALANCED[2], UNBALANCED[3]];
        assert_eq!(Decomposition::of(&with_empty), Some(found));
    }

    #[test]
    fn planted_variances_are_found_again() {
        let mut random = crate::statistics::noise::SplitMix64::new(11);
        let launches: Vec<Vec<f64>> = (0..4_000)
            .map(|i| {
                let launch = 0.03 * random.normal();
                (0..3 + i % 5).map(|_| launch + 0.01 * random.normal()).collect()
            })
            .collect();
        let found = Decomposition::of_logs(&launches).unwrap();
        assert!((found.between.sqrt() / 0.03 - 1.0).abs() < 0.05, "{found:?}");
        assert!((found.within.sqrt() / 0.01 - 1.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn what_cannot_be_told_is_absent() {
        assert_eq!(Decomposition::of(&[]), None);
        assert_eq!(Decomposition::of(&[&[1, 2, 3]]), None);
        assert_eq!(Decomposition::of(&[&[1], &[2], &[3]]), None);
        let equal = Decomposition::of(&[&[7, 7], &[7, 7]]).unwrap();
        assert_eq!((equal.between, equal.within, equal.share_between()), (0.0, 0.0, None));
    }

    #[test]
    fn launches_that_differ_less_than_their_samples_have_no_variance_of_their_own() {
        let found = Decomposition::of(&[&[90, 110], &[110, 90], &[91, 109]]).unwrap();
        assert_eq!((found.between, found.share_between()), (0.0, Some(0.0)));
        assert!(found.within > 0.0);
    }

    #[test]
    fn dear_launches_and_restless_samples_ask_for_more_samples() {
        // Kalibera and Jones: sqrt(100 / 1 x 4 / 1) = 20.
        let found = decomposition(1e-4, 4e-4);
        assert_eq!(found.samples_per_launch(100.0, 1.0, 1, 1_000), 20);
        assert_eq!(found.samples_per_launch(400.0, 1.0, 1, 1_000), 40);
        assert_eq!(found.samples_per_launch(100.0, 1.0, 1, 10), 10);
        assert_eq!(found.samples_per_launch(0.001, 1.0, 2, 10), 2);
        assert!((found.of_launch(4) - 2e-4).abs() < 1e-12);
    }

    #[test]
    fn the_allotment_is_the_one_that_tells_most_in_a_given_time() {
        let (found, launch, sample) = (decomposition(2e-4, 9e-4), 50.0, 1.5);
        // Launches that fit into a given time, and the variance of their mean.
        let variance =
            |samples: u32| found.of_launch(samples) * (launch + sample * f64::from(samples));
        let best = found.samples_per_launch(launch, sample, 1, 1_000);
        let searched = (1..1_000).min_by(|&a, &b| variance(a).total_cmp(&variance(b))).unwrap();
        assert!(best.abs_diff(searched) <= 1, "{best}, not {searched}");
    }

    #[test]
    fn without_variance_or_cost_the_allotment_is_a_limit() {
        assert_eq!(decomposition(0.0, 1e-4).samples_per_launch(5.0, 1.0, 2, 30), 30);
        assert_eq!(decomposition(1e-4, 0.0).samples_per_launch(5.0, 1.0, 2, 30), 2);
        assert_eq!(decomposition(0.0, 0.0).samples_per_launch(5.0, 1.0, 2, 30), 2);
        let both = decomposition(1e-4, 1e-4);
        assert_eq!(both.samples_per_launch(5.0, 0.0, 2, 30), 30);
        assert_eq!(both.samples_per_launch(0.0, 1.0, 2, 30), 2);
        assert_eq!(both.samples_per_launch(f64::NAN, 1.0, 2, 30), 2);
        assert_eq!(both.samples_per_launch(f64::MAX, 1e-300, 2, 30), 30);
        assert_eq!(both.samples_per_launch(5.0, 1.0, 7, 3), 7);
    }
}
