//! How much of the best rate each executor reaches, over how long its tasks are.

use manyhands_record::format::percent;
use manyhands_record::models::granularity::{Curve, HALF, Metg, Point, Share, Sweep};

use super::axis::Axis;
use super::rows::WIDTH;
use super::theme::{Role, Series};
use super::{Canvas, Figure, SMALL, TextKind, shortened};
use crate::granularity;
use crate::units;
use crate::view::Looks;

const TOP: f64 = 22.0;
const BOTTOM: f64 = 52.0;
const LEFT: f64 = 62.0;
/// Where the legend begins.
const LEGEND: f64 = 592.0;
/// Between the legend's lines: a name, and below it its METG.
const ENTRY: f64 = 38.0;

/// Efficiency against granularity; `None` where no task had any work.
pub(crate) fn draw(sweep: &Sweep<'_>, looks: &Looks) -> Option<Figure> {
    let curves: Vec<Line<'_>> =
        sweep.curves.iter().map(|curve| Line::of(curve, sweep, looks)).collect();
    let all = || curves.iter().flat_map(|line| &line.points).map(|(point, _)| point.granularity);
    let (low, high) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
    let height = (curves.len() as f64 * ENTRY + TOP + BOTTOM).max(400.0);
    let plot = Plot {
        x: Axis::log(low, high, (LEFT, LEGEND - 40.0), 10),
        y: Axis::between(
            0.0,
            1.0,
            (height - BOTTOM, TOP),
            (0..=4).map(|n| 0.25 * f64::from(n)).collect(),
        ),
    };
    let canvas = Canvas::new(WIDTH, height);
    plot.scale(&canvas);
    for line in &curves {
        plot.line(&canvas, line);
    }
    for line in &curves {
        plot.metg(&canvas, line);
    }
    legend(&canvas, &curves);
    Some(canvas.finish(description(sweep)))
}

/// An executor's curve as it is drawn.
struct Line<'a> {
    name: String,
    series: Series,
    /// Those that have an efficiency.
    points: Vec<(&'a Point, Share)>,
    metg: Option<Metg>,
}

impl<'a> Line<'a> {
    fn of(curve: &'a Curve<'a>, sweep: &Sweep<'_>, looks: &Looks) -> Self {
        let drawn = |point: &'a Point| Some((point, point.efficiency?));
        Self {
            name: curve.label(&sweep.curves),
            series: looks[curve.executor],
            points: curve.points.iter().filter_map(drawn).collect(),
            metg: curve.metg,
        }
    }
}

struct Plot {
    x: Axis,
    y: Axis,
}

impl Plot {
    fn scale(&self, canvas: &Canvas) {
        let muted = TextKind::MIDDLE.small().muted();
        let (bottom, top) = (self.y.begin(), self.y.end());
        canvas.group("scale", || {
            for tick in self.y.ticks() {
                let y = self.y.at(*tick);
                canvas.line(&[(LEFT, y), (self.x.end(), y)], Role::Grid, 1.0);
                canvas.text(&percent(*tick), (LEFT - 8.0, y), TextKind::END.small().muted());
            }
            for (tick, label) in self.x.ticks().iter().zip(units::time_ticks(self.x.ticks())) {
                let x = self.x.at(*tick);
                canvas.line(&[(x, top), (x, bottom)], Role::Grid, 1.0);
                canvas.text(&label, (x, bottom + 14.0), muted);
            }
            canvas.line(&[(LEFT, bottom), (self.x.end(), bottom)], Role::Axis, 1.0);
            let middle = (LEFT + self.x.end()) / 2.0;
            canvas.text("core-time per task, cost included", (middle, bottom + 34.0), muted);
        });
        canvas.group("reference d2", || {
            let y = self.y.at(HALF);
            canvas.line(&[(LEFT, y), (self.x.end(), y)], Role::Axis, 1.4);
        });
    }

    fn line(&self, canvas: &Canvas, line: &Line<'_>) {
        let role = Role::Series(line.series.color);
        let place =
            |point: &Point, share: f64| (self.x.at(point.granularity), self.y.at(share.min(1.0)));
        canvas.group("series", || {
            let path: Vec<_> = line.points.iter().map(|(p, share)| place(p, share.share)).collect();
            if path.len() > 1 {
                canvas.group(line.series.dash, || canvas.line(&path, role, 2.0));
            }
            for (point, share) in &line.points {
                canvas.mark(&title(&line.name, point, share), || {
                    if let Some(interval) = share.interval {
                        let (x, _) = place(point, share.share);
                        let (low, high) =
                            (place(point, interval.low).1, place(point, interval.high).1);
                        canvas.line(&[(x, low), (x, high)], role, 1.6);
                    }
                    canvas.marker(line.series, place(point, share.share), 3.6);
                });
            }
        });
    }

    /// Where the curve crosses half: a line down to the axis, with the interval at its foot. Where
    /// it lies outside of what was measured, an arrow to that side.
    fn metg(&self, canvas: &Canvas, line: &Line<'_>) {
        let role = Role::Series(line.series.color);
        let bottom = self.y.begin();
        let title = format!("{}: METG {}", line.name, granularity::metg(line.metg));
        canvas.mark(&title, || match line.metg {
            Some(Metg::Crosses { ns, interval }) => {
                let x = self.x.at(ns);
                canvas.group("d1", || {
                    canvas.line(&[(x, self.y.at(HALF)), (x, bottom)], role, 1.4);
                });
                if let Some(interval) = interval {
                    let ends = (self.x.at(interval.low), self.x.at(interval.high));
                    canvas.interval(ends, bottom - 6.0, 4.0, role);
                }
            }
            Some(Metg::Below { shortest_ns }) => self.arrow(canvas, shortest_ns, -1.0, role),
            Some(Metg::Above { longest_ns }) => self.arrow(canvas, longest_ns, 1.0, role),
            None => {}
        });
    }

    fn arrow(&self, canvas: &Canvas, from: f64, side: f64, role: Role) {
        let (x, y) = (self.x.at(from), self.y.at(HALF));
        let tip = x + side * 22.0;
        canvas.line(&[(x, y), (tip, y)], role, 1.6);
        canvas.line(
            &[(tip - side * 6.0, y - 4.0), (tip, y), (tip - side * 6.0, y + 4.0)],
            role,
            1.6,
        );
    }
}

fn title(name: &str, point: &Point, share: &Share) -> String {
    let granularity = super::Estimate { point: point.granularity, interval: point.interval };
    format!(
        "{name}: {} of the best rate with {} per task",
        percent(share.share),
        units::time_estimate(granularity)
    )
}

/// The names with their METG, the finest first.
fn legend(canvas: &Canvas, lines: &[Line<'_>]) {
    let rank = |line: &Line<'_>| match line.metg {
        Some(Metg::Below { .. }) => 0.0,
        Some(Metg::Crosses { ns, .. }) => ns,
        Some(Metg::Above { .. }) => f64::MAX,
        None => f64::INFINITY,
    };
    let mut lines: Vec<&Line<'_>> = lines.iter().collect();
    lines.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    let room = WIDTH - LEGEND - 22.0;
    for (n, line) in lines.iter().enumerate() {
        let y = TOP + 6.0 + n as f64 * ENTRY;
        canvas.marker(line.series, (LEGEND, y), 4.0);
        let name = shortened(&line.name, room, super::TEXT);
        canvas.text(&name, (LEGEND + 14.0, y), TextKind::START);
        let metg = match line.metg {
            Some(_) => format!("METG {}", granularity::metg(line.metg)),
            None => "no METG".to_owned(),
        };
        let metg = shortened(&metg, room, SMALL);
        canvas.text(&metg, (LEGEND + 14.0, y + 15.0), TextKind::START.small().muted());
    }
}

fn description(sweep: &Sweep<'_>) -> String {
    let each = sweep.curves.iter().map(|curve| {
        format!("{}: METG {}", curve.label(&sweep.curves), granularity::metg(curve.metg))
    });
    format!(
        "{} curves of efficiency, which rises with the length of a task. {}.",
        sweep.curves.len(),
        each.collect::<Vec<_>>().join("; ")
    )
}
