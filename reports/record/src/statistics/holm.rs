//! Holm's correction for many comparisons.

/// The p-values adjusted for the size of their `family`, in the given order: Holm (1979),
/// step-down. A family larger than the number of values holds comparisons that might have been
/// made, but were not; they count as if they had shown nothing.
///
/// An adjusted value below 0.05 is significant; the chance that any of the comparisons is
/// wrongly called so stays below 0.05, however they depend on each other.
pub fn adjust(p: &[f64], family: usize) -> Vec<f64> {
    let family = family.max(p.len());
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (done, &i) in order.iter().enumerate() {
        // An easier comparison may not come out worse than a harder one.
        least = least.max((p[i] * (family - done) as f64).min(1.0));
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_are_those_of_statsmodels() {
        // statsmodels.stats.multitest.multipletests(p, method="holm")[1], statsmodels 0.15.0
        let p = [0.01, 0.04, 0.03, 0.005, 0.2, 0.041, 0.9];
        let expected = [0.06, 0.16, 0.15, 0.035, 0.4, 0.16, 0.9];
        for (found, expected) in adjust(&p, p.len()).into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        }
    }

    #[test]
    fn comparisons_not_made_count_as_if_they_had_shown_nothing() {
        let some = [0.04, 0.001, 0.2];
        let all = [0.04, 0.001, 0.2, 1.0, 1.0];
        assert_eq!(adjust(&some, 5), adjust(&all, 5)[..3]);
    }

    #[test]
    fn one_comparison_needs_no_correction_and_none_gives_none() {
        assert_eq!(adjust(&[0.03], 1), [0.03]);
        assert!(adjust(&[], 9).is_empty());
    }
}
