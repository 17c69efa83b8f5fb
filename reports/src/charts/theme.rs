//! Colours and marks.
//!
//! A chart draws in the colours of the light theme. The SVG backend writes each as a class, and
//! the page's stylesheet says what the class looks like in the light, in the dark and on paper; a
//! bitmap backend would simply get the light theme. No colour stands alone: a series has a marker,
//! a dash and its name beside it too.

use plotters::style::RGBColor;

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Text.
    Ink,
    /// Text that steps back.
    Muted,
    /// Lines of a grid.
    Grid,
    /// Axes, the ideal line.
    Axis,
    /// The background, for halos.
    Paper,
    /// One of [`SERIES`].
    Series(usize),
}

impl Role {
    const FIXED: [Role; 5] = [Role::Ink, Role::Muted, Role::Grid, Role::Axis, Role::Paper];

    /// The colour in the light theme.
    pub(crate) fn color(self) -> RGBColor {
        let (r, g, b) = rgb(match self {
            Role::Ink => 0x1b1e23,
            Role::Muted => 0x57606a,
            Role::Grid => 0xe4e7eb,
            Role::Axis => 0x8b939e,
            Role::Paper => 0xffffff,
            Role::Series(index) => LIGHT[index % SERIES],
        });
        RGBColor(r, g, b)
    }

    fn class(self) -> &'static str {
        match self {
            Role::Ink => "ink",
            Role::Muted => "muted",
            Role::Grid => "grid",
            Role::Axis => "axis",
            Role::Paper => "paper",
            Role::Series(index) => CLASSES[index % SERIES],
        }
    }
}

/// How many colours for series there are.
pub(crate) const SERIES: usize = 6;

const CLASSES: [&str; SERIES] = ["c0", "c1", "c2", "c3", "c4", "c5"];

/// On white: blue, near black, orange, green, purple, brown.
const LIGHT: [u32; SERIES] = [0x0072b2, 0x1a1a1a, 0xdd7700, 0x00563f, 0x6a1b9a, 0xa8684f];

/// The class of a colour that a chart drew in, if it is one of the theme's.
pub(crate) fn class_of(color: (u8, u8, u8)) -> Option<&'static str> {
    let series = (0..SERIES).map(Role::Series);
    Role::FIXED
        .into_iter()
        .chain(series)
        .find(|role| {
            let RGBColor(r, g, b) = role.color();
            (r, g, b) == color
        })
        .map(Role::class)
}

const fn rgb(hex: u32) -> (u8, u8, u8) {
    ((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Diamond,
    Up,
    Down,
    Cross,
}

const MARKERS: [Marker; 6] =
    [Marker::Circle, Marker::Square, Marker::Diamond, Marker::Up, Marker::Down, Marker::Cross];

/// The classes of dashes; the first is a line without.
const DASHES: [&str; 4] = ["d0", "d1", "d2", "d3"];

/// How an executor is told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Series {
    /// An index into the palette: one colour per family.
    pub(crate) color: usize,
    /// The shape of its points.
    pub(crate) marker: Marker,
    /// The class of its dash.
    pub(crate) dash: &'static str,
    /// Points are outlines: a guest.
    pub(crate) hollow: bool,
}

/// A series for each executor, in their order. Relatives share a colour and differ in marker and
/// dash. Strangers go round the palette, so that sixty of them still differ in something.
pub(crate) fn series<'a>(executors: impl IntoIterator<Item = &'a str>) -> Vec<Series> {
    let mut relatives = [0; SERIES];
    let mut strangers = 0;
    executors
        .into_iter()
        .map(|name| {
            let (guest, model) = match name.split_once('/') {
                Some((_, model)) => (true, model),
                None => (false, name),
            };
            let color = family(model).unwrap_or_else(|| {
                strangers += 1;
                (SERIES - 1 + strangers - 1) % SERIES
            });
            let nth = relatives[color];
            relatives[color] += 1;
            Series {
                color,
                marker: MARKERS[nth % MARKERS.len()],
                dash: DASHES[(nth + nth / MARKERS.len()) % DASHES.len()],
                hollow: guest,
            }
        })
        .collect()
}

/// The colour of a native model and its variants: `threads:spawn` is one of the threads.
fn family(model: &str) -> Option<usize> {
    let base = model.split([':', '+']).next().unwrap_or(model);
    match base {
        "threads" => Some(0),
        "sequential" => Some(1),
        "processes" => Some(2),
        "rayon" => Some(3),
        "async" | "asyncio" => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const CSS: &str = include_str!("../../assets/report.css");

    #[test]
    fn relatives_share_a_colour_and_nothing_else() {
        let found = series(["sequential", "threads", "threads:static", "python/threads"]);
        let colors: Vec<usize> = found.iter().map(|s| s.color).collect();
        assert_eq!(colors, [1, 0, 0, 0]);
        assert_ne!(found[1].marker, found[2].marker);
        assert_ne!(found[1].dash, found[2].dash);
        assert!(found[3].hollow && !found[1].hollow);
    }

    #[test]
    fn sixty_executors_all_look_different() {
        let names: Vec<String> = (0..60).map(|n| format!("model-{n}")).collect();
        let found = series(names.iter().map(String::as_str));
        let looks: HashSet<String> = found.iter().map(|s| format!("{s:?}")).collect();
        assert_eq!(looks.len(), 60);
    }

    /// The WCAG contrast of two colours.
    fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
        let luminance = |(r, g, b): (u8, u8, u8)| {
            let linear = |c: u8| {
                let c = f64::from(c) / 255.0;
                if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The variables of a theme, from the stylesheet itself.
    fn palette(theme: &str) -> impl Fn(&str) -> (u8, u8, u8) {
        let begin = format!("/* {theme} */");
        let block = CSS.split(&begin).nth(1).expect("the theme is in the stylesheet");
        let block = block.split('}').next().expect("a theme is a block").to_owned();
        move |name| {
            let declared = format!("--{name}: #");
            let hex = block.split(&declared).nth(1).unwrap_or_else(|| panic!("no {name}"));
            rgb(u32::from_str_radix(&hex[..6], 16).expect("six digits"))
        }
    }

    #[test]
    fn every_theme_can_be_read_and_told_apart_from_its_background() {
        for theme in ["light", "dark", "print"] {
            let color = palette(theme);
            // Charts lie on paper only.
            for graphic in CLASSES.into_iter().chain(["axis"]) {
                let found = contrast(color(graphic), color("paper"));
                assert!(found >= 3.0, "{theme} {graphic}: {found:.2}");
            }
            for surface in ["paper", "panel"] {
                for text in ["ink", "muted", "link", "bad", "warn"] {
                    let found = contrast(color(text), color(surface));
                    assert!(found >= 4.5, "{theme} {text} on {surface}: {found:.2}");
                }
            }
        }
    }

    #[test]
    fn the_light_theme_is_what_charts_draw_in() {
        let color = palette("light");
        for role in Role::FIXED.into_iter().chain((0..SERIES).map(Role::Series)) {
            let RGBColor(r, g, b) = role.color();
            assert_eq!(color(role.class()), (r, g, b), "{role:?}");
        }
    }
}
