//! The minimum detectable difference: how large a difference must be to be seen.
//!
//! A tie is not a proof of equality. What it says depends on how large a difference the same
//! number of launches with the same noise would have shown: here the smallest that is called a
//! difference in 80 of 100 runs (Cohen 1988, *Statistical Power Analysis*, chapter 2). To be
//! called one, an estimate must be significant *and* larger than the least difference that ever
//! counts, so both are part of the power: with `s` the ratio of the estimated standard error to
//! the true one, `g` the least difference and `c` the critical t, both in standard errors, it is
//! the mean of Phi(d - max(g, c s)) over the chi distribution of `s`. Without `g` that is the
//! non-central t distribution. The standard error is the one that was estimated: the figure is
//! itself an estimate, good to a third for six launches and to a sixth for twenty.

use std::f64::consts::PI;

use super::student::ln_gamma;

/// The chance that the difference is seen.
pub const POWER: f64 = 0.8;

/// Steps of Simpson's rule on either side of the place where `c s` takes over from `g`: enough for
/// five digits.
const STEPS: usize = 24;

/// The smallest difference of logarithms that is seen with a chance of [`POWER`].
///
/// `error` is the standard error of the difference, with its `degrees` of freedom; `critical` the
/// t that significance asks for; `least` the difference of logarithms that is never called one,
/// which this is never below.
pub fn difference(error: f64, degrees: f64, critical: f64, least: f64) -> f64 {
    if error.is_nan() || error <= 0.0 {
        return least;
    }
    let gate = least / error;
    let thresholds = thresholds(degrees, critical, gate);
    let mut d = gate.max(critical) + 0.85;
    // Newton's method. From the left of the solution each step ends short of it, because the
    // power rises ever more slowly there; from its right the first step leads to its left.
    for _ in 0..50 {
        let (mut power, mut slope) = (0.0, 0.0);
        for (weight, threshold) in &thresholds {
            let (below, density) = normal(d - threshold);
            power += weight * below;
            slope += weight * density;
        }
        let step = ((POWER - power) / slope.max(1e-6)).clamp(-2.0, 2.0);
        d += step;
        if step.abs() < 1e-9 * d {
            break;
        }
    }
    (d * error).max(least)
}

/// What `d` must exceed, with the weight of each case: the quadrature over `s`.
fn thresholds(degrees: f64, critical: f64, gate: f64) -> Vec<(f64, f64)> {
    let (low, high) = range(degrees);
    let change = (gate / critical).clamp(low, high);
    let scale = (2.0_f64).ln() + 0.5 * degrees * (0.5 * degrees).ln() - ln_gamma(0.5 * degrees);
    let density = |s: f64| {
        if s <= 0.0 {
            0.0
        } else {
            (scale + (degrees - 1.0) * s.ln() - 0.5 * degrees * s * s).exp()
        }
    };
    // Below the change all cases have the same threshold, and so are one.
    let below: f64 = simpson(low, change).map(|(s, weight)| weight * density(s)).sum();
    let above = simpson(change, high).map(|(s, weight)| (weight * density(s), critical * s));
    std::iter::once((below, gate)).chain(above).collect()
}

/// The places of Simpson's rule with their weights.
fn simpson(from: f64, to: f64) -> impl Iterator<Item = (f64, f64)> {
    let width = (to - from) / STEPS as f64;
    (0..=STEPS).filter(move |_| width > 0.0).map(move |i| {
        let share = match i {
            0 | STEPS => 1.0,
            odd if odd % 2 == 1 => 4.0,
            _ => 2.0,
        };
        (from + width * i as f64, share * width / 3.0)
    })
}

/// Where practically all of the chi distribution lies: 5.5 standard deviations by Wilson and
/// Hilferty's (1931) cube root.
fn range(degrees: f64) -> (f64, f64) {
    let spread = (2.0 / (9.0 * degrees)).sqrt();
    let root = |z: f64| (1.0 - spread * spread + z * spread).max(0.0).powf(1.5);
    (root(-5.5), root(5.5))
}

/// The normal distribution function, to 1e-7 (Hastings 1955; Abramowitz and Stegun 26.2.17), and
/// its density.
fn normal(z: f64) -> (f64, f64) {
    const TERMS: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let tail = density * TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    (if z < 0.0 { tail } else { 1.0 - tail }, density)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::student;

    fn found(degrees: f64, level: f64, gate: f64) -> f64 {
        difference(1.0, degrees, student::critical(1.0 - level, degrees), gate)
    }

    #[test]
    fn without_a_least_difference_it_is_that_of_scipys_non_central_t() {
        // c = scipy.stats.t.ppf(1 - level / 2, degrees); brentq(lambda d:
        // scipy.stats.nct.sf(c, degrees, d) - .8, 0, 200), SciPy 1.17.1
        let scipy = [
            (5.0, 0.05, 3.5139041055628986),
            (5.0, 0.005, 6.023605453114693),
            (9.0, 0.05, 3.1496356782722197),
            (9.0, 0.001, 5.901318788012779),
            (19.0, 0.05, 2.95358824715658),
            (19.0, 0.00025, 5.46970287655294),
            (99.0, 0.05, 2.8291297842553385),
            (6.4, 0.05, 3.323626071155103),
        ];
        for (degrees, level, expected) in scipy {
            let found = found(degrees, level, 0.0);
            assert!((found / expected - 1.0).abs() < 2e-5, "{degrees}, {level}: {found}");
        }
    }

    #[test]
    fn with_one_it_is_that_of_scipys_quadrature() {
        // The same with the mean of scipy.stats.norm.sf(max(g, c s) - d) over the density of s,
        // scipy.stats.chi.pdf(s sqrt(v), v) sqrt(v), by scipy.integrate.quad; SciPy 1.17.1
        let scipy = [
            (5.0, 0.05, 2.0, 3.559005006521983),
            (9.0, 0.05, 3.0, 3.863226463079505),
            (9.0, 0.05, 10.0, 10.841621233572916),
            (19.0, 0.05, 2.0, 3.0308750296636444),
            (19.0, 0.00025, 4.5, 5.656236826404645),
        ];
        for (degrees, level, gate, expected) in scipy {
            let found = found(degrees, level, gate);
            assert!((found / expected - 1.0).abs() < 2e-5, "{degrees}, {level}, {gate}: {found}");
        }
    }

    #[test]
    fn it_is_never_below_the_least_difference_and_grows_with_the_noise() {
        let least = 1.02_f64.ln();
        assert_eq!(difference(0.0, 5.0, 2.57, least), least);
        assert_eq!(difference(f64::NAN, 5.0, 2.57, least), least);
        let mut before = least;
        for error in [1e-6, 1e-4, 0.003, 0.01, 0.1, 3.0] {
            let found = difference(error, 5.0, 2.57, least);
            assert!(found >= before && found.is_finite(), "{error}: {found}");
            before = found;
        }
    }
}
