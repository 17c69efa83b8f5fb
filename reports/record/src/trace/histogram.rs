//! Buckets of three significant digits, and what can be read off a histogram.
//!
//! The layout is that of Gil Tene's HDR histogram (hdrhistogram.org) with three significant digits
//! and a lowest value of 1: values below 2048 have a bucket each, and each doubling beyond has 1024
//! buckets, so that no value is off by more than a thousandth. It is spelt out here, and not taken
//! from a library, because samples are counted in memory that processes share; a test holds it
//! against the library.

use crate::Histogram;

/// Buckets of each doubling.
const HALF: u64 = 1024;

/// Values from 2^48 ns (78 hours) on share the last bucket.
const DOUBLINGS: u64 = 48 - 11;

/// How many buckets there are.
pub const BUCKETS: usize = (HALF * (DOUBLINGS + 2)) as usize;

/// The bucket of a value.
pub fn bucket(value: u64) -> usize {
    let shift = u64::from(63 - (value | (2 * HALF - 1)).leading_zeros()) - 10;
    if shift > DOUBLINGS {
        return BUCKETS - 1;
    }
    (HALF * shift + (value >> shift)) as usize
}

/// The highest value of a bucket.
pub fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / HALF).saturating_sub(1);
    (((bucket - HALF * shift) + 1) << shift) - 1
}

impl Histogram {
    /// A histogram from the counts of its buckets, in their order.
    pub fn from_counts(counts: impl Iterator<Item = u64>) -> Self {
        let held = counts.enumerate().filter(|(_, count)| *count > 0);
        Self { buckets: held.map(|(bucket, count)| (highest(bucket), count)).collect() }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The value that a share of all values does not exceed (0.99: the 99th percentile; 1: the
    /// largest), to three digits and rounded up; `None` where nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = (share.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64;
        let mut below = 0_u64;
        let reaches = |(value, count): &(u64, u64)| {
            below = below.saturating_add(*count);
            (below >= rank.max(1)).then_some(*value)
        };
        self.buckets.iter().find_map(reaches)
    }

    /// The mean of the buckets' values; `None` where nothing was counted.
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self.buckets.iter().map(|(value, n)| *value as f64 * *n as f64).sum();
        (self.count() > 0).then(|| sum / self.count() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut counts = vec![0; BUCKETS];
        values.into_iter().for_each(|value| counts[bucket(value)] += 1);
        Histogram::from_counts(counts.into_iter())
    }

    /// Values of all sizes: powers of two and of ten, their neighbours, and what lies between.
    fn values() -> Vec<u64> {
        let near = |n: u64| [n.saturating_sub(1), n, n + 1, n + n / 3, n + n / 7];
        let twos = (0..48).map(|exponent| 1_u64 << exponent);
        let tens = (0..14).map(|exponent| 10_u64.pow(exponent));
        twos.chain(tens).flat_map(near).filter(|value| *value < 1 << 48).collect()
    }

    #[test]
    fn buckets_are_those_of_the_library() {
        let mut library = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 1 << 49, 3)
            .expect("three digits are allowed");
        for value in values() {
            assert_eq!(highest(bucket(value)), library.highest_equivalent(value), "{value}");
            library.record(value).expect("within bounds");
        }
        let ours = of(values());
        let theirs: Vec<_> =
            library.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect();
        assert_eq!(ours.buckets, theirs);
        for share in [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
            assert_eq!(ours.quantile(share), Some(library.value_at_quantile(share)), "{share}");
        }
    }

    #[test]
    fn every_bucket_holds_its_own_highest_value_and_not_the_next() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(highest(index)), index);
            assert_eq!(bucket(highest(index) + 1), index + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_of_known_values_are_right_to_three_digits() {
        // 1, 2, .. 100,000: the share q of them ends at 100,000 q.
        let uniform = of(1..=100_000);
        assert_eq!(uniform.count(), 100_000);
        for (share, value) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (1.0, 1e5)] {
            let found = uniform.quantile(share).expect("not empty") as f64;
            assert!((0.0..=0.001).contains(&(found / value - 1.0)), "{share}: {found}");
        }
        let mean = uniform.mean().expect("not empty");
        assert!((mean / 50_000.5 - 1.0).abs() < 0.001, "{mean}");
    }

    #[test]
    fn nothing_counted_has_no_percentiles() {
        let none = of([]);
        assert_eq!((none.count(), none.quantile(0.5), none.mean()), (0, None, None));
        assert_eq!(of([7]).quantile(0.0), Some(7));
        // The largest is one that was counted.
        assert_eq!(Histogram { buckets: vec![(7, 2), (9, 0)] }.quantile(1.0), Some(7));
    }
}
