//! Amdahl's law (Amdahl 1967, "Validity of the single processor approach to achieving large scale
//! computing capabilities", AFIPS 30): where the fraction s of the work is serial, n workers are
//! n / (1 + s (n - 1)) times as fast as one.
//!
//! It is the universal scalability law ([`super::usl`]) without coherence, and fitted in the same
//! way; the speed-up is against one worker of the same executor, as the fit sees it, so a slow
//! executor is not mistaken for a serial one.

use super::fit::Free;

/// The rate and the serial fraction; no coherence.
pub(super) const FREE: Free = [true, true, false];

/// The speed-up of `workers` where the fraction `serial` of the work is serial.
pub fn speedup(serial: f64, workers: f64) -> f64 {
    workers / (1.0 + serial * (workers - 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::planted::{Noise, Planted, TIMES_OF_AMDAHL, points};
    use super::super::{Law, Refusal, fit, fitted, scaling};
    use super::*;
    use crate::verdict::groups;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-6 * expected.abs()
    }

    #[test]
    fn the_speedup_is_amdahls() {
        assert_eq!(speedup(0.0, 8.0), 8.0);
        assert_eq!(speedup(1.0, 8.0), 1.0);
        assert!(close(speedup(0.1, 64.0), 64.0 / 7.3));
    }

    #[test]
    fn the_fit_is_scipys() {
        // w, ybar: the weights and means of fit.rs, in NumPy 2.4.6;
        // scipy.optimize.least_squares(sqrt(w) * (ybar - law)), SciPy 1.17.1; intervals: the
        // Jacobian by complex steps, the rounds' linearised parameters and scipy.stats.t.ppf
        let fit = fitted(Law::Amdahl, &points(&TIMES_OF_AMDAHL), None).unwrap();
        let contention = fit.contention.interval.unwrap();
        assert!(close(fit.at[0], -13.795551291939562), "{fit:?}");
        assert!(close(fit.contention.estimate, 0.10244935631326685), "{fit:?}");
        assert!(close(contention.low, 0.09979160552893726), "{contention:?}");
        assert!(close(contention.high, 0.10510710709759644), "{contention:?}");
    }

    #[test]
    fn a_planted_serial_fraction_lies_in_its_interval() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 10, noise: 0.02 };
        let (mut held, mut widths) = (0, 0.0);
        let mut random = Noise::new(1);
        for _ in 0..500 {
            let record = planted.record(&[1, 2, 4, 8, 16, 32, 64], &mut random);
            let groups = groups(&record);
            let found = scaling(&groups[0], &record).remove(0);
            let Ok(fit) = &found.amdahl else { continue };
            let interval = fit.contention.interval.unwrap();
            held += usize::from((interval.low..=interval.high).contains(&0.1));
            widths += interval.high - interval.low;
        }
        println!("Amdahl: {held} of 500 hold 0.1, mean width {}", widths / 500.0);
        assert!(held * 100 >= 93 * 500, "{held} of 500");
        // An interval that holds everything would be no achievement.
        assert!(widths / 500.0 < 0.02, "{}", widths / 500.0);
    }

    #[test]
    fn six_noisy_rounds_of_four_counts_are_as_honest() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 6, noise: 0.05 };
        let mut random = Noise::new(2);
        let (mut held, mut fits) = (0, 0);
        for _ in 0..500 {
            let record = planted.record(&[1, 2, 4, 8], &mut random);
            let groups = groups(&record);
            let found = scaling(&groups[0], &record).remove(0);
            let Ok(fit) = &found.amdahl else { continue };
            let interval = fit.contention.interval.unwrap();
            fits += 1;
            held += usize::from((interval.low..=interval.high).contains(&0.1));
        }
        println!("Amdahl, 6 rounds: {held} of {fits}");
        assert!(fits >= 400 && held * 100 >= 93 * fits, "{held} of {fits}");
    }

    #[test]
    fn pure_noise_is_refused() {
        // A serial fraction of 1: more workers change nothing.
        let planted = Planted { contention: 1.0, coherence: 0.0, rounds: 10, noise: 0.05 };
        let mut random = Noise::new(3);
        let mut refused = 0;
        for _ in 0..500 {
            let record = planted.record(&[1, 2, 4, 8, 16, 32, 64], &mut random);
            let groups = groups(&record);
            let found = scaling(&groups[0], &record).remove(0);
            refused += usize::from(found.amdahl.is_err() && found.usl.is_err());
        }
        println!("pure noise: {refused} of 500 refused");
        assert!(refused * 100 >= 97 * 500, "{refused} of 500");
    }

    #[test]
    fn what_no_serial_fraction_gives_is_refused_by_name() {
        let mut random = Noise::new(4);
        let mut refusal = |contention: f64, counts: &[u32]| {
            let planted = Planted { contention, coherence: 0.0, rounds: 8, noise: 0.01 };
            let record = planted.record(counts, &mut random);
            let groups = groups(&record);
            scaling(&groups[0], &record).remove(0).amdahl.unwrap_err()
        };
        assert_eq!(refusal(-0.01, &[1, 2, 4, 8]), Refusal::Superlinear);
        assert_eq!(refusal(1.2, &[1, 2, 4, 8]), Refusal::Falling);
        assert_eq!(
            refusal(0.1, &[1, 2, 4]),
            Refusal::TooFewCounts { found: 3, needed: 4, beyond: None }
        );
        assert_eq!(
            refusal(0.1, &[1, 32, 64, 128, 256]),
            Refusal::TooFewCounts { found: 3, needed: 4, beyond: Some((2, 64)) }
        );
    }

    #[test]
    fn work_that_waits_may_have_more_workers_than_cores() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 6, noise: 0.01 };
        let mut record = planted.record(&[1, 2, 4, 8], &mut Noise::new(6));
        record.header.machine.usable_cores = 2;
        let left_out =
            |record: &crate::Record| scaling(&groups(record)[0], record).remove(0).left_out;
        assert_eq!(left_out(&record), [4, 8]);
        record.header.workloads[0].kind = "io".to_owned();
        assert!(left_out(&record).is_empty());
        record.header.workloads[0].kind = "mixed".to_owned();
        for (tenths, expected) in [(18, vec![4, 8]), (1, vec![])] {
            for cell in &mut record.cells {
                let samples = cell.launches.iter_mut().flat_map(|launch| &mut launch.samples);
                samples.for_each(|sample| sample.user_ns = Some(sample.wall_ns * tenths / 10));
            }
            assert_eq!(left_out(&record), expected, "{tenths} tenths of a core busy");
        }
    }

    #[test]
    fn too_few_rounds_are_refused() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 5, noise: 0.01 };
        let record = planted.record(&[1, 2, 4, 8], &mut Noise::new(5));
        let groups = groups(&record);
        let found = scaling(&groups[0], &record).remove(0).amdahl.unwrap_err();
        assert_eq!(found, Refusal::TooFewRounds { found: 5 });
    }

    #[test]
    fn points_without_noise_are_met_exactly() {
        let planted = Planted { contention: 0.25, coherence: 0.0, rounds: 6, noise: 0.0 };
        let points = planted.points(&[1.0, 2.0, 3.0, 4.0]);
        let found = fit::minimum(&points, FREE).unwrap();
        assert!((found.at[1] - 0.25).abs() < 1e-9, "{found:?}");
    }
}
