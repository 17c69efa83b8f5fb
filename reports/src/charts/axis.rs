//! An axis: from a value to a place, and where the ticks are.

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{IntoLogRange, LogCoord};

/// From a value to a place between two pixels.
pub(crate) struct Axis {
    scale: Scale,
    pixels: (f64, f64),
    ticks: Vec<f64>,
}

enum Scale {
    Linear(RangedCoordf64),
    Log(LogCoord<f64>),
}

/// Plotters maps to whole pixels; this many of its pixels are one of ours.
const FINE: f64 = 100.0;

impl Axis {
    /// From 0 to the first tick that is not below `high`.
    pub(crate) fn from_zero(high: f64, pixels: (f64, f64), ticks: usize) -> Self {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let step = nice_step(high / ticks as f64);
        let count = (high / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=count as usize).map(|n| n as f64 * step).collect();
        Self { scale: Scale::Linear((0.0..count * step).into()), pixels, ticks }
    }

    /// From one value to another, with a tick at each of `ticks`.
    pub(crate) fn between(low: f64, high: f64, pixels: (f64, f64), ticks: Vec<f64>) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { scale: Scale::Linear((low..high).into()), pixels, ticks }
    }

    /// A logarithmic axis that holds both ends. `base` 2 for counts, 10 for the rest.
    pub(crate) fn log(low: f64, high: f64, pixels: (f64, f64), base: u32) -> Self {
        let low = if low.is_finite() && low > 0.0 { low } else { 1.0 };
        let high = if high.is_finite() && high > low { high } else { low * 10.0 };
        let ticks = log_ticks(low, high, base);
        let from = ticks.first().copied().unwrap_or(low).min(low);
        let to = ticks.last().copied().unwrap_or(high).max(high);
        Self { scale: Scale::Log((from..to).log_scale().into()), pixels, ticks }
    }

    pub(crate) fn at(&self, value: f64) -> f64 {
        let limit = ((self.pixels.1 - self.pixels.0).abs() * FINE) as i32;
        let mapped = match &self.scale {
            Scale::Linear(scale) => scale.map(&value, (0, limit)),
            Scale::Log(scale) => scale.map(&value.max(f64::MIN_POSITIVE), (0, limit)),
        };
        let way = f64::from(mapped) / FINE;
        if self.pixels.0 <= self.pixels.1 { self.pixels.0 + way } else { self.pixels.0 - way }
    }

    pub(crate) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// Where the axis begins, in pixels.
    pub(crate) fn begin(&self) -> f64 {
        self.pixels.0
    }

    /// Where the axis ends, in pixels.
    pub(crate) fn end(&self) -> f64 {
        self.pixels.1
    }
}

/// The step of 1, 2 or 5 times a power of ten that is not below the given one.
fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= raw * (1.0 - 1e-9));
    nice.unwrap_or(10.0) * power
}

/// Ticks at powers of the base, the outer ones not inside the data. Where few powers of ten would
/// be left, their double and their quintuple join them.
fn log_ticks(low: f64, high: f64, base: u32) -> Vec<f64> {
    let base = f64::from(base);
    let first = (low.ln() / base.ln() + 1e-9).floor() as i32;
    let last = (high.ln() / base.ln() - 1e-9).ceil() as i32;
    let powers = (first..=last).map(|n| base.powi(n));
    if base == 10.0 && last - first <= 3 {
        let all: Vec<f64> = powers.flat_map(|p| [p, 2.0 * p, 5.0 * p]).collect();
        let from = all.iter().rposition(|t| *t <= low * 1.000_001).unwrap_or(0);
        let to = all.iter().position(|t| *t >= high * 0.999_999).unwrap_or(all.len() - 1);
        return all[from..=to.max(from)].to_vec();
    }
    let every = (((last - first) as usize) / 10 + 1).max(1);
    powers.step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_at_a_tick() {
        let axis = Axis::from_zero(37.0, (100.0, 500.0), 5);
        assert_eq!(axis.ticks(), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!((axis.at(0.0), axis.at(20.0), axis.at(40.0)), (100.0, 300.0, 500.0));
    }

    #[test]
    fn an_axis_may_run_upwards() {
        let axis = Axis::from_zero(4.0, (400.0, 0.0), 4);
        assert_eq!((axis.at(0.0), axis.at(1.0), axis.at(4.0)), (400.0, 300.0, 0.0));
    }

    #[test]
    fn a_log_axis_holds_its_data_between_ticks() {
        let axis = Axis::log(3.0, 70.0, (0.0, 100.0), 10);
        assert_eq!(axis.ticks(), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert!(axis.at(3.0) > 0.0 && axis.at(70.0) < 100.0);
        assert_eq!(Axis::log(1.0, 8.0, (0.0, 90.0), 2).ticks(), [1.0, 2.0, 4.0, 8.0]);
    }

    #[test]
    fn nothing_to_show_still_makes_an_axis() {
        for high in [0.0, f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(Axis::from_zero(high, (0.0, 10.0), 4).at(0.0), 0.0);
            assert!(Axis::log(high, high, (0.0, 10.0), 10).at(1.0).is_finite());
        }
    }
}
