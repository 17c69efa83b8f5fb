//! Weak scaling: whether n workers do n times the work in the same time.

use manyhands_record::models::weak::Curve;

use super::axis::Axis;
use super::rows::WIDTH;
use super::theme::Role;
use super::{Canvas, Figure, TEXT, TextKind, shortened, text_width};
use crate::units;
use crate::view::Looks;
use manyhands_record::format::percent;

const TOP: f64 = 22.0;
const BOTTOM: f64 = 46.0;
const LEFT: f64 = 64.0;
const HEIGHT: f64 = 330.0;
/// Between the names of the lines.
const LABEL: f64 = 19.0;

/// Weak efficiency against workers; `None` without curves.
pub(crate) fn draw(curves: &[&Curve<'_>], looks: &Looks) -> Option<Figure> {
    let mut counts: Vec<u32> =
        curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.workers)).collect();
    counts.sort_unstable();
    counts.dedup();
    let most = f64::from(*counts.last()?);
    let height = HEIGHT.max(curves.len() as f64 * LABEL + TOP + BOTTOM);
    let widest = curves.iter().map(|c| text_width(c.executor, TEXT)).fold(60.0, f64::max);
    let right = WIDTH - widest.min(210.0) - 80.0;
    let canvas = Canvas::new(WIDTH, height);
    let inside = (LEFT + 20.0, right - 20.0);
    let x = if most > 8.0 {
        Axis::log(1.0, most, inside, 2)
    } else {
        Axis::between(1.0, most, inside, counts.iter().map(|n| f64::from(*n)).collect())
    };
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let high = |v: manyhands_record::models::Value| v.interval.map_or(v.estimate, |i| i.high);
    let top = points().map(|point| high(point.efficiency)).fold(1.0, f64::max);
    let y = Axis::from_zero(top, (height - BOTTOM, TOP), 5);
    scale(&canvas, &x, &y, &counts, right);
    let mut ends: Vec<(f64, &Curve<'_>)> = Vec::new();
    for curve in curves {
        let series = looks[curve.executor];
        let role = Role::Series(series.color);
        let place = |n: usize| {
            (x.at(f64::from(curve.points[n].workers)), y.at(curve.points[n].efficiency.estimate))
        };
        canvas.group("series", || {
            let path: Vec<(f64, f64)> = (0..curve.points.len()).map(place).collect();
            canvas.group(series.dash, || canvas.line(&path, role, 2.0));
            for (n, point) in curve.points.iter().enumerate() {
                let at = place(n);
                let text = percent(point.efficiency.estimate);
                let title = format!("{}, {} workers: {text}", curve.executor, point.workers);
                canvas.mark(&title, || {
                    if let Some(interval) = point.efficiency.interval {
                        let ends = [(at.0, y.at(interval.low)), (at.0, y.at(interval.high))];
                        canvas.line(&ends, role, 1.6);
                    }
                    canvas.marker(series, at, 4.5);
                });
            }
        });
        ends.push((place(curve.points.len() - 1).1, curve));
    }
    labels(&canvas, ends, looks, right, height);
    Some(canvas.finish(description(curves)))
}

fn scale(canvas: &Canvas, x: &Axis, y: &Axis, counts: &[u32], right: f64) {
    let muted = TextKind::MIDDLE.small().muted();
    canvas.group("scale", || {
        for tick in y.ticks() {
            let at = y.at(*tick);
            let role = if (*tick - 1.0).abs() < 1e-9 { Role::Axis } else { Role::Grid };
            canvas.line(&[(LEFT, at), (right, at)], role, 1.0);
            let text = format!("{} %", units::plain(*tick * 100.0));
            canvas.text(&text, (LEFT - 8.0, at), TextKind::END.small().muted());
        }
        let base = y.begin();
        for count in counts {
            let at = x.at(f64::from(*count));
            canvas.line(&[(at, base), (at, base + 4.0)], Role::Axis, 1.0);
            canvas.text(&count.to_string(), (at, base + 14.0), muted);
        }
        canvas.text("workers, and times the work", ((LEFT + right) / 2.0, base + 33.0), muted);
    });
}

/// The name of each line near its end, moved apart where they would cover each other.
fn labels(
    canvas: &Canvas,
    mut ends: Vec<(f64, &Curve<'_>)>,
    looks: &Looks,
    right: f64,
    height: f64,
) {
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted: Vec<f64> = ends.iter().map(|(y, _)| *y).collect();
    let places = super::speedup::spread(&wanted, LABEL, (TOP, height - BOTTOM));
    for ((from, curve), y) in ends.iter().zip(places) {
        canvas.line(&[(right - 12.0, *from), (right + 8.0, y)], Role::Grid, 1.0);
        canvas.marker(looks[curve.executor], (right + 16.0, y), 4.0);
        let last = curve.points.last().map_or(1.0, |point| point.efficiency.estimate);
        let text = format!("{} {}", shortened(curve.executor, 200.0, TEXT), percent(last));
        canvas.text(&text, (right + 26.0, y), TextKind::START.small());
    }
}

fn description(curves: &[&Curve<'_>]) -> String {
    let ends = curves.iter().filter_map(|curve| Some((curve, curve.points.last()?)));
    let told: Vec<String> = ends
        .map(|(curve, last)| {
            let text = percent(last.efficiency.estimate);
            format!("{} keeps {text} at {} workers.", curve.executor, last.workers)
        })
        .collect();
    format!("{} lines. {}", curves.len(), told.join(" "))
}
