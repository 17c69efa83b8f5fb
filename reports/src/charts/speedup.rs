//! How much faster than the baseline each executor gets with more workers.

use super::axis::Axis;
use super::rows::WIDTH;
use super::theme::{Role, Series};
use super::{Canvas, Estimate, Figure, Row, SMALL, TEXT, TextKind, shortened, text_width};
use crate::units;
use manyhands_record::format::ratio;

/// What the lines are compared with.
pub(crate) struct Ideal {
    /// What has a speed-up of 1, in a word or two.
    pub(crate) baseline: &'static str,
    /// Where more workers cannot help: the usable cores of a workload that computes.
    pub(crate) cores: Option<u32>,
    /// No executor can beat this speed-up, and why.
    pub(crate) ceiling: Option<(f64, String)>,
}

/// A law fitted to an executor's points, as speed-ups against workers.
pub(crate) struct FitLine {
    /// How the executor looks.
    pub(crate) series: Series,
    /// What a pointer and a screen reader find.
    pub(crate) title: String,
    /// As far as points were measured.
    pub(crate) inside: Vec<(f64, f64)>,
    /// Beyond them.
    pub(crate) beyond: Vec<(f64, f64)>,
}

impl Ideal {
    fn at(&self, workers: f64) -> f64 {
        self.cores.map_or(workers, |cores| workers.min(f64::from(cores)))
    }
}

const TOP: f64 = 22.0;
const BOTTOM: f64 = 46.0;
const LEFT: f64 = 92.0;
/// Between the labels of two lines.
const LABEL: f64 = 19.0;
/// Between the plot and the labels, for the lines that lead to them.
const GAP: f64 = 44.0;
/// Half the length of the ideal line where it has only one place.
const ALONE: f64 = 30.0;

/// An executor's points, by workers.
struct Line<'a> {
    name: &'a str,
    series: Series,
    points: Vec<(&'a Row, Estimate)>,
}

/// Speed-up against workers; `None` where nothing has a speed-up.
pub(crate) fn draw(rows: &[Row], ideal: &Ideal, fits: &[FitLine]) -> Option<Figure> {
    let lines = lines(rows);
    let plot = Plot::of(&lines, ideal, fits)?;
    let canvas = Canvas::new(WIDTH, plot.height);
    plot.scale(&canvas, ideal);
    plot.reference(&canvas, ideal);
    // Before the lines, so that what leads to a label covers no mark.
    plot.labels(&canvas, &lines, ideal);
    plot.fits(&canvas, fits);
    for (n, line) in lines.iter().enumerate() {
        plot.line(&canvas, line, plot.dodge(n, lines.len()));
    }
    Some(canvas.finish(description(&lines, ideal)))
}

/// The lines of a chart: every executor that is not the baseline.
fn lines(rows: &[Row]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in rows.iter().filter(|row| row.executor != "sequential") {
        let at = lines.iter().position(|line| line.name == row.executor).unwrap_or_else(|| {
            lines.push(Line { name: &row.executor, series: row.series, points: Vec::new() });
            lines.len() - 1
        });
        lines[at].points.extend(row.speedup.map(|speedup| (row, speedup)));
    }
    for line in &mut lines {
        line.points.sort_by_key(|(row, _)| row.workers);
    }
    lines
}

struct Plot {
    x: Axis,
    y: Axis,
    height: f64,
    /// The worker counts that were measured.
    counts: Vec<u32>,
    /// The most workers that anything is drawn for: more than were measured where a law is drawn.
    reach: f64,
    /// Where the names of the lines begin.
    labels_at: f64,
    /// How far the points of neighbouring lines stand from each other.
    step: f64,
}

impl Plot {
    fn of(lines: &[Line<'_>], ideal: &Ideal, fits: &[FitLine]) -> Option<Self> {
        let mut counts: Vec<u32> =
            lines.iter().flat_map(|l| l.points.iter().map(|(row, _)| row.workers)).collect();
        counts.sort_unstable();
        counts.dedup();
        let most = f64::from(*counts.last()?);
        let beyond = fits.iter().flat_map(|fit| &fit.beyond);
        let reach = beyond.map(|(workers, _)| *workers).fold(most, f64::max);
        let height = (lines.len() as f64 * LABEL + TOP + BOTTOM + 10.0).max(400.0);
        let widest = lines.iter().map(|l| text_width(l.name, TEXT)).fold(0.0, f64::max);
        // Behind the name stands the value.
        let labels_at = WIDTH - widest.clamp(60.0, 210.0) - 56.0;
        let right = labels_at - GAP;
        let step = step(lines.len(), counts.len(), right - LEFT);
        // Room before the first and behind the last count, for points that step aside.
        let margin = step * lines.len() as f64 / 2.0 + 10.0;
        let inside = (LEFT + margin, right - margin);
        let x = if reach > 8.0 {
            Axis::log(f64::from(counts[0]), reach, inside, 2)
        } else {
            let ticks = counts.iter().map(|n| f64::from(*n)).collect();
            Axis::between(f64::from(counts[0]), reach, inside, ticks)
        };
        let y = Axis::from_zero(top(lines, ideal, most), (height - BOTTOM, TOP), 6);
        Some(Self { x, y, height, counts, reach, labels_at, step })
    }

    /// A step aside for the nth of the lines, so that their intervals do not cover each other.
    fn dodge(&self, n: usize, lines: usize) -> f64 {
        (n as f64 - (lines as f64 - 1.0) / 2.0) * self.step
    }

    fn right(&self) -> f64 {
        self.labels_at - GAP
    }

    fn scale(&self, canvas: &Canvas, ideal: &Ideal) {
        let muted = TextKind::MIDDLE.small().muted();
        canvas.group("scale", || {
            let one = self.y.at(1.0);
            for tick in self.y.ticks() {
                let y = self.y.at(*tick);
                canvas.line(&[(LEFT, y), (self.right(), y)], Role::Grid, 1.0);
                let text = format!("{}x", units::plain(*tick));
                // The baseline has its own label, which must not be covered.
                if (y - one).abs() > 14.0 {
                    canvas.text(&text, (LEFT - 8.0, y), TextKind::END.small().muted());
                }
            }
            let mark = format!("{} 1x", ideal.baseline);
            canvas.text(&mark, (LEFT - 8.0, one), TextKind::END.small().muted());
            let base = self.y.begin();
            canvas.line(&[(LEFT, base), (self.right(), base)], Role::Axis, 1.0);
            let mut last = f64::NEG_INFINITY;
            let most = self.counts.last().map_or(0.0, |count| f64::from(*count));
            let beyond = (self.reach > most).then_some(self.reach);
            for count in self.counts.iter().map(|count| f64::from(*count)).chain(beyond) {
                let x = self.x.at(count);
                canvas.line(&[(x, base), (x, base + 4.0)], Role::Axis, 1.0);
                if x - last > 26.0 {
                    canvas.text(&units::plain(count), (x, base + 14.0), muted);
                    last = x;
                }
            }
            let middle = (LEFT + self.right()) / 2.0;
            canvas.text("workers", (middle, base + 33.0), muted);
        });
    }

    /// The baseline, the ideal line and the ceiling.
    fn reference(&self, canvas: &Canvas, ideal: &Ideal) {
        canvas.group("reference", || {
            let one = self.y.at(1.0);
            canvas.line(&[(LEFT, one), (self.right(), one)], Role::Axis, 1.4);
            canvas.group("ideal d1", || canvas.line(&self.ideal_line(ideal), Role::Axis, 1.6));
            if let Some((ceiling, reason)) = &ideal.ceiling {
                self.ceiling(canvas, *ceiling, reason);
            }
        });
    }

    /// From the fewest workers to the most, as far as it stays in the plot; a short level line where
    /// there is one number of them.
    fn ideal_line(&self, ideal: &Ideal) -> Vec<(f64, f64)> {
        let (first, last) = (self.counts.first().map_or(1.0, |n| f64::from(*n)), self.reach);
        let ceiling = self.y.ticks().last().copied().unwrap_or(1.0);
        if first >= last && ideal.at(last) <= ceiling {
            let (x, y) = (self.x.at(last), self.y.at(ideal.at(last)));
            return vec![(x - ALONE, y), (x + ALONE, y)];
        }
        (0..=120)
            .map(|n| first + (last - first) * f64::from(n) / 120.0)
            .map(|workers| (workers, ideal.at(workers)))
            .take_while(|(_, speedup)| *speedup <= ceiling)
            .map(|(workers, speedup)| (self.x.at(workers), self.y.at(speedup)))
            .collect()
    }

    fn ceiling(&self, canvas: &Canvas, ceiling: f64, reason: &str) {
        if ceiling > self.y.ticks().last().copied().unwrap_or(1.0) {
            return;
        }
        let y = self.y.at(ceiling);
        let text = format!("ceiling {}: {reason}", ratio(ceiling));
        canvas.mark(&text, || {
            canvas.group("d2", || canvas.line(&[(LEFT, y), (self.right(), y)], Role::Ink, 1.4));
            let text = shortened(&text, self.right() - LEFT - 12.0, SMALL);
            canvas.text(&text, (LEFT + 6.0, y - 9.0), TextKind::START.small());
        });
    }

    /// The fitted laws: thin as far as there are points, dashed beyond.
    fn fits(&self, canvas: &Canvas, fits: &[FitLine]) {
        let most = self.counts.last().map_or(1.0, |count| f64::from(*count));
        if self.reach > most {
            canvas.group("reference d1", || {
                let x = self.x.at(most) + self.step.max(8.0);
                canvas.line(&[(x, TOP), (x, self.y.begin())], Role::Muted, 1.0);
                canvas.text("extrapolated", (x, TOP - 10.0), TextKind::START.small().muted());
            });
        }
        let top = self.y.ticks().last().copied().unwrap_or(1.0);
        let place = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            let inside = points.iter().take_while(|(_, speedup)| *speedup <= top);
            inside.map(|(workers, speedup)| (self.x.at(*workers), self.y.at(*speedup))).collect()
        };
        for fit in fits {
            let role = Role::Series(fit.series.color);
            canvas.mark(&fit.title, || {
                canvas.line(&place(&fit.inside), role, 0.8);
                if !fit.beyond.is_empty() {
                    canvas.group("d1", || canvas.line(&place(&fit.beyond), role, 1.8));
                }
            });
        }
    }

    fn line(&self, canvas: &Canvas, line: &Line<'_>, aside: f64) {
        let role = Role::Series(line.series.color);
        let place = |row: &Row, speedup: f64| {
            (self.x.at(f64::from(row.workers)) + aside, self.y.at(speedup))
        };
        canvas.group("series", || {
            let path: Vec<_> = line.points.iter().map(|(row, s)| place(row, s.point)).collect();
            if path.len() > 1 {
                canvas.group(line.series.dash, || canvas.line(&path, role, 2.0));
            }
            for (row, speedup) in &line.points {
                let at = place(row, speedup.point);
                canvas.mark(
                    &format!("{}: {}", row.label(), units::ratio_estimate(*speedup)),
                    || {
                        if let Some(interval) = speedup.interval {
                            let (low, high) = (self.y.at(interval.low), self.y.at(interval.high));
                            canvas.line(&[(at.0, low), (at.0, high)], role, 1.6);
                            for y in [low, high] {
                                canvas.line(&[(at.0 - 3.0, y), (at.0 + 3.0, y)], role, 1.6);
                            }
                        }
                        canvas.marker(line.series, at, 4.5);
                    },
                );
            }
        });
    }

    /// The name of each line at its end, moved apart where they would cover each other.
    fn labels(&self, canvas: &Canvas, lines: &[Line<'_>], ideal: &Ideal) {
        let mut ends: Vec<End<'_>> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| self.end(line, self.dodge(n, lines.len())))
            .collect();
        ends.extend(self.ideal_line(ideal).last().map(|from| End {
            from: Some(*from),
            text: "ideal".to_owned(),
            series: None,
        }));
        let wanted = |end: &End<'_>| end.from.map_or(f64::INFINITY, |(_, y)| y);
        ends.sort_by(|a, b| wanted(a).total_cmp(&wanted(b)));
        let places: Vec<f64> = ends.iter().map(wanted).collect();
        let places = spread(&places, LABEL, (TOP, self.height - BOTTOM));
        for (end, y) in ends.iter().zip(places) {
            self.label(canvas, end, y);
        }
    }

    fn end<'a>(&self, line: &'a Line<'a>, aside: f64) -> End<'a> {
        let name = shortened(line.name, 215.0, TEXT);
        match line.points.last() {
            None => {
                End { from: None, text: format!("{name} (no value)"), series: Some(&line.series) }
            }
            Some((row, last)) => End {
                from: Some((self.x.at(f64::from(row.workers)) + aside, self.y.at(last.point))),
                text: format!("{name} {}", ratio(last.point)),
                series: Some(&line.series),
            },
        }
    }

    fn label(&self, canvas: &Canvas, end: &End<'_>, y: f64) {
        let swatch = self.labels_at - 8.0;
        if let Some((x, from)) = end.from {
            let bend = (self.right() + 2.0, from);
            canvas.line(
                &[(x + 8.0, from), bend, (swatch - 14.0, y), (swatch - 8.0, y)],
                Role::Grid,
                1.0,
            );
        }
        match end.series {
            Some(series) => canvas.marker(*series, (swatch, y), 4.0),
            None => canvas.group("d1", || {
                canvas.line(&[(swatch - 7.0, y), (swatch + 7.0, y)], Role::Axis, 1.6);
            }),
        }
        let kind = TextKind::START.small();
        let kind = if end.series.is_some() { kind } else { kind.muted() };
        canvas.text(&end.text, (self.labels_at + 5.0, y), kind);
    }
}

/// Where a line ends, and what stands there.
struct End<'a> {
    /// `None` for a line without points.
    from: Option<(f64, f64)>,
    text: String,
    /// `None` for the ideal.
    series: Option<&'a Series>,
}

/// Less than half of the room between two counts goes to points that step aside, and no more than
/// a marker needs.
fn step(lines: usize, counts: usize, room: f64) -> f64 {
    (0.45 * room / (lines.max(1) * counts.max(1)) as f64).min(13.0)
}

/// The top of the plot: everything measured, and of what it is compared with as much as does not
/// press the measurements flat.
fn top(lines: &[Line<'_>], ideal: &Ideal, most: f64) -> f64 {
    let points = lines.iter().flat_map(|line| &line.points);
    let measured = points.map(|(_, speedup)| speedup.high()).fold(1.0, f64::max);
    let ceiling = ideal.ceiling.as_ref().map_or(0.0, |(ceiling, _)| *ceiling * 1.05);
    let ceiling = if ceiling <= 2.0 * measured { ceiling } else { 0.0 };
    let ideal = ideal.at(most).min(1.6 * measured);
    [ideal, ceiling].into_iter().fold(measured * 1.02, f64::max)
}

/// Places at least `apart` from each other, in order, near where they would like to be.
pub(super) fn spread(wanted: &[f64], apart: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut places: Vec<f64> = wanted.iter().map(|y| y.clamp(top, bottom)).collect();
    for n in 1..places.len() {
        places[n] = places[n].max(places[n - 1] + apart);
    }
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - apart;
    }
    places
}

fn description(lines: &[Line<'_>], ideal: &Ideal) -> String {
    let ends = lines.iter().filter_map(|line| line.points.last());
    let Some((row, best)) = ends.max_by(|a, b| a.1.point.total_cmp(&b.1.point)) else {
        return "No speed-up could be computed.".to_owned();
    };
    let most = f64::from(row.workers);
    format!(
        "{} lines. At its most workers {} is highest: {}, where {} would be ideal.",
        lines.len(),
        row.label(),
        units::ratio_estimate(*best),
        ratio(ideal.at(most)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_moved_apart_and_stay_inside() {
        assert_eq!(spread(&[10.0, 11.0, 50.0], 10.0, (0.0, 100.0)), [10.0, 20.0, 50.0]);
        assert_eq!(spread(&[90.0, 95.0, 99.0], 10.0, (0.0, 100.0)), [80.0, 90.0, 100.0]);
        assert_eq!(spread(&[f64::INFINITY], 10.0, (0.0, 100.0)), [100.0]);
    }

    #[test]
    fn the_ideal_ends_at_the_cores_of_work_that_computes() {
        let ideal = Ideal { baseline: "sequential", cores: Some(4), ceiling: None };
        assert_eq!((ideal.at(2.0), ideal.at(8.0)), (2.0, 4.0));
        assert_eq!(Ideal { cores: None, ..ideal }.at(8.0), 8.0);
    }
}
