//! Which lengths of task are measured, and with how many tasks.

use std::collections::BTreeSet;

/// What a parameter may be, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) min: u64,
    pub(super) max: u64,
}

/// Lengths of work that every executor is measured at, in nanoseconds: the stated ones and one
/// beyond, so that the last stated one lies between two measured ones however the best rate turns
/// out.
const STATED: [f64; 4] = [1e3, 1e4, 1e5, 2e5];

/// Lengths around the one at which the pilot saw half of the best rate, as multiples of it: close
/// together where the crossing is expected, as it is interpolated, and some further out, because
/// the pilot was short and for the cost that is fitted to all of them.
const AROUND: [f64; 7] =
    [0.25, 0.5, std::f64::consts::FRAC_1_SQRT_2, 1.0, std::f64::consts::SQRT_2, 2.0, 4.0];

/// The wall time of a sample: long against the clock and a single interrupt, short enough for
/// hundreds of samples a minute. Powers of two of tasks make it 10 to 21 ms.
pub(super) const SAMPLE_NS: f64 = 15e6;

/// The lengths for an executor whose tasks cost this much, in units of work of `unit_ns`.
///
/// All are powers of the square root of two, and none, so that executors share lengths where they
/// can: a length that two share needs one reference answer.
pub(super) fn lengths(unit_ns: f64, cost_ns: f64, limits: Limits) -> BTreeSet<u64> {
    let around = AROUND.iter().map(|factor| factor * cost_ns);
    let wanted = STATED.into_iter().chain(around).map(|ns| snapped(ns / unit_ns, limits));
    std::iter::once(limits.min).chain(wanted).collect()
}

/// One of the stated lengths.
pub(super) fn stated(unit_ns: f64, limits: Limits) -> u64 {
    snapped(STATED[1] / unit_ns, limits)
}

/// The nearest power of the square root of two, as a whole number of units, at least one.
fn snapped(units: f64, limits: Limits) -> u64 {
    let exponent = (2.0 * units.max(1.0).log2()).round();
    let units = (exponent / 2.0).exp2().round() as u64;
    units.clamp(limits.min.max(1), limits.max)
}

/// How many tasks of `ns` core-nanoseconds each make a sample: a power of two, and never so few
/// that workers would wait for the last ones for long.
pub(super) fn tasks(ns: f64, sample_ns: f64, cores: u32, workers: u32, limits: Limits) -> u64 {
    let tasks = sample_ns * f64::from(cores) / ns.max(0.1);
    let tasks = tasks.max(4.0 * f64::from(workers)).log2().round().exp2() as u64;
    tasks.clamp(limits.min.max(1), limits.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { min: 0, max: 1_000_000_000 };

    #[test]
    fn lengths_lie_around_the_crossing_and_at_the_stated_works() {
        // A step takes 1.25 ns: 1 us is 800 steps, and 2 us of cost are 1600.
        let lengths: Vec<u64> = lengths(1.25, 2_000.0, LIMITS).into_iter().collect();
        let expected = [0, 362, 724, 1_024, 1_448, 2_048, 2_896, 5_793, 8_192, 92_682, 185_364];
        assert_eq!(lengths, expected);
    }

    #[test]
    fn a_cost_of_next_to_nothing_still_gives_lengths_of_at_least_one_unit() {
        let lengths = lengths(1.25, 1.0, Limits { min: 1, max: 100_000 });
        assert_eq!(lengths.first(), Some(&1));
        assert_eq!(lengths.last(), Some(&100_000));
        assert!(lengths.contains(&3), "{lengths:?}");
    }

    #[test]
    fn slow_tasks_are_few_and_fast_ones_many() {
        let tasks = |ns| tasks(ns, SAMPLE_NS, 2, 2, LIMITS);
        assert_eq!(tasks(25_000.0), 1_024);
        assert_eq!(tasks(12.0), 2_097_152);
        assert_eq!(tasks(1e9), 8);
        assert_eq!(tasks(0.0), 268_435_456);
    }
}
