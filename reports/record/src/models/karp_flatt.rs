//! The serial fraction that a speed-up shows (Karp and Flatt 1990, "Measuring parallel processor
//! performance", Communications of the ACM 33(5)).
//!
//! It is Amdahl's law solved for the serial fraction, one number of workers at a time. A fraction
//! that stays the same as workers are added is serial work; one that grows is overhead that grows.

/// e = (1 / speed-up - 1 / workers) / (1 - 1 / workers), for more than one worker. Negative
/// where the speed-up is larger than the workers. It falls as the speed-up rises, so the ends of an
/// interval of one are those of the other.
pub fn serial_fraction(speedup: f64, workers: f64) -> f64 {
    (1.0 / speedup - 1.0 / workers) / (1.0 - 1.0 / workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_those_computed_by_hand() {
        // With exact fractions: (5/8 - 1/2) / (1 - 1/2) = 1/4, (1/4 - 1/8) / (1 - 1/8) = 1/7.
        let cases = [(1.0, 2.0, 1.0), (2.0, 2.0, 0.0), (1.6, 2.0, 0.25), (4.0, 8.0, 1.0 / 7.0)];
        for (speedup, workers, expected) in cases {
            let found: f64 = serial_fraction(speedup, workers);
            assert!((found - expected).abs() < 1e-12, "{speedup}, {workers}: {found}");
        }
        assert!(serial_fraction(9.0, 8.0) < 0.0);
    }

    #[test]
    fn it_is_amdahls_law_read_backwards() {
        for workers in [2.0, 3.0, 17.0, 64.0] {
            let speedup = workers / (1.0 + 0.1 * (workers - 1.0));
            assert!((serial_fraction(speedup, workers) - 0.1).abs() < 1e-12);
        }
    }
}
