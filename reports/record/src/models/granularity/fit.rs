//! The cost of a task by a straight line: granularity = work x time per unit + cost.

use std::collections::BTreeMap;

use super::{Length, common_rounds, rounds_of, sorted};
use crate::statistics::interval::{CONFIDENCE, MIN_LAUNCHES};
use crate::statistics::{Interval, student};

/// What a task costs besides its work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Core-nanoseconds per task: the line's intercept, the mean over rounds.
    pub ns: f64,
    /// 95 %: a t interval over the rounds' intercepts, on the linear scale, as a cost near nothing
    /// may come out negative. Absent below six rounds.
    pub interval: Option<Interval>,
    /// Core-nanoseconds per unit of work: the line's slope, the mean over rounds.
    pub ns_per_unit: f64,
    /// The largest distance of a measured mean from the line, as a share of the line. Where it is
    /// large, the cost depends on the length of the task, and the intercept is a summary of it.
    pub misfit: f64,
}

/// A line has two parameters: from fewer lengths nobody could see that it does not fit.
const FEWEST: usize = 3;

/// Fits the line in each round by least squares with weights 1 / line^2, as errors of time are
/// shares of it; the intercepts of the rounds give estimate and interval. `None` below three
/// lengths, and where no round has all of them.
pub fn cost(lengths: &[Length]) -> Option<Cost> {
    let lengths = sorted(lengths);
    if lengths.len() < FEWEST {
        return None;
    }
    let logs: Vec<BTreeMap<u32, f64>> = lengths.iter().map(|l| rounds_of(l)).collect();
    let points = |round: &u32| -> Vec<(f64, f64)> {
        lengths.iter().zip(&logs).map(|(length, logs)| (length.work, logs[round].exp())).collect()
    };
    let rounds = common_rounds(&lengths);
    let lines: Vec<Line> = rounds.iter().filter_map(|round| line(&points(round))).collect();
    let costs: Vec<f64> = lines.iter().map(|line| line.cost).collect();
    let (ns, interval) = mean(&costs)?;
    let (ns_per_unit, _) = mean(&lines.iter().map(|line| line.slope).collect::<Vec<_>>())?;
    let fitted = Line { cost: ns, slope: ns_per_unit };
    let distance =
        |length: &&Length| (length.mean().unwrap_or(0.0) / fitted.at(length.work) - 1.0).abs();
    let misfit = lengths.iter().map(distance).fold(0.0, f64::max);
    Some(Cost { ns, interval, ns_per_unit, misfit })
}

#[derive(Debug, Clone, Copy)]
struct Line {
    cost: f64,
    slope: f64,
}

impl Line {
    fn at(&self, work: f64) -> f64 {
        self.cost + self.slope * work
    }
}

/// Times that the weights are taken from the last line; they hardly change after the second.
const STEPS: usize = 8;

/// Weighted least squares, the weights improved with the line: from measured values alone, a
/// value that is too low by chance would weigh more than one that is too high.
fn line(points: &[(f64, f64)]) -> Option<Line> {
    let mut expected: Vec<f64> = points.iter().map(|(_, g)| *g).collect();
    let mut line = None;
    for _ in 0..STEPS {
        let found = solve(points, &expected)?;
        // A line that goes below zero would have weights without meaning there.
        let better = points.iter().zip(&expected).map(|((work, _), old)| match found.at(*work) {
            at if at > 0.0 => at,
            _ => *old,
        });
        expected = better.collect();
        line = Some(found);
    }
    line
}

/// The normal equations of a line with weights 1 / expected^2, centred, because works range over
/// many orders of magnitude.
fn solve(points: &[(f64, f64)], expected: &[f64]) -> Option<Line> {
    let weighted = || points.iter().zip(expected).map(|((w, g), e)| (1.0 / (e * e), *w, *g));
    let total: f64 = weighted().map(|(weight, ..)| weight).sum();
    let centre_w = weighted().map(|(weight, w, _)| weight * w).sum::<f64>() / total;
    let centre_g = weighted().map(|(weight, _, g)| weight * g).sum::<f64>() / total;
    let spread: f64 = weighted().map(|(weight, w, _)| weight * (w - centre_w).powi(2)).sum();
    let both: f64 = weighted().map(|(weight, w, g)| weight * (w - centre_w) * (g - centre_g)).sum();
    let slope = both / spread;
    let line = Line { cost: centre_g - slope * centre_w, slope };
    (line.cost.is_finite() && line.slope.is_finite()).then_some(line)
}

/// The mean and its t interval.
fn mean(values: &[f64]) -> Option<(f64, Option<Interval>)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.is_empty() {
        return None;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let interval = (values.len() >= MIN_LAUNCHES).then(|| {
        let reach = student::critical(CONFIDENCE, n - 1.0) * (squares / (n - 1.0) / n).sqrt();
        Interval { low: mean - reach, high: mean + reach }
    });
    Some((mean, interval))
}
