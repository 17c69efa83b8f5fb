//! Where does a launch reach its steady state?
//!
//! A change point is sought: the place at which the samples before it are most clearly slower
//! than those after it, by the Wilcoxon rank-sum statistic (a one-sided form of Pettitt 1979,
//! standardised as in Ross, Tasoulis and Adams 2011). If that is significant, what comes before
//! is warm-up, and the search is repeated in what remains.
//!
//! Roads not taken: truncation by least standard error (MSER-5, White 1997) has no notion of
//! significance: it drops samples from most launches that never warmed up, and a single outlier
//! moves it. Ranks are robust, and what ranks cannot see, a median of ranks hardly feels.
//! Becoming *slower* is no warm-up: a machine that is disturbed later must not make the early
//! samples disappear, so nothing is dropped for it.

/// Steady state is sought in launches with at least this many samples, the cold one counted.
pub const MIN_SAMPLES: usize = 20;

/// The chance that anything is dropped, at one search, where nothing changes: at most this.
const SIGNIFICANCE: f64 = 0.05;

/// How many of a launch's `warm` samples (wall times in order, without the cold one) are
/// warm-up: at most half of them; 0 where the launch has fewer than [`MIN_SAMPLES`] samples.
pub fn dropped(warm: &[u64]) -> usize {
    if warm.len() + 1 < MIN_SAMPLES {
        return 0;
    }
    let most = warm.len() / 2;
    let mut dropped = 0;
    while let Some(more) = change(&warm[dropped..], most - dropped) {
        dropped += more;
    }
    dropped
}

/// The clearest place, from 1 to `most`, before which samples are slower than after it.
fn change(walls: &[u64], most: usize) -> Option<usize> {
    let ranks = ranks(walls);
    let n = walls.len() as f64;
    let (mut clearest, mut place) = (0.0, None);
    let mut sum = 0.0;
    for (before, rank) in (1..=most).zip(&ranks) {
        sum += rank;
        let k = before as f64;
        // The rank sum's mean and variance where nothing changes (Wilcoxon 1945). Ties make the
        // true variance smaller, so leaving them out errs towards dropping nothing.
        let z = (sum - k * (n + 1.0) / 2.0) / (k * (n - k) * (n + 1.0) / 12.0).sqrt();
        if z > clearest {
            (clearest, place) = (z, Some(before));
        }
    }
    // Bonferroni: `most` places were looked at.
    place.filter(|_| normal_tail(clearest) * (most as f64) < SIGNIFICANCE)
}

/// An upper bound of the chance that a standard normal variable exceeds `z`: Gordon's (1941),
/// density / z. It is 10 % above the truth at z = 3, where it matters here.
fn normal_tail(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt() / z
}

/// The rank of each value, from 1; equal values share the mean of their ranks.
fn ranks(values: &[u64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&i| values[i]);
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = first as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = shared);
        first += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::noise::SplitMix64;

    /// `count` times around `level`, off by up to 5 % either way.
    fn around(level: u64, count: usize, random: &mut SplitMix64) -> Vec<u64> {
        (0..count).map(|_| level * 95 / 100 + random.next() % (level / 10)).collect()
    }

    #[test]
    fn a_slow_start_is_dropped_and_the_rest_kept() {
        let mut random = SplitMix64::new(1);
        let mut walls = around(2_000_000, 8, &mut random);
        walls.extend(around(1_000_000, 32, &mut random));
        assert_eq!(dropped(&walls), 8);
    }

    #[test]
    fn the_place_is_the_one_that_scipys_rank_sum_test_finds() {
        // In each series, for k in 1..=len/2: scipy.stats.mannwhitneyu(x[:k], x[k:], "greater",
        // use_continuity=False, method="asymptotic"); the k of least p where k_max * p < 0.05,
        // then again in what remains. SciPy 1.17.1
        assert_eq!(
            dropped(&[
                1531, 1269, 1130, 1125, 1046, 981, 1000, 1001, 973, 961, 1004, 1029, 994, 978,
                1012, 1022, 991, 1016, 1031
            ]),
            5
        );
        assert_eq!(
            dropped(&[
                1988, 1675, 1529, 1378, 1305, 1143, 1113, 1069, 1014, 1054, 1052, 1003, 1061, 1038,
                1028, 1019, 1034, 963, 1021, 1020, 948, 1011, 993, 1024
            ]),
            8
        );
        assert_eq!(
            dropped(&[
                1316, 1390, 1168, 1194, 1143, 1137, 1050, 1056, 1094, 1066, 1108, 1026, 1046, 1125,
                1005, 997, 1020, 1016, 1041, 1017, 988, 1015, 1087, 1045, 922, 1000, 978, 1022,
                998, 1061
            ]),
            14
        );
        assert_eq!(
            dropped(&[
                3004, 2354, 1640, 1513, 1265, 1197, 1090, 1066, 1072, 1025, 1046, 1006, 993, 997,
                987, 998, 1042, 966, 951, 1000, 1051, 1032, 1040, 1038, 979, 1004, 921, 982, 1019,
                954, 939, 962, 1007, 1036, 1078, 1044, 955, 931, 1005, 1033
            ]),
            9
        );
        assert_eq!(
            dropped(&[
                1074, 1002, 964, 973, 1009, 1043, 1006, 1041, 1011, 1018, 1033, 992, 1012, 991,
                984, 1023, 978, 1005, 979
            ]),
            0
        );
    }

    #[test]
    fn at_most_half_is_dropped_however_long_the_warm_up() {
        let falling: Vec<u64> = (0..40).map(|i| 1_000_000 - 10_000 * i).collect();
        assert_eq!(dropped(&falling), 20);
    }

    #[test]
    fn a_launch_that_becomes_slower_keeps_all_its_samples() {
        let rising: Vec<u64> = (0..40).map(|i| 1_000_000 + 10_000 * i).collect();
        assert_eq!(dropped(&rising), 0);
    }

    #[test]
    fn one_outlier_drops_nothing() {
        for place in 0..40 {
            let mut walls = around(1_000_000, 40, &mut SplitMix64::new(7));
            walls[place] *= 50;
            assert_eq!(dropped(&walls), 0, "outlier at {place}");
        }
    }

    #[test]
    fn below_twenty_samples_only_the_cold_one_is_set_apart() {
        let mut walls = vec![9_000; 9];
        walls.extend([1_000; 9]);
        assert_eq!(dropped(&walls), 0);
        walls.push(1_000);
        assert_eq!(dropped(&walls), 9);
    }

    #[test]
    fn where_nothing_changes_hardly_anything_is_dropped() {
        let mut random = SplitMix64::new(3);
        let launches = 2_000;
        let wrong =
            (0..launches).filter(|_| dropped(&around(1_000_000, 30, &mut random)) > 0).count();
        assert!(wrong * 20 <= launches, "{wrong} of {launches} launches lost samples");
    }

    #[test]
    fn equal_samples_have_no_change_and_none_has_nothing_to_drop() {
        assert_eq!(dropped(&[0; 50]), 0);
        assert_eq!(dropped(&[]), 0);
        assert_eq!(ranks(&[5, 1, 5, 9]), [2.5, 1.0, 2.5, 4.0]);
    }
}
