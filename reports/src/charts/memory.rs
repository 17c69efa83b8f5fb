//! How much memory the process tree of each cell needed at its peak.

use super::axis::Axis;
use super::rows::{HALF, Layout, WIDTH};
use super::theme::Role;
use super::{Canvas, Figure, Peak, Row, TextKind};
use crate::units;
use manyhands_record::format::bytes;

/// Peak memory by executor and workers; what was there before the executor started is pale.
pub(crate) fn draw(rows: &[Row]) -> Figure {
    let layout = Layout::of(rows);
    let canvas = Canvas::new(WIDTH, layout.height);
    let high = measured(rows).map(|(_, peak)| peak.peak).fold(0.0, f64::max);
    // Steps of 1, 2 and 5 of the largest unit that fits, not of bytes.
    let unit = units::size_unit(high);
    let axis = Axis::from_zero(high / unit, layout.plot, 6);
    let labels = units::size_ticks(axis.ticks(), unit);
    layout.scale(&canvas, &axis, &labels, "peak memory of the process tree (PSS)");
    layout.labels(&canvas, rows);
    for (row, y) in rows.iter().zip(&layout.middles) {
        match &row.memory {
            Ok(peak) => value(&canvas, &axis, row, *peak, *y, unit),
            Err(gap) => layout.gap(&canvas, *y, row, gap),
        }
    }
    canvas.finish(description(rows))
}

fn measured(rows: &[Row]) -> impl Iterator<Item = (&Row, Peak)> {
    rows.iter().filter_map(|row| row.memory.as_ref().ok().map(|peak| (row, *peak)))
}

fn value(canvas: &Canvas, axis: &Axis, row: &Row, memory: Peak, y: f64, unit: f64) {
    let at = |size: f64| axis.at(size / unit);
    let peak = memory.peak;
    let before = memory.before.map(|before| before.min(peak));
    let role = Role::Series(row.series.color);
    let note = before.map_or(String::new(), |b| format!(", {} of it before the start", bytes(b)));
    canvas.mark(&format!("{}: {}{note}", row.label(), bytes(peak)), || {
        let split = at(before.unwrap_or(0.0));
        if before.is_some() {
            // So that no line of the grid shows through.
            canvas.bar((axis.begin(), y - HALF), (split, y + HALF), Role::Paper, 1.0);
            canvas.bar((axis.begin(), y - HALF), (split, y + HALF), role, 0.35);
        }
        canvas.bar((split, y - HALF), (at(peak), y + HALF), role, 1.0);
        let end = at(peak) + 9.0;
        canvas.text(&bytes(peak), (end, y), TextKind::START.small());
    });
}

fn description(rows: &[Row]) -> String {
    let by_peak = |a: &(&Row, Peak), b: &(&Row, Peak)| a.1.peak.total_cmp(&b.1.peak);
    let (Some(least), Some(most)) =
        (measured(rows).min_by(by_peak), measured(rows).max_by(by_peak))
    else {
        return "No memory was measured.".to_owned();
    };
    format!(
        "{} rows. Least: {}, {}. Most: {}, {}.",
        rows.len(),
        least.0.label(),
        bytes(least.1.peak),
        most.0.label(),
        bytes(most.1.peak),
    )
}
