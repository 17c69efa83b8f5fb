//! Intervals: t over launches, on the log scale.
//!
//! Launches, not samples, are what is independent: samples of one process share its memory
//! layout and its luck (Kalibera and Jones 2013). The log scale makes "twice as slow" and "half
//! as slow" mirror images, keeps an interval above 0, and makes the ratio of two estimates the
//! estimate of the ratio. A percentile bootstrap over launches and samples was simulated for
//! this project and rejected: it covers too much when samples vary most (0.99) and too little
//! when launches do (0.94).

use std::sync::OnceLock;

use super::student;

/// How sure every interval is.
pub const CONFIDENCE: f64 = 0.95;

/// An interval needs at least this many launches, or pairs of them. With fewer, t is so large
/// and the spread so poorly known that an interval would only look like knowledge.
pub const MIN_LAUNCHES: usize = 6;

/// An interval with [`CONFIDENCE`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// How long a sample of a cell takes.
///
/// The estimate is the geometric mean of the launches' medians: the centre of the interval on
/// the log scale, so that the two can never contradict each other. A median of medians could lie
/// anywhere in an interval that belongs to the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Wall time of one sample, in nanoseconds.
    pub ns: f64,
    /// In nanoseconds; absent below [`MIN_LAUNCHES`] launches.
    pub interval: Option<Interval>,
    /// The launches that it rests on.
    pub launches: usize,
    /// The samples that it rests on, over all launches.
    pub samples: usize,
    /// Samples set aside as warm-up, over all launches, the cold ones not counted.
    pub dropped: usize,
    /// Whether it had to be made of the first, cold samples, because there are no others.
    pub cold: bool,
}

/// The mean of logarithms: the one computation behind times and ratios.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogMean {
    mean: f64,
    /// Of the mean; absent for a single value.
    standard_error: Option<f64>,
    count: usize,
}

impl LogMean {
    /// `None` for no values.
    pub fn of(logs: &[f64]) -> Option<Self> {
        if logs.is_empty() {
            return None;
        }
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let standard_error = (logs.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        Some(Self { mean, standard_error, count: logs.len() })
    }

    /// The geometric mean of what the logarithms were taken of.
    pub fn estimate(&self) -> f64 {
        self.mean.exp()
    }

    /// How many values it is the mean of.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean itself.
    pub fn log(&self) -> f64 {
        self.mean
    }

    /// Half the width of the interval on the log scale: 0.02 is nearly +-2 %. Absent below
    /// [`MIN_LAUNCHES`] values.
    pub fn half_width(&self) -> Option<f64> {
        self.error().map(|(error, _)| critical(self.count - 1) * error)
    }

    /// Of the geometric mean; absent below [`MIN_LAUNCHES`] values.
    pub fn interval(&self) -> Option<Interval> {
        let reach = self.half_width()?;
        Some(Interval { low: (self.mean - reach).exp(), high: (self.mean + reach).exp() })
    }

    /// The p-value of "the geometric mean is 1"; absent below [`MIN_LAUNCHES`] values. Values
    /// without any spread are either exactly 1 (p = 1) or surely not (p = 0).
    pub fn p_of_one(&self) -> Option<f64> {
        let (error, degrees) = self.error()?;
        // 0 / 0 is not a number, which two_sided_p takes for no evidence.
        Some(student::two_sided_p(self.mean / error, degrees))
    }

    /// The standard error of the mean, and its degrees of freedom; absent below [`MIN_LAUNCHES`]
    /// values.
    pub fn error(&self) -> Option<(f64, f64)> {
        let enough = self.count >= MIN_LAUNCHES;
        self.standard_error.filter(|_| enough).map(|error| (error, (self.count - 1) as f64))
    }
}

/// The critical t of [`CONFIDENCE`]. The cells of a record have a few different numbers of
/// launches at most, so each is computed once.
fn critical(degrees: usize) -> f64 {
    static KNOWN: [OnceLock<f64>; 64] = [const { OnceLock::new() }; 64];
    let compute = || student::critical(CONFIDENCE, degrees as f64);
    KNOWN.get(degrees).map_or_else(compute, |known| *known.get_or_init(compute))
}

/// The logarithm of a time. A clock that did not tick says 0 ns, which has none: it counts as
/// 1 ns, the least that the record can hold.
pub fn log_of_ns(ns: f64) -> f64 {
    ns.max(1.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(values: &[f64]) -> Vec<f64> {
        values.iter().copied().map(log_of_ns).collect()
    }

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-9 * expected.abs()
    }

    #[test]
    fn estimate_and_interval_are_scipys() {
        // x = numpy.log([1020, 980, 1100, 1005, 995, 1300, 1010]); SciPy 1.17.1:
        // exp(x.mean()), exp(scipy.stats.t.interval(.95, 6, x.mean(), scipy.stats.sem(x)))
        let mean = LogMean::of(&logs(&[1020., 980., 1100., 1005., 995., 1300., 1010.])).unwrap();
        let interval = mean.interval().unwrap();
        assert!(close(mean.estimate(), 1053.8573498442167), "{mean:?}");
        assert!(close(interval.low, 961.0552272318171), "{interval:?}");
        assert!(close(interval.high, 1155.6206993636), "{interval:?}");
    }

    #[test]
    fn below_six_launches_there_is_an_estimate_but_no_interval() {
        let mean = LogMean::of(&logs(&[100.0, 121.0])).unwrap();
        assert!(close(mean.estimate(), 110.0));
        assert_eq!((mean.interval(), mean.p_of_one()), (None, None));
        assert_eq!(LogMean::of(&logs(&[9.0; 5])).unwrap().interval(), None);
        assert!(LogMean::of(&logs(&[9.0; 6])).unwrap().interval().is_some());
        assert_eq!(LogMean::of(&[]), None);
    }

    #[test]
    fn a_time_of_zero_counts_as_one_nanosecond() {
        let mean = LogMean::of(&logs(&[0.0; 6])).unwrap();
        assert_eq!(mean.estimate(), 1.0);
        assert_eq!(mean.interval(), Some(Interval { low: 1.0, high: 1.0 }));
    }

    #[test]
    fn values_without_spread_are_surely_different_from_one_or_not_at_all() {
        assert_eq!(LogMean::of(&[0.0; 6]).unwrap().p_of_one(), Some(1.0));
        assert_eq!(LogMean::of(&[0.5; 6]).unwrap().p_of_one(), Some(0.0));
    }

    #[test]
    fn the_largest_and_the_smallest_time_together_stay_finite() {
        let mean = LogMean::of(&logs(&[0., 1.8e19, 0., 1.8e19, 0., 1.8e19])).unwrap();
        let interval = mean.interval().unwrap();
        assert!(interval.low > 0.0 && interval.high.is_finite(), "{interval:?}");
    }
}
