//! Where the time of each traced sample went: a bar whose parts add up to the wall time.

use super::axis::Axis;
use super::rows::{HALF, Layout, WIDTH};
use super::theme::Role;
use super::{Canvas, Figure, Row, SMALL, TextKind, text_width};
use manyhands_record::Shares;
use manyhands_record::format::{duration, percent};
use manyhands_record::models::traced::Part;

/// For the names of the parts.
const LEGEND: f64 = 26.0;
/// A part that is narrower has its figure in the table only.
const NUMBER: f64 = 34.0;

/// The parts of the wall time, a row for each traced cell.
pub(crate) fn draw(rows: &[Row], shares: &[Shares]) -> Figure {
    let layout = Layout::of(rows);
    let canvas = Canvas::new(WIDTH, layout.height + LEGEND);
    let axis = axis(shares, &layout);
    let labels: Vec<String> = axis.ticks().iter().map(|tick| percent(*tick)).collect();
    layout.scale(&canvas, &axis, &labels, "share of the wall time, the mean over the lanes");
    layout.labels(&canvas, rows);
    for ((row, shares), y) in rows.iter().zip(shares).zip(&layout.middles) {
        bar(&canvas, &axis, row, shares, *y);
    }
    legend(&canvas, layout.height + 8.0);
    canvas.finish(description(rows, shares))
}

/// Up to the whole wall time, and beyond where the parts are more than it.
fn axis(shares: &[Shares], layout: &Layout) -> Axis {
    let sums = shares.iter().map(|shares| parts(shares).map(|(_, share)| share).sum::<f64>());
    let high = sums.fold(1.0, f64::max);
    let ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0].to_vec();
    Axis::between(0.0, high, layout.plot, ticks)
}

/// The parts that take time, as shares of the wall time.
fn parts(shares: &Shares) -> impl Iterator<Item = (Part, f64)> {
    let wall = shares.wall_ns.max(1) as f64;
    Part::ALL.into_iter().filter_map(move |part| {
        let share = part.ns(shares) as f64 / wall;
        (share > 0.0).then_some((part, share))
    })
}

fn bar(canvas: &Canvas, axis: &Axis, row: &Row, shares: &Shares, y: f64) {
    let mut from = 0.0;
    for (part, share) in parts(shares) {
        let (x0, x1) = (axis.at(from), axis.at(from + share));
        from += share;
        let ns = duration(part.ns(shares) as f64);
        canvas.mark(&format!("{}: {} {}, {ns}", row.label(), part.name(), percent(share)), || {
            fill(canvas, part, (x0, y - HALF), (x1, y + HALF));
            if let Some(kind) = number(part).filter(|_| x1 - x0 >= NUMBER) {
                let text = format!("{:.0} %", share * 100.0);
                canvas.text(&text, ((x0 + x1) / 2.0, y), kind);
            }
        });
    }
    // Parts that are more than the wall time: a residual below 0.
    if shares.residual_ns < 0 {
        let title = format!("{}: residual {}", row.label(), signed(shares.residual_ns));
        canvas.mark(&title, || {
            canvas.hatched((axis.at(1.0), y - HALF), (axis.at(from), y + HALF), Role::Ink);
        });
    }
    let end = axis.at(from.max(1.0)) + 9.0;
    canvas.text(&duration(shares.wall_ns as f64), (end, y), TextKind::START.small());
}

/// Nanoseconds that may be negative.
pub(crate) fn signed(ns: i64) -> String {
    let size = duration(ns.unsigned_abs() as f64);
    if ns < 0 { format!("-{size}") } else { size }
}

/// Each part by colour and by texture: full, pale, outlined, hatched.
fn fill(canvas: &Canvas, part: Part, from: (f64, f64), to: (f64, f64)) {
    // So that no line of the grid shows through.
    canvas.bar(from, to, Role::Paper, 1.0);
    match part {
        Part::Computing => canvas.bar(from, to, Role::Series(0), 1.0),
        Part::Waiting => canvas.bar(from, to, Role::Series(0), 0.3),
        Part::Dispatch => canvas.bar(from, to, Role::Series(2), 1.0),
        Part::Imbalance => canvas.bar(from, to, Role::Series(4), 1.0),
        Part::Idle => canvas.frame(from, to, Role::Series(4)),
        Part::Residual => canvas.hatched(from, to, Role::Muted),
    }
}

/// How a part's figure is set; `None` where it would not be read.
fn number(part: Part) -> Option<TextKind> {
    match part {
        Part::Computing | Part::Imbalance => Some(TextKind::MIDDLE.small().on_color()),
        Part::Waiting | Part::Idle => Some(TextKind::MIDDLE.small()),
        Part::Dispatch | Part::Residual => None,
    }
}

fn legend(canvas: &Canvas, y: f64) {
    let width = |part: Part| 19.0 + text_width(part.name(), SMALL) * 0.9 + 14.0;
    let mut x = (WIDTH - Part::ALL.map(width).iter().sum::<f64>()) / 2.0;
    canvas.group("legend", || {
        for part in Part::ALL {
            fill(canvas, part, (x, y - 5.0), (x + 14.0, y + 5.0));
            canvas.text(part.name(), (x + 19.0, y), TextKind::START.small().muted());
            x += width(part);
        }
    });
}

fn description(rows: &[Row], shares: &[Shares]) -> String {
    let told = rows.iter().zip(shares).take(4).map(|(row, shares)| {
        let parts: Vec<String> = parts(shares)
            .filter(|(_, share)| *share >= 0.01)
            .map(|(part, share)| format!("{} {}", percent(share), part.name()))
            .collect();
        format!("{}: {}.", row.label(), parts.join(", "))
    });
    let told: Vec<String> = told.collect();
    format!("{} rows. {}", rows.len(), told.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_reach_the_wall_time_and_a_negative_residual_goes_beyond() {
        let shares = Shares {
            wall_ns: 100,
            computing_ns: 80,
            waiting_ns: 25,
            residual_ns: -5,
            ..Shares::default()
        };
        let sum: f64 = parts(&shares).map(|(_, share)| share).sum();
        assert!((sum - 1.05).abs() < 1e-12);
        assert_eq!((signed(-1_500), signed(20)), ("-1.50 us".to_owned(), "20.0 ns".to_owned()));
    }
}
