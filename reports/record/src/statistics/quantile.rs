//! Order statistics.

/// The value below which the share `q` (0 to 1, clamped) of `values` lies, interpolated linearly
/// between its neighbours: type 7 of Hyndman and Fan (1996), the default of NumPy and R.
/// `None` for no values.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// The middle value, or the mean of the two middle ones. `None` for no values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [f64; 7] = [15.0, 20.0, 35.0, 40.0, 50.0, 4.5, 7.25];

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([15, 20, 35, 40, 50, 4.5, 7.25], [0, .05, .25, .5, .9, .95, 1]), 2.x
        let numpy = [4.5, 5.325, 11.125, 20.0, 44.0, 47.0, 50.0];
        for (q, expected) in [0.0, 0.05, 0.25, 0.5, 0.9, 0.95, 1.0].into_iter().zip(numpy) {
            let found = quantile(&VALUES, q).unwrap();
            assert!((found - expected).abs() < 1e-12, "{q}: {found}, not {expected}");
        }
    }

    #[test]
    fn the_median_of_an_even_number_of_values_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn one_value_is_all_its_quantiles_and_none_has_none() {
        assert_eq!(quantile(&[3.0], 0.95), Some(3.0));
        assert_eq!(median(&[]), None);
    }
}
