//! Ratios of two cells whose launches belong to different runs.
//!
//! Nothing pairs them: the first round of one run and the first of another share no minute. So
//! the two means are compared by Welch's (1947) t with the degrees of freedom of Satterthwaite
//! (1946), which does not ask for equal variances. What changed on the machine *between* the runs
//! is in neither of them, so no interval can hold it.

use super::interval::{CONFIDENCE, Interval, LogMean};
use super::student;

/// The ratio of two cells' times, not paired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unpaired {
    /// The ratio of the two geometric means.
    pub estimate: f64,
    /// Absent below [`super::interval::MIN_LAUNCHES`] launches of either.
    pub interval: Option<Interval>,
    /// The standard error of the ratio's logarithm, and its degrees of freedom; absent as the
    /// interval is.
    pub error: Option<(f64, f64)>,
}

/// The ratio `above` / `below`, each given as the logarithms of its launches' times. `None` where
/// one has no launch.
pub fn unpaired(above: &[f64], below: &[f64]) -> Option<Unpaired> {
    let (above, below) = (LogMean::of(above)?, LogMean::of(below)?);
    let log = above.log() - below.log();
    let error = above.error().zip(below.error()).map(|(a, b)| pooled(a, b));
    let interval = error.map(|(error, degrees)| {
        let reach = student::critical(CONFIDENCE, degrees) * error;
        Interval { low: (log - reach).exp(), high: (log + reach).exp() }
    });
    Some(Unpaired { estimate: log.exp(), interval, error })
}

impl Unpaired {
    /// The p-value of "the ratio is this one", two-sided; absent as the interval is.
    pub fn p_of(&self, ratio: f64) -> Option<f64> {
        let (error, degrees) = self.error?;
        // Rounding must not make a difference of launches without any spread.
        let difference = self.estimate.ln() - ratio.ln();
        let difference = if difference.abs() < 1e-12 { 0.0 } else { difference };
        Some(student::two_sided_p(difference / error, degrees))
    }
}

/// Standard error and degrees of freedom of the difference of two means, from theirs.
fn pooled(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (a_square, b_square) = (a.0 * a.0, b.0 * b.0);
    let both = a_square + b_square;
    if both == 0.0 {
        return (0.0, a.1 + b.1);
    }
    let degrees = both * both / (a_square * a_square / a.1 + b_square * b_square / b.1);
    // Variances too small to be squared leave 0 / 0; then the fewer degrees are the safe side.
    (both.sqrt(), if degrees.is_finite() { degrees } else { a.1.min(b.1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-9 * expected.abs()
    }

    #[test]
    fn ratio_interval_and_p_are_scipys() {
        // r = scipy.stats.ttest_ind(numpy.log(new), numpy.log(old), equal_var=False), SciPy 1.17.1:
        // exp(r.confidence_interval()), r.pvalue, r.df; and r.pvalue with log(new / 1.05)
        let old = [1020., 980., 1100., 1005., 995., 1300., 1010.].map(f64::ln);
        let new = [1100., 1090., 1130., 1210., 1105., 1099., 1120., 1095.].map(f64::ln);
        let found = unpaired(&new, &old).unwrap();
        let interval = found.interval.unwrap();
        assert!(close(found.estimate, 1.060907598383073), "{found:?}");
        assert!(close(interval.low, 0.9667511089080278), "{found:?}");
        assert!(close(interval.high, 1.1642344362844863), "{found:?}");
        assert!(close(found.error.unwrap().1, 7.227044904313364), "{found:?}");
        assert!(close(found.p_of(1.0).unwrap(), 0.17729890367479495), "{found:?}");
        assert!(close(found.p_of(1.05).unwrap(), 0.8011698394815885), "{found:?}");
    }

    #[test]
    fn below_six_launches_of_either_there_is_a_ratio_but_no_interval() {
        let found = unpaired(&[1.0; 5], &[0.0; 9]).unwrap();
        assert!(close(found.estimate, 1.0_f64.exp()));
        assert_eq!((found.interval, found.error, found.p_of(1.0)), (None, None, None));
        assert_eq!(unpaired(&[], &[0.0; 9]), None);
    }

    #[test]
    fn launches_without_spread_differ_surely_or_not_at_all() {
        let same = unpaired(&[2.0; 6], &[2.0; 6]).unwrap();
        assert_eq!(same.p_of(1.0), Some(1.0));
        let other = unpaired(&[2.5; 6], &[2.0; 6]).unwrap();
        assert_eq!((other.p_of(1.0), other.p_of(0.5_f64.exp())), (Some(0.0), Some(1.0)));
        let tiny = [1e-170, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!(unpaired(&tiny, &tiny).unwrap().p_of(1.0).is_some());
    }
}
