//! A chart with its title, what it was made of, how to read it, when to doubt it, and its numbers.

use crate::charts::Figure;
use crate::escape::Html;

/// Everything around a chart.
pub(super) struct Frame<'a> {
    pub(super) id: String,
    pub(super) title: String,
    /// Metric, n, interval, baseline.
    pub(super) sub: String,
    pub(super) read: &'a str,
    pub(super) doubt: String,
}

impl Frame<'_> {
    /// With the numbers of the chart in a table.
    pub(super) fn write(&self, html: &mut Html, figure: &Figure, table: impl FnOnce(&mut Html)) {
        self.begin(html, figure);
        html.raw("<details>\n<summary>The numbers of this chart</summary>\n");
        table(html);
        html.raw("</details>\n</figure>\n");
    }

    /// For a chart whose numbers are too many for a table.
    pub(super) fn write_without_numbers(&self, html: &mut Html, figure: &Figure) {
        self.begin(html, figure);
        html.raw("</figure>\n");
    }

    fn begin(&self, html: &mut Html, figure: &Figure) {
        html.raw("<figure>\n").element("h3", "", &self.title).element("p", "sub", &self.sub);
        html.raw("<div class=\"chart\" tabindex=\"0\" role=\"group\"")
            .attribute("aria-label", &self.title)
            .raw(">\n");
        html.add(&figure.svg(&self.id, &self.title)).close("div");
        html.raw("<figcaption>\n<p><strong>How to read this.</strong> ")
            .text(self.read)
            .raw("</p>\n");
        if !self.doubt.is_empty() {
            html.raw("<p><strong>When to doubt it.</strong> ").text(&self.doubt).raw("</p>\n");
        }
        html.close("figcaption");
    }
}
