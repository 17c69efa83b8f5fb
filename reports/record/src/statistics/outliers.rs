//! Outliers: classified, counted, and kept.
//!
//! A value is an outlier by Tukey's fences (1977, *Exploratory Data Analysis*, section 2E): mild
//! beyond 1.5 interquartile ranges from the nearer quartile, severe beyond 3. The fences are set
//! on the log scale, because times are skewed: on the plain scale a tail that belongs to the
//! distribution would be called outliers above, and nothing ever below.
//!
//! None is dropped. A launch is summarised by its median, which one wild sample hardly moves, and
//! a slow launch is as much a fact about the machine as a fast one. The counts say how far to
//! trust a quiet-looking interval; even normal noise has 0.7 % beyond the fences where values are
//! many, and in one of ten launches of ten samples there is one (Hoaglin, Iglewicz and Tukey
//! 1986).

use std::ops::AddAssign;

use super::interval::log_of_ns;
use super::launch::Times;
use super::quantile::quantile;

/// Quartiles of fewer values than this are made of the extremes themselves.
pub const MIN_VALUES: usize = 5;

/// Interquartile ranges from a quartile to the mild fence, and to the severe one.
const FENCES: (f64, f64) = (1.5, 3.0);

/// How many values lie beyond which fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outliers {
    /// Far below.
    pub low_severe: usize,
    /// Below.
    pub low_mild: usize,
    /// Above.
    pub high_mild: usize,
    /// Far above.
    pub high_severe: usize,
    /// The values that were looked at.
    pub values: usize,
}

impl Outliers {
    /// Classifies logarithms of times. Of fewer than [`MIN_VALUES`] none is looked at.
    pub fn of(logs: &[f64]) -> Self {
        let quartiles = quantile(logs, 0.25).zip(quantile(logs, 0.75));
        let Some((low, high)) = quartiles.filter(|_| logs.len() >= MIN_VALUES) else {
            return Self::default();
        };
        let range = high - low;
        let mut found = Self { values: logs.len(), ..Self::default() };
        for log in logs {
            // How far outside the quartiles, in either direction.
            let (below, above) = (low - log, log - high);
            match (below > FENCES.1 * range, below > FENCES.0 * range) {
                (true, _) => found.low_severe += 1,
                (_, true) => found.low_mild += 1,
                _ => {}
            }
            match (above > FENCES.1 * range, above > FENCES.0 * range) {
                (true, _) => found.high_severe += 1,
                (_, true) => found.high_mild += 1,
                _ => {}
            }
        }
        found
    }

    /// All of them.
    pub fn count(&self) -> usize {
        self.low_mild + self.high_mild + self.severe()
    }

    /// Those far out, on either side.
    pub fn severe(&self) -> usize {
        self.low_severe + self.high_severe
    }
}

impl AddAssign for Outliers {
    fn add_assign(&mut self, other: Self) {
        self.low_severe += other.low_severe;
        self.low_mild += other.low_mild;
        self.high_mild += other.high_mild;
        self.high_severe += other.high_severe;
        self.values += other.values;
    }
}

/// The outliers of a cell at both levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellOutliers {
    /// Samples, each among those of its own launch: launches differ, and what is usual in a slow
    /// one would be an outlier among all.
    pub samples: Outliers,
    /// Launches, each by its median, among those of the cell.
    pub launches: Outliers,
}

impl CellOutliers {
    /// Of the samples that the cell's estimate is made of.
    pub fn of(times: &Times<'_>) -> Self {
        let mut samples = Outliers::default();
        for launch in &times.launches {
            let walls = launch.samples(times.cold).iter().map(|s| log_of_ns(s.wall_ns as f64));
            samples += Outliers::of(&walls.collect::<Vec<f64>>());
        }
        Self { samples, launches: Outliers::of(&times.values()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, launch};

    #[test]
    fn each_value_lies_where_numpys_quartiles_put_it() {
        // q1, q3 = numpy.quantile(numpy.log(walls), [.25, .75]); the fences exp(q1 - 3 i), exp(q1 -
        // 1.5 i), exp(q3 + 1.5 i), exp(q3 + 3 i), i = q3 - q1, are 953.7, 973.9, 1029.9, 1051.7.
        // NumPy 2.4.6
        let walls: [f64; 12] =
            [1000., 1010., 990., 1005., 995., 1002., 998., 1300., 1030., 700., 1008., 993.];
        let found = Outliers::of(&walls.map(f64::ln));
        let expected =
            Outliers { low_severe: 1, low_mild: 0, high_mild: 1, high_severe: 1, values: 12 };
        assert_eq!(found, expected);
        assert_eq!((found.count(), found.severe()), (3, 2));
        let mirrored = Outliers::of(&walls.map(|wall| -wall.ln()));
        assert_eq!((mirrored.low_severe, mirrored.low_mild, mirrored.high_severe), (1, 1, 1));
    }

    #[test]
    fn equal_values_have_no_outliers_and_too_few_are_not_judged() {
        assert_eq!(Outliers::of(&[3.0; 9]).count(), 0);
        assert_eq!(Outliers::of(&[0.0, 0.0, 0.0, 9.0]), Outliers::default());
        assert_eq!(Outliers::of(&[]), Outliers::default());
    }

    #[test]
    fn samples_are_judged_within_their_launch_and_stay_in_the_estimate() {
        let quiet = [900, 100, 101, 99, 101, 102, 100];
        // Ten times as slow throughout, with one sample of its own that stands out.
        let slow = [900, 1_000, 1_010, 990, 1_010, 1_020, 1_500];
        let cell = cell("threads", vec![launch(0, &quiet), launch(1, &slow)]);
        let times = Times::of(&cell).unwrap();
        let found = CellOutliers::of(&times);
        assert_eq!((found.samples.count(), found.samples.high_severe), (1, 1));
        assert_eq!((found.samples.values, found.launches.values), (12, 0));
        assert_eq!(times.estimate().samples, 12);
    }
}
