//! Ratios of two cells, paired by round.
//!
//! Launches of one round ran seconds apart, under the same mood of the machine. Dividing within
//! the round removes that mood from the ratio.

use std::collections::BTreeMap;

use super::interval::{Interval, LogMean};

/// The ratio of two cells' times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// The geometric mean of the rounds' ratios. Where both cells were measured in the same
    /// rounds, it is exactly the ratio of their estimates.
    pub estimate: f64,
    /// Absent below [`super::interval::MIN_LAUNCHES`] pairs.
    pub interval: Option<Interval>,
    /// Of "the ratio is 1", not corrected; absent as the interval is.
    pub p: Option<f64>,
    /// The standard error of the ratio's logarithm; absent as the interval is.
    pub error: Option<f64>,
    /// Rounds in which both cells were measured.
    pub pairs: usize,
}

/// The ratio `above` / `below` of two cells, each given as rounds and logarithms of times, in
/// any order. `None` where they share no round. Should a round occur twice in a cell, the later
/// launch counts.
pub fn paired(above: &[(u32, f64)], below: &[(u32, f64)]) -> Option<Paired> {
    let below: BTreeMap<u32, f64> = below.iter().copied().collect();
    let above: BTreeMap<u32, f64> = above.iter().copied().collect();
    let logs: Vec<f64> =
        above.iter().filter_map(|(round, log)| Some(log - below.get(round)?)).collect();
    let mean = LogMean::of(&logs)?;
    Some(Paired {
        estimate: mean.estimate(),
        interval: mean.interval(),
        p: mean.p_of_one(),
        error: mean.error().map(|(error, _)| error),
        pairs: mean.count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[f64]) -> Vec<(u32, f64)> {
        (0..).zip(values.iter().map(|value| value.ln())).collect()
    }

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-9 * expected.abs()
    }

    #[test]
    fn ratio_interval_and_p_are_scipys() {
        // x, y = numpy.log(above), numpy.log(below); SciPy 1.17.1:
        // r = scipy.stats.ttest_rel(x, y); exp((x - y).mean()), exp(r.confidence_interval()), r.p
        let above = rounds(&[200.0, 212.0, 190.0, 205.0, 230.0, 199.0, 201.0]);
        let below = rounds(&[100.0, 110.0, 104.0, 101.0, 109.0, 102.0, 99.0]);
        let ratio = paired(&above, &below).unwrap();
        let interval = ratio.interval.unwrap();
        assert!(close(ratio.estimate, 1.9803808494205128), "{ratio:?}");
        assert!(close(interval.low, 1.8975188483429708), "{ratio:?}");
        assert!(close(interval.high, 2.066861318493021), "{ratio:?}");
        assert!(close(ratio.p.unwrap(), 1.8648100144606244e-08), "{ratio:?}");
        assert_eq!(ratio.pairs, 7);
    }

    #[test]
    fn only_rounds_of_both_cells_count() {
        let above = [(5, 2.0), (1, 3.0), (2, 4.0)];
        let below = [(2, 3.0), (7, 9.0), (5, 1.0)];
        let ratio = paired(&above, &below).unwrap();
        assert_eq!((ratio.pairs, ratio.interval, ratio.p), (2, None, None));
        assert!(close(ratio.estimate, 1.0_f64.exp()));
        assert_eq!(paired(&above, &[(9, 1.0)]), None);
        assert_eq!(paired(&[], &below), None);
    }

    #[test]
    fn a_mood_that_both_share_leaves_the_interval_narrow() {
        let below = rounds(&[100.0, 300.0, 100.0, 250.0, 120.0, 500.0]);
        let above = rounds(&[202.0, 601.0, 199.0, 500.0, 240.0, 1_001.0]);
        let interval = paired(&above, &below).unwrap().interval.unwrap();
        assert!(interval.low > 1.98 && interval.high < 2.02, "{interval:?}");
    }
}
