//! How much memory the process tree of each cell needed at its peak: stacked by what it is for,
//! with a strip below that tells the private pages from the shared ones.

use super::axis::Axis;
use super::rows::{HALF, Layout, WIDTH};
use super::theme::Role;
use super::{Canvas, Figure, Peak, Row, TextKind};
use crate::units;
use manyhands_record::format::bytes;

/// The strip of private and shared pages, below the middle of its row.
const STRIP: (f64, f64) = (HALF + 1.5, HALF + 4.5);

/// Peak memory by executor and workers: the program pale, its input less so, what running added
/// full.
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
    let program = memory.program.map(|program| program.min(before.unwrap_or(peak)));
    let role = Role::Series(row.series.color);
    canvas.mark(&format!("{}: {}{}", row.label(), bytes(peak), note(memory)), || {
        let (input, split) = (at(program.unwrap_or(0.0)), at(before.unwrap_or(0.0)));
        if before.is_some() {
            // So that no line of the grid shows through.
            canvas.bar((axis.begin(), y - HALF), (split, y + HALF), Role::Paper, 1.0);
            canvas.bar((axis.begin(), y - HALF), (input, y + HALF), role, 0.22);
            canvas.bar((input, y - HALF), (split, y + HALF), role, 0.5);
        }
        canvas.bar((split, y - HALF), (at(peak), y + HALF), role, 1.0);
        if let Some(private) = memory.private.map(|private| private.min(peak)) {
            let (top, bottom) = (y + STRIP.0, y + STRIP.1);
            canvas.bar((axis.begin(), top), (at(private), bottom), Role::Ink, 1.0);
            canvas.frame((at(private), top), (at(peak), bottom), Role::Ink);
        }
        let end = at(peak) + 9.0;
        canvas.text(&bytes(peak), (end, y), TextKind::START.small());
    });
}

/// `: 2.00 MiB the program, 4.50 MiB its input, ...` behind the peak.
fn note(memory: Peak) -> String {
    let mut note = String::new();
    match (memory.before, memory.program) {
        (Some(before), Some(program)) => {
            let input = bytes((before - program).max(0.0));
            note += &format!(", {} of it the program and {input} its input", bytes(program));
        }
        (Some(before), None) => note += &format!(", {} of it before the start", bytes(before)),
        _ => {}
    }
    if let Some(private) = memory.private {
        note += &format!("; {} private to one process", bytes(private));
    }
    note
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
