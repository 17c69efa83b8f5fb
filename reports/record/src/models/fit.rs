//! Weighted nonlinear least squares for curves of throughput over workers.
//!
//! Both laws are one formula, Gunther's: with n workers the throughput is
//! `rate * n / (1 + contention (n - 1) + coherence n (n - 1))`; Amdahl's is the one without
//! coherence. It is fitted on the log scale, because noise is a share of the time and not an
//! amount of it, by Gauss and Newton's method (Bates and Watts 1988, section 2.2), begun at the
//! solution of the linear problem that the reciprocal poses.
//!
//! **Intervals** are made of rounds. A round has one launch of every cell, so it is a small curve
//! of its own; the linearised parameters (the delta method) of the rounds are independent, and a
//! t interval over them is exact for any spread of the cells and for any mood that the cells of
//! a round share, as far as the linearisation holds. It knows nothing of a curve that misses the points
//! systematically; the scatter of the points about the curve does, with as many degrees of freedom
//! as there are points beyond the parameters: with four points it is little, and the interval is
//! wide. The larger of the two reaches counts.

use crate::statistics::Interval;
use crate::statistics::interval::CONFIDENCE;
use crate::statistics::student;

/// Logarithm of the rate, contention, coherence.
pub(super) const PARAMETERS: usize = 3;

type Vector = [f64; PARAMETERS];
type Matrix = [Vector; PARAMETERS];

/// Which parameters are free; the others are 0.
pub(super) type Free = [bool; PARAMETERS];

/// A fit that has not ended by then will not.
const MOST_STEPS: usize = 200;

/// A step of this share of the parameters' own uncertainty changes nothing that is printed.
const SMALL_STEP: f64 = 1e-9;

/// The throughputs of one executor: rounds that measured all of its cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Points {
    /// Distinct, ascending.
    pub(super) workers: Vec<f64>,
    /// For each round, the logarithm of the throughput of each cell.
    pub(super) rounds: Vec<Vec<f64>>,
}

impl Points {
    /// The geometric means of the cells, as logarithms.
    pub(super) fn means(&self) -> Vec<f64> {
        let rounds = self.rounds.len() as f64;
        (0..self.workers.len())
            .map(|cell| self.rounds.iter().map(|round| round[cell]).sum::<f64>() / rounds)
            .collect()
    }

    /// Without the last cell.
    pub(super) fn without_last(&self) -> Self {
        let kept = self.workers.len() - 1;
        Self {
            workers: self.workers[..kept].to_vec(),
            rounds: self.rounds.iter().map(|round| round[..kept].to_vec()).collect(),
        }
    }

    /// One over each cell's variance, the mean of all being 1. Six launches tell a variance
    /// badly, so each is drawn half-way to the mean of all; a round's mood is taken out first.
    fn weights(&self) -> Vec<f64> {
        let (cells, rounds) = (self.workers.len(), self.rounds.len() as f64);
        let means = self.means();
        let all = means.iter().sum::<f64>() / cells as f64;
        let mut variances = vec![0.0; cells];
        for round in &self.rounds {
            let mood = round.iter().sum::<f64>() / cells as f64 - all;
            for (cell, variance) in variances.iter_mut().enumerate() {
                *variance += (round[cell] - means[cell] - mood).powi(2) / (rounds - 1.0).max(1.0);
            }
        }
        let mean = variances.iter().sum::<f64>() / cells as f64;
        if mean <= f64::MIN_POSITIVE {
            return vec![1.0; cells];
        }
        let raw: Vec<f64> = variances.iter().map(|variance| 1.0 / (variance + mean)).collect();
        let scale = cells as f64 / raw.iter().sum::<f64>();
        raw.iter().map(|weight| weight * scale).collect()
    }
}

/// Where the squares are least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Minimum {
    pub(super) at: Vector,
    /// Weighted.
    pub(super) squares: f64,
}

/// The logarithm of the throughput with `workers`; `None` where the formula has no positive value.
pub(super) fn log_throughput(at: &Vector, workers: f64) -> Option<f64> {
    let divisor = divisor(at, workers);
    (divisor > 0.0).then(|| at[0] + workers.ln() - divisor.ln())
}

fn divisor(at: &Vector, workers: f64) -> f64 {
    1.0 + at[1] * (workers - 1.0) + at[2] * workers * (workers - 1.0)
}

/// How [`log_throughput`] changes with each parameter.
fn gradient(at: &Vector, workers: f64) -> Vector {
    let divisor = divisor(at, workers);
    [1.0, -(workers - 1.0) / divisor, -workers * (workers - 1.0) / divisor]
}

/// The parameters with the least squares among those that are free, of any sign.
/// `None` where the search does not end.
pub(super) fn minimum(points: &Points, free: Free) -> Option<Minimum> {
    let (means, weights) = (points.means(), points.weights());
    let squares = |at: &Vector| -> Option<f64> {
        let mut sum = 0.0;
        for ((&workers, mean), weight) in points.workers.iter().zip(&means).zip(&weights) {
            sum += weight * (mean - log_throughput(at, workers)?).powi(2);
        }
        Some(sum)
    };
    let mut at = start(&points.workers, &means, &weights, free);
    let mut best = squares(&at).or_else(|| {
        at = [means[0] - points.workers[0].ln(), 0.0, 0.0];
        squares(&at)
    })?;
    for _ in 0..MOST_STEPS {
        let step = newton_step(points, &means, &weights, &at, free)?;
        let (next, value, share) = shorten(&at, &step, best, squares)?;
        let size = (0..PARAMETERS)
            .map(|i| (share * step[i]).abs() / (at[i].abs() + 1e-3))
            .fold(0.0, f64::max);
        (at, best) = (next, value);
        if size < SMALL_STEP {
            return Some(Minimum { at, squares: best });
        }
    }
    None
}

/// The step, halved until it does not lead uphill.
fn shorten(
    at: &Vector,
    step: &Vector,
    best: f64,
    squares: impl Fn(&Vector) -> Option<f64>,
) -> Option<(Vector, f64, f64)> {
    let mut share = 1.0;
    for _ in 0..60 {
        let next = std::array::from_fn(|i| at[i] + share * step[i]);
        // At the bottom rounding makes steps that lead neither up nor down.
        if let Some(value) = squares(&next).filter(|value| *value <= best + 1e-15 + best * 1e-12) {
            return Some((next, value, share));
        }
        share *= 0.5;
    }
    None
}

/// Workers / throughput is linear in the parameters: its relative least squares are near those
/// sought.
fn start(workers: &[f64], means: &[f64], weights: &[f64], free: Free) -> Vector {
    let (mut matrix, mut right) = (Matrix::default(), Vector::default());
    for ((&n, mean), weight) in workers.iter().zip(means).zip(weights) {
        // Divided by what is to be explained, so that each point's relative error counts.
        let scale = (mean - n.ln()).exp();
        let row = [scale, scale * (n - 1.0), scale * n * (n - 1.0)];
        add(&mut matrix, &mut right, &row, 1.0, *weight);
    }
    match solve(matrix, right, free) {
        Some(linear) if linear[0] > 0.0 => {
            [-linear[0].ln(), linear[1] / linear[0], linear[2] / linear[0]]
        }
        _ => [means[0] - workers[0].ln(), 0.0, 0.0],
    }
}

fn newton_step(
    points: &Points,
    means: &[f64],
    weights: &[f64],
    at: &Vector,
    free: Free,
) -> Option<Vector> {
    let (mut matrix, mut right) = (Matrix::default(), Vector::default());
    for ((&workers, mean), weight) in points.workers.iter().zip(means).zip(weights) {
        let residual = mean - log_throughput(at, workers)?;
        add(&mut matrix, &mut right, &gradient(at, workers), residual, *weight);
    }
    solve(matrix, right, free)
}

/// One point's share of the normal equations.
fn add(matrix: &mut Matrix, right: &mut Vector, row: &Vector, value: f64, weight: f64) {
    for i in 0..PARAMETERS {
        right[i] += weight * row[i] * value;
        for j in 0..PARAMETERS {
            matrix[i][j] += weight * row[i] * row[j];
        }
    }
}

/// Solves the normal equations of the free parameters by Cholesky's method, after scaling each
/// to 1: n (n - 1) and 1 lie far apart. `None` where the points do not determine them.
fn solve(matrix: Matrix, right: Vector, free: Free) -> Option<Vector> {
    let mut found = Vector::default();
    let used: Vec<usize> = (0..PARAMETERS).filter(|&i| free[i]).collect();
    let scale = |i: usize| matrix[i][i].sqrt();
    if used.iter().any(|&i| !scale(i).is_finite() || scale(i) <= 0.0) {
        return None;
    }
    let count = used.len();
    let mut lower = Matrix::default();
    for i in 0..count {
        for j in 0..=i {
            let value = matrix[used[i]][used[j]] / scale(used[i]) / scale(used[j]);
            let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            if i == j {
                // Below this, rounding is all that is left of what should be positive.
                let rest = Some(value - known).filter(|rest| *rest > 1e-13)?;
                lower[i][i] = rest.sqrt();
            } else {
                lower[i][j] = (value - known) / lower[j][j];
            }
        }
    }
    let mut forward = Vector::default();
    for i in 0..count {
        let known: f64 = (0..i).map(|k| lower[i][k] * forward[k]).sum();
        forward[i] = (right[used[i]] / scale(used[i]) - known) / lower[i][i];
    }
    for i in (0..count).rev() {
        let known: f64 =
            (i + 1..count).map(|k| lower[k][i] * found[used[k]] * scale(used[k])).sum();
        found[used[i]] = (forward[i] - known) / lower[i][i] / scale(used[i]);
    }
    Some(found)
}

/// How the parameters follow the points near `at`, and with it how sure they are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linear {
    at: Vector,
    /// Each round's parameters, as differences from the mean.
    rounds: Vec<Vector>,
    /// From the scatter of the points about the curve; zero where there are as many parameters
    /// as points.
    misfit: Matrix,
    /// Points beyond the free parameters: the degrees of freedom of `misfit`.
    degrees: usize,
}

impl Linear {
    /// `None` where the points do not determine the free parameters.
    pub(super) fn of(points: &Points, at: Vector, free: Free) -> Option<Self> {
        let (means, weights) = (points.means(), points.weights());
        let mut matrix = Matrix::default();
        let mut squares = 0.0;
        for ((&workers, mean), weight) in points.workers.iter().zip(&means).zip(&weights) {
            let residual = mean - log_throughput(&at, workers)?;
            squares += weight * residual.powi(2);
            add(&mut matrix, &mut Vector::default(), &gradient(&at, workers), 0.0, *weight);
        }
        let degrees = points.workers.len().saturating_sub(free.iter().filter(|f| **f).count());
        let scatter = if degrees > 0 { squares / degrees as f64 } else { 0.0 };
        let mut misfit = Matrix::default();
        for i in (0..PARAMETERS).filter(|&i| free[i]) {
            let mut unit = Vector::default();
            unit[i] = 1.0;
            misfit[i] = solve(matrix, unit, free)?.map(|value| value * scatter);
        }
        let of_round = |round: &Vec<f64>| {
            let mut right = Vector::default();
            for (cell, &workers) in points.workers.iter().enumerate() {
                let away = round[cell] - means[cell];
                let row = gradient(&at, workers);
                add(&mut Matrix::default(), &mut right, &row, away, weights[cell]);
            }
            solve(matrix, right, free)
        };
        let rounds = points.rounds.iter().map(of_round).collect::<Option<_>>()?;
        Some(Self { at, rounds, misfit, degrees })
    }

    /// The interval of one parameter.
    pub(super) fn interval(&self, parameter: usize) -> Interval {
        let mut along = Vector::default();
        along[parameter] = 1.0;
        let reach = self.reach(&along, None);
        Interval { low: self.at[parameter] - reach, high: self.at[parameter] + reach }
    }

    /// How far, either way, the logarithm of the throughput with `workers` is uncertain;
    /// `measured` adds the uncertainty of a mean that was measured in the same rounds.
    pub(super) fn reach_at(&self, workers: f64, measured: Option<&[f64]>) -> f64 {
        self.reach(&gradient(&self.at, workers), measured)
    }

    fn reach(&self, along: &Vector, measured: Option<&[f64]>) -> f64 {
        let dot = |a: &Vector, b: &Vector| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let values: Vec<f64> = self.rounds.iter().map(|round| dot(along, round)).collect();
        let misfit = dot(along, &std::array::from_fn(|i| dot(&self.misfit[i], along)));
        let (mut variance, mut noise) = (variance_of_mean(&values), 0.0);
        if let Some(measured) = measured {
            let differences: Vec<f64> = measured.iter().zip(&values).map(|(m, v)| m - v).collect();
            variance = variance_of_mean(&differences);
            noise = variance_of_mean(measured);
        }
        let critical = |degrees: usize| match degrees {
            // As many parameters as points: the curve passes through them, and `misfit` is zero.
            0 => 0.0,
            _ => student::critical(CONFIDENCE, degrees as f64),
        };
        let (of_rounds, of_points) = (critical(self.rounds.len() - 1), critical(self.degrees));
        // Each variance at the critical value of its own degrees of freedom.
        let scattered = of_points.powi(2) * misfit + of_rounds.powi(2) * noise;
        (of_rounds * variance.sqrt()).max(scattered.sqrt())
    }
}

/// The variance of the mean of independent values; at least two.
fn variance_of_mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
}

#[cfg(test)]
mod tests {
    use super::super::planted::{Noise, Planted};
    use super::super::{amdahl, usl};
    use super::*;

    /// Of 2,000 curves whose points each miss the law by 3 %, alike in all of 20 quiet rounds:
    /// the share whose interval holds the planted contention.
    fn held(coherence: f64, free: Free, workers: &[f64], seed: u64) -> f64 {
        let planted = Planted { contention: 0.1, coherence, rounds: 20, noise: 0.001 };
        let mut random = Noise::new(seed);
        let mut held = 0_u32;
        for _ in 0..2_000 {
            let mut points = planted.noisy(workers, &mut random);
            for cell in 0..workers.len() {
                let missed = 0.03 * random.next();
                points.rounds.iter_mut().for_each(|round| round[cell] += missed);
            }
            let Some(found) = minimum(&points, free) else { continue };
            let linear = Linear::of(&points, found.at, free).expect("it has just been solved");
            let interval = linear.interval(1);
            held += u32::from((interval.low..=interval.high).contains(&0.1));
        }
        f64::from(held) / 2_000.0
    }

    #[test]
    fn a_curve_that_misses_its_points_is_as_sure_as_they_are_many() {
        // With the 19 degrees of freedom of the rounds it is 83, 72 and 91 %.
        let shares = [
            held(0.0, amdahl::FREE, &[1.0, 2.0, 4.0, 8.0], 21),
            held(0.002, usl::FREE, &[1.0, 4.0, 16.0, 64.0], 22),
            held(0.0, amdahl::FREE, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], 23),
        ];
        println!("misfit: {shares:?} hold the planted contention");
        assert!(shares.iter().all(|share| (0.93..=0.97).contains(share)), "{shares:?}");
    }
}
