//! Charts: one file each; here is what they share.
//!
//! A chart takes rows that are ready to be drawn, and gives a [`Figure`]. What is true of the
//! rows was decided in `manyhands_record`.

mod axis;
pub(crate) mod granularity;
pub(crate) mod lanes;
pub(crate) mod memory;
mod rows;
pub(crate) mod shares;
pub(crate) mod speedup;
pub(crate) mod theme;
pub(crate) mod time;
pub(crate) mod weak;

use manyhands_record::Interval;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, ShapeStyle};
use unicode_width::UnicodeWidthChar;

use crate::backend::{SCALE, Shared, SvgBackend, px};
use crate::escape::{Html, visible};
use theme::{Marker, Role, Series};

/// A measured quantity with its 95 % interval, where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) point: f64,
    pub(crate) interval: Option<Interval>,
}

impl Estimate {
    pub(crate) fn low(self) -> f64 {
        self.interval.map_or(self.point, |i| i.low)
    }

    pub(crate) fn high(self) -> f64 {
        self.interval.map_or(self.point, |i| i.high)
    }
}

/// A cell as charts see it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) executor: String,
    pub(crate) workers: u32,
    /// The chunk, where it was asked for.
    pub(crate) chunk: Option<String>,
    /// The rate or the label that tells it from others that are otherwise the same.
    pub(crate) mark: Option<String>,
    pub(crate) series: Series,
    /// Nanoseconds for one sample.
    pub(crate) time: Result<Estimate, Gap>,
    /// Times as fast as the baseline.
    pub(crate) speedup: Option<Estimate>,
    /// What it needed, or why that is not known.
    pub(crate) memory: Result<Peak, Gap>,
}

impl Row {
    /// `threads:static chunk=10 A`, where the workers have a column of their own.
    pub(crate) fn name(&self) -> String {
        let chunk = self.chunk.as_ref().map_or(String::new(), |chunk| format!(" chunk={chunk}"));
        let mark = self.mark.as_ref().map_or(String::new(), |mark| format!(" {mark}"));
        format!("{}{chunk}{mark}", self.executor)
    }

    /// `threads:static, 2 workers`.
    pub(crate) fn label(&self) -> String {
        let plural = if self.workers == 1 { "" } else { "s" };
        let chunk = self.chunk.as_ref().map_or(String::new(), |c| format!(", chunk {c}"));
        let mark = self.mark.as_ref().map_or(String::new(), |mark| format!(", {mark}"));
        format!("{}, {} worker{plural}{chunk}{mark}", self.executor, self.workers)
    }
}

/// Why there is no value: a few words, and a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gap {
    pub(crate) kind: String,
    pub(crate) reason: String,
}

/// The memory of a process tree, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    pub(crate) peak: f64,
    /// Before the executor was started, with the input loaded.
    pub(crate) before: Option<f64>,
    /// Before the input was loaded.
    pub(crate) program: Option<f64>,
    /// The part of the peak that one process has for itself.
    pub(crate) private: Option<f64>,
}

/// A chart as it goes into a page.
#[derive(Debug)]
pub(crate) struct Figure {
    width: f64,
    height: f64,
    body: Html,
    /// What a reader who cannot see the chart is told.
    pub(crate) description: String,
}

impl Figure {
    /// The chart as an SVG element. The id must be unique in the page.
    pub(crate) fn svg(&self, id: &str, title: &str) -> Html {
        let (width, height) = (px(self.width), px(self.height));
        let mut html = Html::new();
        html.raw("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"")
            .attribute("viewBox", format_args!("0 0 {width} {height}"))
            .attribute("width", self.width)
            .attribute("height", self.height)
            .attribute("aria-labelledby", format_args!("{id}-t {id}-d"))
            .raw("><title")
            .attribute("id", format_args!("{id}-t"))
            .raw(">")
            .text(title)
            .raw("</title>\n<desc")
            .attribute("id", format_args!("{id}-d"))
            .raw(">")
            .text(&self.description)
            .raw("</desc>\n")
            .add(&self.body)
            .raw("</svg>\n");
        html
    }
}

/// What charts draw on: plotters' area, and the groups and titles that plotters knows nothing of.
/// Coordinates are pixels; tenths count.
pub(crate) struct Canvas {
    pub(crate) width: f64,
    pub(crate) height: f64,
    area: DrawingArea<SvgBackend, Shift>,
    drawing: Shared,
}

/// Text sizes, in pixels.
pub(crate) const TEXT: f64 = 13.0;
pub(crate) const SMALL: f64 = 12.0;

impl Canvas {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        let drawing = Shared::default();
        let size = (px(width) as u32, px(height) as u32);
        let area = SvgBackend::new(size, drawing.clone()).into_drawing_area();
        Self { width, height, area, drawing }
    }

    pub(crate) fn finish(self, description: String) -> Figure {
        let body = self.drawing.borrow_mut().take();
        Figure { width: self.width, height: self.height, body, description }
    }

    /// Whatever is drawn inside belongs together.
    pub(crate) fn group(&self, class: &'static str, draw: impl FnOnce()) {
        self.drawing.borrow_mut().open(class, None);
        draw();
        self.drawing.borrow_mut().close();
    }

    /// Whatever is drawn inside is one mark with this title.
    pub(crate) fn mark(&self, title: &str, draw: impl FnOnce()) {
        self.drawing.borrow_mut().open("mark", Some(title));
        draw();
        self.drawing.borrow_mut().close();
    }

    fn draw<'a, E>(&self, element: &'a E)
    where
        &'a E: plotters::element::PointCollection<'a, (i32, i32)>,
        E: plotters::element::Drawable<SvgBackend>,
    {
        // The backend's error has no values: it writes into a string.
        let _ = self.area.draw(element);
    }

    pub(crate) fn line(&self, points: &[(f64, f64)], role: Role, width: f64) {
        let points: Vec<(i32, i32)> = points.iter().map(|&at| units(at)).collect();
        self.draw(&PathElement::new(points, stroke(role, width)));
    }

    pub(crate) fn bar(&self, from: (f64, f64), to: (f64, f64), role: Role, opacity: f64) {
        let style = role.color().mix(opacity).filled();
        self.draw(&Rectangle::new([units(from), units(to)], style));
    }

    /// An outline.
    pub(crate) fn frame(&self, from: (f64, f64), to: (f64, f64), role: Role) {
        self.draw(&Rectangle::new([units(from), units(to)], stroke(role, 1.0)));
    }

    /// A frame with diagonal lines: there is no value here.
    pub(crate) fn hatched(&self, from: (f64, f64), to: (f64, f64), role: Role) {
        let (width, height) = (to.0 - from.0, to.1 - from.1);
        let mut x = from.0 - height + 6.0;
        while x < from.0 + width {
            // From bottom left to top right, cut at the frame's sides.
            let left = x.max(from.0);
            let right = (x + height).min(to.0);
            self.line(&[(left, to.1 - (left - x)), (right, to.1 - (right - x))], role, 1.0);
            x += 6.0;
        }
        self.frame(from, to, role);
    }

    /// An interval with its caps, on a halo so that it shows on a bar of any colour.
    pub(crate) fn interval(&self, (x0, x1): (f64, f64), y: f64, cap: f64, role: Role) {
        for (role, width) in [(Role::Paper, 3.6), (role, 1.6)] {
            self.line(&[(x0, y), (x1, y)], role, width);
            self.line(&[(x0, y - cap), (x0, y + cap)], role, width);
            self.line(&[(x1, y - cap), (x1, y + cap)], role, width);
        }
    }

    pub(crate) fn marker(&self, series: Series, (x, y): (f64, f64), radius: f64) {
        let role = Role::Series(series.color);
        let fill = if series.hollow { Role::Paper } else { role };
        match series.marker {
            Marker::Circle => {
                let circle = |radius, style| Circle::new(units((x, y)), px(radius), style);
                self.draw(&circle(radius, fill.color().filled()));
                self.draw(&circle(radius, stroke(role, 1.6)));
            }
            shape => {
                let outline: Vec<(i32, i32)> = corners(shape)
                    .iter()
                    .map(|(dx, dy)| units((x + dx * radius, y + dy * radius)))
                    .collect();
                let closed = outline.iter().chain(outline.first()).copied().collect::<Vec<_>>();
                self.draw(&Polygon::new(outline, fill.color().filled()));
                self.draw(&PathElement::new(closed, stroke(role, 1.6)));
            }
        }
    }

    pub(crate) fn text(&self, text: &str, at: (f64, f64), kind: TextKind) {
        let mut font = ("sans-serif", f64::from(px(kind.size))).into_font();
        if kind.bold {
            font = font.style(FontStyle::Bold);
        }
        if kind.upright {
            font = font.transform(FontTransform::Rotate270);
        }
        let color = kind.role.color();
        let style = TextStyle::from(font).color(&color).pos(Pos::new(kind.anchor, VPos::Center));
        self.draw(&Text::new(text.to_owned(), units(at), style));
    }
}

/// How a text is set. Its vertical anchor is the middle.
#[derive(Clone, Copy)]
pub(crate) struct TextKind {
    anchor: HPos,
    size: f64,
    role: Role,
    bold: bool,
    upright: bool,
}

impl TextKind {
    pub(crate) const START: Self =
        Self { anchor: HPos::Left, size: TEXT, role: Role::Ink, bold: false, upright: false };
    pub(crate) const MIDDLE: Self = Self { anchor: HPos::Center, ..Self::START };
    pub(crate) const END: Self = Self { anchor: HPos::Right, ..Self::START };

    pub(crate) const fn small(self) -> Self {
        Self { size: SMALL, ..self }
    }

    pub(crate) const fn muted(self) -> Self {
        Self { role: Role::Muted, ..self }
    }

    pub(crate) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(crate) const fn on_color(self) -> Self {
        Self { role: Role::Paper, ..self }
    }
}

fn stroke(role: Role, width: f64) -> ShapeStyle {
    role.color().stroke_width((width * f64::from(SCALE)).round() as u32)
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    (px(x), px(y))
}

/// The outline of a marker that is not a circle; areas look about equal.
fn corners(marker: Marker) -> &'static [(f64, f64)] {
    match marker {
        Marker::Circle => &[],
        Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        Marker::Diamond => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        Marker::Up => &[(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)],
        Marker::Down => &[(0.0, 1.2), (1.15, -0.9), (-1.15, -0.9)],
        Marker::Cross => &[
            (-0.4, -1.2),
            (0.4, -1.2),
            (0.4, -0.4),
            (1.2, -0.4),
            (1.2, 0.4),
            (0.4, 0.4),
            (0.4, 1.2),
            (-0.4, 1.2),
            (-0.4, 0.4),
            (-1.2, 0.4),
            (-1.2, -0.4),
            (-0.4, -0.4),
        ],
    }
}

/// A guess at the width of a text, on the large side: room is reserved with it, and nothing is
/// placed by it.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().filter_map(char::width).sum::<usize>() as f64 * size * 0.58
}

/// The text, cut to about this width; its end is replaced by an ellipsis.
pub(crate) fn shortened(text: &str, width: f64, size: f64) -> String {
    let text: String = text.chars().map(visible).collect();
    if text_width(&text, size) <= width {
        return text;
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if text_width(&kept, size) + size > width {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_its_width_not_by_its_bytes() {
        assert_eq!(shortened("threads:static", 200.0, 13.0), "threads:static");
        assert_eq!(shortened("threads:static", 80.0, 13.0), "threads:…");
        assert_eq!(shortened("並列処理並列処理", 80.0, 13.0), "並列処理…");
    }
}
