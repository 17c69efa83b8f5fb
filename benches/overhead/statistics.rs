//! The median of paired differences or ratios, and how far it can be trusted.

use manyhands_record::statistics::quantile::median;

/// A median with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    /// `None` below six values, whose interval would be without bounds.
    pub(crate) interval: Option<[f64; 2]>,
}

impl Estimate {
    /// The interval lies between two order statistics, as the inverted sign test gives them: it
    /// holds for any distribution (H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition,
    /// 2003, section 7.1).
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let interval =
            rank(sorted.len()).map(|rank| [sorted[rank - 1], sorted[sorted.len() - rank]]);
        Self { median: median(&sorted).unwrap_or(f64::NAN), interval }
    }
}

/// The largest r for which the interval from the r-th smallest to the r-th largest of n values
/// holds the median with 95 %: P(B < r) <= 2.5 %, where B is the number of heads of n fair coins.
fn rank(n: usize) -> Option<usize> {
    let mut heads = 0;
    let mut exactly = 0.5_f64.powf(n as f64);
    let mut below = exactly;
    while below <= 0.025 {
        exactly *= (n - heads) as f64 / (heads + 1) as f64;
        below += exactly;
        heads += 1;
    }
    (heads > 0).then_some(heads)
}
