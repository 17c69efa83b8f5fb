//! Student's t distribution.
//!
//! Its tail is a regularised incomplete beta function (DLMF 8.17), which is evaluated by the
//! continued fraction of Numerical Recipes, 3rd edition, section 6.4. A crate would have done it
//! too; these sixty lines spare every user its dependency tree.

/// The chance of a |t| at least this large where nothing is there: the two-sided p-value.
///
/// `degrees` is positive. An infinite `t` gives 0; a `t` that is not a number gives 1, so that a
/// number that could not be computed never makes a difference.
pub fn two_sided_p(t: f64, degrees: f64) -> f64 {
    if t.is_nan() {
        return 1.0;
    }
    if t.is_infinite() {
        return 0.0;
    }
    // DLMF 8.17(ii) with x = v / (v + t^2); the complement t^2 / (v + t^2) is passed beside it,
    // because 1 - x would lose the digits of a small t.
    let sum = degrees + t * t;
    beta(0.5 * degrees, 0.5, degrees / sum, t * t / sum)
}

/// The t that |t| stays below with this `confidence` (above 0, below 1): 2.571 for 0.95 and 5
/// degrees of freedom.
///
/// By Newton's method from 0: the two-sided tail falls ever more slowly as t grows, so each step
/// ends short of the solution and the next begins closer; nothing can overshoot.
pub fn critical(confidence: f64, degrees: f64) -> f64 {
    let tail = 1.0 - confidence;
    let mut t = 0.0;
    for _ in 0..200 {
        let step = (two_sided_p(t, degrees) - tail) / (2.0 * density(t, degrees));
        t += step;
        if step.abs() <= 1e-14 * t {
            break;
        }
    }
    t
}

/// The density of t.
fn density(t: f64, degrees: f64) -> f64 {
    let scale = ln_gamma(0.5 * (degrees + 1.0)) - ln_gamma(0.5 * degrees);
    let shape = 0.5 * (degrees + 1.0) * (t * t / degrees).ln_1p();
    (scale - shape).exp() / (degrees * std::f64::consts::PI).sqrt()
}

/// The regularised incomplete beta function `I_x(a, b)`, with `y` = 1 - x.
fn beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 || y <= 0.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let log = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * y.ln();
    // The fraction converges fast only below the mean; above it, by symmetry (DLMF 8.17.4).
    if x < (a + 1.0) / (a + b + 2.0) {
        log.exp() * fraction(a, b, x) / a
    } else {
        1.0 - log.exp() * fraction(b, a, y) / b
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut product = d;
    for m in (1..10_000).map(f64::from) {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            product *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    product
}

/// The logarithm of the gamma function for x > 0: Lanczos (1964) with g = 7 and Godfrey's nine
/// coefficients, good to about 15 digits.
pub(super) fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    // Below 0.5 the series is poor; Gamma(x + 1) = x Gamma(x) leads above it.
    if x < 0.5 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let x = x - 1.0;
    let series: f64 = (1..).zip(COEFFICIENTS).map(|(i, c)| c / (x + f64::from(i))).sum();
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t
        + (0.999_999_999_999_809_9 + series).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-10 * expected.abs()
    }

    #[test]
    fn critical_values_are_scipys() {
        // scipy.stats.t.ppf(1 - (1 - confidence) / 2, degrees), SciPy 1.17.1
        let scipy = [
            (0.95, 1.0, 12.706204736174694),
            (0.95, 2.0, 4.302652729749462),
            (0.95, 5.0, 2.5705818356363146),
            (0.95, 6.0, 2.4469118511449786),
            (0.95, 9.0, 2.262157162798205),
            (0.95, 19.0, 2.0930240544083087),
            (0.95, 99.0, 1.9842169515864174),
            (0.95, 5000.0, 1.9604385517065073),
            (0.5, 5.0, 0.7266868438004226),
            (0.99, 5.0, 4.032142983555228),
            (0.9999, 3.0, 28.000130010950002),
        ];
        for (confidence, degrees, expected) in scipy {
            let found = critical(confidence, degrees);
            assert!(close(found, expected), "{confidence}, {degrees}: {found}, not {expected}");
        }
    }

    #[test]
    fn p_values_are_scipys() {
        // 2 * scipy.stats.t.sf(t, degrees), SciPy 1.17.1
        let scipy = [
            (0.001, 5.0, 0.9992407867721976),
            (0.5, 1.0, 0.7048327646991335),
            (2.0, 5.0, 0.10193947882985835),
            (2.570581835636314, 5.0, 0.05000000000000007),
            (6.9, 5.0, 0.00097943176359138),
            (35.0, 5.0, 3.582388085380292e-07),
            (1.96, 9.0, 0.08164440546041664),
            (4.0, 40.0, 0.00026591239566669807),
            (2.0, 2000.0, 0.04563527331169484),
        ];
        for (t, degrees, expected) in scipy {
            let found = two_sided_p(t, degrees);
            assert!(close(found, expected), "{t}, {degrees}: {found}, not {expected}");
        }
    }

    #[test]
    fn the_sign_of_t_does_not_matter_and_its_extremes_are_defined() {
        assert_eq!(two_sided_p(-2.5, 7.0), two_sided_p(2.5, 7.0));
        assert_eq!(two_sided_p(0.0, 5.0), 1.0);
        assert_eq!(two_sided_p(f64::INFINITY, 5.0), 0.0);
        assert_eq!(two_sided_p(f64::NEG_INFINITY, 5.0), 0.0);
        assert_eq!(two_sided_p(f64::NAN, 5.0), 1.0);
        assert_eq!(two_sided_p(1e200, 5.0), 0.0);
    }
}
