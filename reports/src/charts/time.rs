//! How long each cell took.
//!
//! Bars where they can start at zero, because then their lengths are in proportion; dots on a log
//! axis where the slowest takes more than twenty times as long as the fastest.

use super::axis::Axis;
use super::rows::{HALF, Layout, WIDTH};
use super::theme::Role;
use super::{Canvas, Estimate, Figure, Row, TextKind};
use crate::units;
use manyhands_record::format::duration;

/// Above this range a bar for the fastest would be too short to see.
const LOG_BEYOND: f64 = 20.0;

/// Time by executor and workers.
pub(crate) fn draw(rows: &[Row]) -> Figure {
    let layout = Layout::of(rows);
    let canvas = Canvas::new(WIDTH, layout.height);
    let log = is_log(rows);
    let axis = axis(rows, &layout, log);
    let unit = if log {
        "time of one run of the work, logarithmic"
    } else {
        "time of one run of the work"
    };
    layout.scale(&canvas, &axis, &units::time_ticks(axis.ticks()), unit);
    layout.labels(&canvas, rows);
    for (row, y) in rows.iter().zip(&layout.middles) {
        match &row.time {
            Ok(time) => value(&canvas, &axis, row, *time, *y, log),
            Err(gap) => layout.gap(&canvas, *y, row, gap),
        }
    }
    canvas.finish(description(rows))
}

/// Whether the times are drawn on a log axis.
pub(crate) fn is_log(rows: &[Row]) -> bool {
    let (low, high) = range(rows);
    low > 0.0 && high / low > LOG_BEYOND
}

fn measured(rows: &[Row]) -> impl Iterator<Item = (&Row, Estimate)> {
    rows.iter().filter_map(|row| row.time.as_ref().ok().map(|time| (row, *time)))
}

fn range(rows: &[Row]) -> (f64, f64) {
    let low = measured(rows).map(|(_, time)| time.low()).fold(f64::INFINITY, f64::min);
    let high = measured(rows).map(|(_, time)| time.high()).fold(0.0, f64::max);
    (low, high)
}

fn axis(rows: &[Row], layout: &Layout, log: bool) -> Axis {
    let (low, high) = range(rows);
    if log { Axis::log(low, high, layout.plot, 10) } else { Axis::from_zero(high, layout.plot, 6) }
}

fn value(canvas: &Canvas, axis: &Axis, row: &Row, time: Estimate, y: f64, log: bool) {
    let x = axis.at(time.point);
    let role = Role::Series(row.series.color);
    canvas.mark(&format!("{}: {}", row.label(), units::time_estimate(time)), || {
        if log {
            canvas.line(&[(axis.begin(), y), (x, y)], Role::Grid, 1.0);
        } else {
            canvas.bar((axis.begin(), y - HALF), (x, y + HALF), role, 1.0);
        }
        if let Some(interval) = time.interval {
            canvas.interval((axis.at(interval.low), axis.at(interval.high)), y, 3.5, Role::Ink);
        }
        if log {
            canvas.marker(row.series, (x, y), 4.5);
        }
        let end = axis.at(time.high()).max(x) + 9.0;
        canvas.text(&duration(time.point), (end, y), TextKind::START.small());
    });
}

fn description(rows: &[Row]) -> String {
    let by_time = |a: &(&Row, Estimate), b: &(&Row, Estimate)| a.1.point.total_cmp(&b.1.point);
    let (Some(fastest), Some(slowest)) =
        (measured(rows).min_by(by_time), measured(rows).max_by(by_time))
    else {
        return format!("Nothing was measured: all {} cells failed.", rows.len());
    };
    let failed = rows.len() - measured(rows).count();
    let gaps = if failed == 0 { String::new() } else { format!(" {failed} without a time.") };
    format!(
        "{} rows. Shortest: {}, {}. Longest: {}, {}.{gaps}",
        rows.len(),
        fastest.0.label(),
        duration(fastest.1.point),
        slowest.0.label(),
        duration(slowest.1.point),
    )
}
