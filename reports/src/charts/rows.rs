//! Charts with a row for each cell: labels to the left, values to the right, and a hatched row
//! with its reason where there is no value.

use super::axis::Axis;
use super::theme::Role;
use super::{Canvas, Gap, Row, SMALL, TEXT, TextKind, shortened, text_width};

/// The natural width of a chart.
pub(super) const WIDTH: f64 = 860.0;
/// Half the height of a bar.
pub(super) const HALF: f64 = 7.0;

const ROW: f64 = 23.0;
/// Between executors.
const GAP: f64 = 9.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 40.0;
/// Bold text is this much wider: as if it were larger.
const BOLD: f64 = TEXT * 1.06;
/// For the marker before a name.
const MARKER: f64 = 17.0;
/// For the value behind the longest bar.
const VALUE: f64 = 92.0;

/// Where everything is.
pub(super) struct Layout {
    /// The middle of each row.
    pub(super) middles: Vec<f64>,
    /// Where the plot begins and ends.
    pub(super) plot: (f64, f64),
    pub(super) height: f64,
    workers_at: f64,
    /// The room for a name.
    names: f64,
}

impl Layout {
    pub(super) fn of(rows: &[Row]) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
        let names = widest(&mut rows.iter().map(|row| text_width(&row.executor, BOLD)));
        let counts = widest(&mut rows.iter().map(|row| text_width(&count(row), SMALL)));
        let names = names.clamp(70.0, 240.0);
        let workers_at = MARKER + names + 12.0 + counts.max(text_width("workers", SMALL) - 6.0);
        let mut y = TOP + ROW / 2.0;
        let mut middles = Vec::with_capacity(rows.len());
        for (n, row) in rows.iter().enumerate() {
            if n > 0 {
                y += ROW + if rows[n - 1].executor == row.executor { 0.0 } else { GAP };
            }
            middles.push(y);
        }
        let height = y + ROW / 2.0 + BOTTOM;
        Self { middles, plot: (workers_at + 14.0, WIDTH - VALUE), height, workers_at, names }
    }

    /// Ticks with their labels, above and below, and what they mean.
    pub(super) fn scale(&self, canvas: &Canvas, axis: &Axis, labels: &[String], unit: &str) {
        let (top, bottom) = (TOP - 4.0, self.height - BOTTOM + 4.0);
        canvas.group("scale", || {
            for (tick, label) in axis.ticks().iter().zip(labels) {
                let x = axis.at(*tick);
                canvas.line(&[(x, top), (x, bottom)], Role::Grid, 1.0);
                canvas.text(label, (x, bottom + 11.0), TextKind::MIDDLE.small().muted());
                if self.height > 700.0 {
                    canvas.text(label, (x, top - 10.0), TextKind::MIDDLE.small().muted());
                }
            }
            let begin = axis.begin();
            canvas.line(&[(begin, top), (begin, bottom)], Role::Axis, 1.0);
            let middle = (begin + axis.end()) / 2.0;
            canvas.text(unit, (middle, bottom + 28.0), TextKind::MIDDLE.small().muted());
        });
    }

    /// The name of each executor once, and the workers of each row.
    pub(super) fn labels(&self, canvas: &Canvas, rows: &[Row]) {
        let header = TextKind::END.small().muted();
        canvas.text("workers", (self.workers_at, TOP - 14.0), header);
        for (n, (row, y)) in rows.iter().zip(&self.middles).enumerate() {
            if n == 0 || rows[n - 1].executor != row.executor {
                let name = shortened(&row.executor, self.names, BOLD);
                canvas.marker(row.series, (6.0, *y), 4.0);
                canvas.text(&name, (MARKER, *y), TextKind::START.bold());
            }
            canvas.text(&count(row), (self.workers_at, *y), TextKind::END.small().muted());
        }
    }

    /// A row without a value.
    pub(super) fn gap(&self, canvas: &Canvas, y: f64, row: &Row, gap: &Gap) {
        let (begin, end) = (self.plot.0, self.plot.0 + 64.0);
        let text = format!("{}: {}", gap.kind, gap.reason);
        canvas.mark(&format!("{}: {text}", row.label()), || {
            canvas.hatched((begin, y - HALF), (end, y + HALF), Role::Muted);
            let room = WIDTH - end - 14.0;
            canvas.text(
                &shortened(&text, room, SMALL),
                (end + 8.0, y),
                TextKind::START.small().muted(),
            );
        });
    }
}

fn count(row: &Row) -> String {
    match &row.chunk {
        None => row.workers.to_string(),
        Some(chunk) => format!("{} · chunk {chunk}", row.workers),
    }
}
