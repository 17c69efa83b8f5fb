//! A plotters backend that writes SVG for a themed, accessible page.
//!
//! Plotters' own SVG backend has whole-pixel coordinates, literal colours and neither roles nor
//! titles. This one
//! - draws in tenths of a pixel: the view box is ten times the size, so integers are fine enough;
//! - writes a known colour as a class, so that the page's theme decides what it looks like;
//! - anchors text at its start, middle or end: its width is the browser's business.
//!
//! Plotters does not know of series and titles. They come by a side channel: the drawing lies
//! behind an `Rc<RefCell<_>>` that the backend shares with whoever made it, and
//! [`Drawing::open`] and [`Drawing::close`] put a group around whatever plotters draws between them.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, FontTransform,
};

use crate::charts::theme;
use crate::escape::Html;

/// Units of a drawing per pixel at its natural size.
pub(crate) const SCALE: i32 = 10;

/// The size of a pixel in the drawing's units.
pub(crate) fn px(pixels: f64) -> i32 {
    (pixels * f64::from(SCALE)).round() as i32
}

/// What was drawn so far.
#[derive(Debug, Default)]
pub(crate) struct Drawing {
    body: Html,
    depth: usize,
}

/// A drawing that a backend and a chart share.
pub(crate) type Shared = Rc<RefCell<Drawing>>;

impl Drawing {
    /// Begins a group. Its title is what a pointer and a screen reader find there.
    pub(crate) fn open(&mut self, class: &'static str, title: Option<&str>) {
        self.body.raw("<g").attribute("class", class).raw(">");
        if let Some(title) = title {
            self.body.raw("<title>").text(title).raw("</title>");
        }
        self.depth += 1;
    }

    /// Ends the innermost group.
    pub(crate) fn close(&mut self) {
        debug_assert!(self.depth > 0, "a group is closed that was not opened");
        self.depth -= 1;
        self.body.raw("</g>\n");
    }

    /// The groups and marks.
    pub(crate) fn take(&mut self) -> Html {
        debug_assert_eq!(self.depth, 0, "every group that was opened is closed");
        std::mem::take(&mut self.body)
    }

    fn mark(&mut self, element: &'static str, numbers: &[(&'static str, i32)]) -> &mut Html {
        self.body.raw("<").raw(element);
        for (name, number) in numbers {
            self.body.attribute(name, number);
        }
        &mut self.body
    }
}

/// The backend: see the module.
#[derive(Debug)]
pub(crate) struct SvgBackend {
    size: (u32, u32),
    drawing: Shared,
}

impl SvgBackend {
    /// A backend for a drawing of this size in its own units.
    pub(crate) fn new(size: (u32, u32), drawing: Shared) -> Self {
        Self { size, drawing }
    }

    fn polygon(&self, element: &'static str, points: impl IntoIterator<Item = BackendCoord>) {
        let mut drawing = self.drawing.borrow_mut();
        let points: Vec<String> = points.into_iter().map(|(x, y)| format!("{x},{y}")).collect();
        drawing.mark(element, &[]).attribute("points", points.join(" "));
    }

    /// Ends the element that was begun, with its colour.
    fn paint(&self, color: BackendColor, ink: Ink) -> Drawn {
        let mut drawing = self.drawing.borrow_mut();
        let html = &mut drawing.body;
        let (property, opacity) = match ink {
            Ink::Fill => ("fill", "fill-opacity"),
            Ink::Line(_) => ("stroke", "stroke-opacity"),
        };
        let kind = if ink == Ink::Fill { "f" } else { "l" };
        match theme::class_of(color.rgb) {
            Some(class) => html.attribute("class", format_args!("{kind} {class}")),
            // A colour that no theme knows is drawn as it is.
            None => html.attribute(property, hex(color.rgb)),
        };
        if color.alpha < 1.0 {
            html.attribute(opacity, format_args!("{:.2}", color.alpha));
        }
        if let Ink::Line(width) = ink {
            html.attribute("stroke-width", width);
        }
        html.raw("/>");
        Ok(())
    }
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

#[derive(Clone, Copy, PartialEq)]
enum Ink {
    Fill,
    Line(u32),
}

impl Ink {
    fn of(style: &impl BackendStyle, fill: bool) -> Self {
        if fill { Self::Fill } else { Self::Line(style.stroke_width()) }
    }
}

fn hex((r, g, b): (u8, u8, u8)) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

impl DrawingBackend for SvgBackend {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.drawing
            .borrow_mut()
            .mark("line", &[("x1", from.0), ("y1", from.1), ("x2", to.0), ("y2", to.1)]);
        self.paint(style.color(), Ink::of(style, false))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let (x, y) = (upper_left.0.min(bottom_right.0), upper_left.1.min(bottom_right.1));
        let width = (upper_left.0 - bottom_right.0).abs();
        let height = (upper_left.1 - bottom_right.1).abs();
        self.drawing
            .borrow_mut()
            .mark("rect", &[("x", x), ("y", y), ("width", width), ("height", height)]);
        self.paint(style.color(), Ink::of(style, fill))
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.polygon("polyline", path);
        self.paint(style.color(), Ink::of(style, false))
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let radius = i32::try_from(radius).unwrap_or(i32::MAX);
        self.drawing.borrow_mut().mark("circle", &[("cx", x), ("cy", y), ("r", radius)]);
        self.paint(style.color(), Ink::of(style, fill))
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Drawn {
        self.polygon("polygon", vertices);
        self.paint(style.color(), Ink::Fill)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let size = style.size().round() as i32;
        let anchor = style.anchor();
        // `dominant-baseline` is drawn differently by every renderer; a shift is not.
        let shift = match anchor.v_pos {
            VPos::Top => 0.8,
            VPos::Center => 0.35,
            VPos::Bottom => -0.2,
        };
        let drop = (f64::from(size) * shift).round() as i32;
        let mut drawing = self.drawing.borrow_mut();
        let html = match rotation(&style.transform()) {
            None => drawing.mark("text", &[("x", at.0), ("y", at.1 + drop), ("font-size", size)]),
            Some(degrees) => {
                drawing.mark("text", &[("x", 0), ("y", drop), ("font-size", size)]).attribute(
                    "transform",
                    format_args!("translate({} {}) rotate({degrees})", at.0, at.1),
                )
            }
        };
        match anchor.h_pos {
            HPos::Left => {}
            HPos::Center => {
                html.attribute("text-anchor", "middle");
            }
            HPos::Right => {
                html.attribute("text-anchor", "end");
            }
        }
        if matches!(style.style(), FontStyle::Bold) {
            html.attribute("font-weight", "600");
        }
        match theme::class_of(style.color().rgb) {
            Some(class) => html.attribute("class", format_args!("f {class}")),
            None => html.attribute("fill", hex(style.color().rgb)),
        };
        html.raw(">").text(text).raw("</text>");
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let width = crate::charts::text_width(text, style.size());
        Ok((width.ceil() as u32, style.size().ceil() as u32))
    }
}

fn rotation(transform: &FontTransform) -> Option<i32> {
    match transform {
        FontTransform::None => None,
        FontTransform::Rotate90 => Some(90),
        FontTransform::Rotate180 => Some(180),
        FontTransform::Rotate270 => Some(270),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::theme::Role;
    use plotters::prelude::*;

    fn drawn(draw: impl FnOnce(&DrawingArea<SvgBackend, plotters::coord::Shift>)) -> String {
        let drawing = Shared::default();
        draw(&SvgBackend::new((1000, 500), drawing.clone()).into_drawing_area());
        drawing.borrow_mut().take().into_string()
    }

    #[test]
    fn a_known_colour_is_a_class_and_a_foreign_one_is_itself() {
        let svg = drawn(|area| {
            area.draw(&Rectangle::new([(10, 20), (5, 60)], Role::Series(0).color().filled()))
                .expect("drawing into a string");
            area.draw(&Circle::new(
                (9, 9),
                3,
                ShapeStyle { color: RGBColor(1, 2, 3).to_rgba(), filled: false, stroke_width: 15 },
            ))
            .expect("drawing into a string");
        });
        assert_eq!(
            svg,
            "<rect x=\"5\" y=\"20\" width=\"5\" height=\"40\" class=\"f c0\"/>\
             <circle cx=\"9\" cy=\"9\" r=\"3\" stroke=\"#010203\" stroke-width=\"15\"/>"
        );
    }

    #[test]
    fn text_is_escaped_and_anchored() {
        use plotters::style::text_anchor::Pos;
        let svg = drawn(|area| {
            let ink = Role::Ink.color();
            let style = TextStyle::from(("sans-serif", 130).into_font())
                .color(&ink)
                .pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new("a<b", (100, 50), style)).expect("drawing into a string");
        });
        assert_eq!(
            svg,
            "<text x=\"100\" y=\"96\" font-size=\"130\" text-anchor=\"end\" class=\"f ink\">a&lt;b</text>"
        );
    }

    #[test]
    fn a_group_carries_its_title() {
        let drawing = Shared::default();
        drawing.borrow_mut().open("mark", Some("<b>"));
        drawing.borrow_mut().close();
        assert_eq!(
            drawing.borrow_mut().take().into_string(),
            "<g class=\"mark\"><title>&lt;b&gt;</title></g>\n"
        );
    }
}
