//! The universal scalability law (Gunther 1993, "A simple capacity model of massively parallel
//! transaction systems"; Gunther 2007, "Guerrilla Capacity Planning", chapter 4): n workers are
//! n / (1 + contention (n - 1) + coherence n (n - 1)) times as fast as one. Contention is what
//! only one at a time can do; coherence is what each pair must agree upon, so it grows with the
//! square and in the end more workers are slower.

use super::fit::Free;

/// The rate, contention and coherence.
pub(super) const FREE: Free = [true, true, true];

/// The speed-up of `workers`.
pub fn speedup(contention: f64, coherence: f64, workers: f64) -> f64 {
    workers / (1.0 + contention * (workers - 1.0) + coherence * workers * (workers - 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::planted::{Noise, Planted, TIMES_OF_USL, points};
    use super::super::{Law, Refusal, fitted, scaling};
    use super::*;
    use crate::verdict::groups;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-6 * expected.abs()
    }

    #[test]
    fn the_speedup_is_gunthers_and_amdahls_without_coherence() {
        assert!(close(speedup(0.05, 0.002, 32.0), 32.0 / (1.0 + 1.55 + 1.984)));
        assert_eq!(speedup(0.1, 0.0, 8.0), super::super::amdahl::speedup(0.1, 8.0));
    }

    #[test]
    fn the_fit_is_scipys() {
        // As in amdahl.rs: NumPy 2.4.6, SciPy 1.17.1. Here the scatter about the curve decides:
        // inv(J' w J) times the squares / 3, and t.ppf with 3 degrees of freedom.
        let fit = fitted(Law::Usl, &points(&TIMES_OF_USL), None).unwrap();
        let (contention, coherence) = (fit.contention, fit.coherence.unwrap());
        assert!(close(fit.at[0], -13.819209581378274), "{fit:?}");
        assert!(close(contention.estimate, 0.050377688013040295), "{contention:?}");
        assert!(close(coherence.estimate, 0.0019847330472408525), "{coherence:?}");
        let (contention, coherence) = (contention.interval.unwrap(), coherence.interval.unwrap());
        assert!(close(contention.low, 0.04080179051048695), "{contention:?}");
        assert!(close(contention.high, 0.05995358634576638), "{contention:?}");
        assert!(close(coherence.low, 0.0016557072430586908), "{coherence:?}");
        assert!(close(coherence.high, 0.0023137588235649887), "{coherence:?}");
    }

    #[test]
    fn planted_contention_and_coherence_lie_in_their_intervals() {
        let planted = Planted { contention: 0.05, coherence: 0.0005, rounds: 10, noise: 0.02 };
        let mut random = Noise::new(11);
        let (mut contentions, mut coherences, mut widths) = (0, 0, (0.0, 0.0));
        for _ in 0..500 {
            let record = planted.record(&[1, 2, 4, 8, 16, 32, 64], &mut random);
            let groups = groups(&record);
            let found = scaling(&groups[0], &record).remove(0);
            let Ok(fit) = &found.usl else { continue };
            let contention = fit.contention.interval.unwrap();
            let coherence = fit.coherence.unwrap().interval.unwrap();
            contentions += usize::from((contention.low..=contention.high).contains(&0.05));
            coherences += usize::from((coherence.low..=coherence.high).contains(&0.0005));
            widths.0 += (contention.high - contention.low) / 500.0;
            widths.1 += (coherence.high - coherence.low) / 500.0;
        }
        println!("USL: {contentions} and {coherences} of 500 hold, mean widths {widths:?}");
        assert!(contentions * 100 >= 93 * 500, "{contentions} of 500");
        assert!(coherences * 100 >= 93 * 500, "{coherences} of 500");
        assert!(widths.0 < 0.04 && widths.1 < 0.0005, "{widths:?}");
    }

    #[test]
    fn without_coherence_its_interval_reaches_0_and_amdahls_law_is_preferred() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 10, noise: 0.02 };
        let mut random = Noise::new(12);
        let (mut held, mut amdahl) = (0, 0);
        for _ in 0..200 {
            let record = planted.record(&[1, 2, 4, 8, 16, 32, 64], &mut random);
            let groups = groups(&record);
            let found = scaling(&groups[0], &record).remove(0);
            amdahl += usize::from(found.best().is_ok_and(|fit| fit.law == Law::Amdahl));
            let Ok(fit) = &found.usl else { continue };
            held += usize::from(fit.coherence.unwrap().interval.unwrap().low == 0.0);
        }
        assert!(held >= 180 && amdahl >= 180, "{held}, {amdahl}");
    }

    #[test]
    fn amdahls_law_misses_the_last_point_of_what_it_does_not_know() {
        let planted = Planted { contention: 0.02, coherence: 0.002, rounds: 8, noise: 0.01 };
        let record = planted.record(&[1, 2, 4, 8, 16, 64], &mut Noise::new(13));
        let groups = groups(&record);
        let found = scaling(&groups[0], &record).remove(0);
        let Refusal::Missed(held_out) = found.amdahl.clone().unwrap_err() else {
            panic!("{:?}", found.amdahl)
        };
        // It is too slow with 64 workers for a law that only ever rises.
        assert!(held_out.workers == 64 && held_out.measured > held_out.predicted.estimate);
        let fit = found.best().unwrap();
        assert_eq!(fit.law, Law::Usl);
        assert!(fit.held_out.holds(), "{}", fit.held_out);
        // Gunther's n = sqrt((1 - contention) / coherence) = 22.1.
        assert!((fit.peak().unwrap() - 22.1).abs() < 1.0, "{:?}", fit.peak());
    }

    #[test]
    fn predictions_end_at_twice_the_workers() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 6, noise: 0.01 };
        let record = planted.record(&[1, 2, 4, 8, 16], &mut Noise::new(14));
        let groups = groups(&record);
        let found = scaling(&groups[0], &record).remove(0);
        let fit = found.best().unwrap();
        let inside = fit.predict(16.0).unwrap();
        let beyond = fit.predict(32.0).unwrap();
        assert!(!inside.extrapolated && beyond.extrapolated);
        assert_eq!((fit.predict(32.1), fit.predict(0.5)), (None, None));
        // 1 ms of work for one worker, as planted.
        let interval = beyond.ns.interval.unwrap();
        let truth = 1e6 / super::super::amdahl::speedup(0.1, 32.0);
        assert!(interval.low < truth && truth < interval.high, "{interval:?}, {truth}");
        assert!(interval.high / interval.low < 1.2, "{interval:?}");
    }

    #[test]
    fn predictions_end_at_the_cores_of_work_that_computes() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 6, noise: 0.01 };
        let mut record = planted.record(&[1, 2, 4, 8, 16], &mut Noise::new(16));
        record.header.machine.usable_cores = 20;
        let groups = groups(&record);
        let found = scaling(&groups[0], &record).remove(0);
        let fit = found.best().unwrap();
        assert!(fit.predict(20.0).is_some() && fit.predict(20.1).is_none());
    }

    #[test]
    fn held_out_points_lie_in_their_intervals() {
        let planted = Planted { contention: 0.05, coherence: 0.001, rounds: 8, noise: 0.02 };
        let mut random = Noise::new(15);
        let mut held = 0;
        for _ in 0..500 {
            let points = planted.noisy(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0], &mut random);
            held += usize::from(fitted(Law::Usl, &points, None).is_ok_and(|f| f.held_out.holds()));
        }
        println!("held-out: {held} of 500");
        assert!(held * 100 >= 93 * 500, "{held} of 500");
    }
}
