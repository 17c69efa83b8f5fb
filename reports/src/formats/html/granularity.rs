//! A sweep over the length of a task: one section for all its lengths.

use manyhands_record::format::{ABSENT, duration_within, percent};
use manyhands_record::models::granularity::{Curve, Share, Sweep, curves};
use manyhands_record::{Group, Record};

use super::tables;
use super::frame::Frame;
use crate::charts::{self, Row};
use crate::escape::{Html, redact};
use crate::granularity::{self, HEADINGS};
use crate::{units, view};

const READ: &str = "A curve is an executor; each point is one length of task. Further right tasks are longer, \
    further up more of the cores' time is work. Where a curve crosses the dashed line at 50 %, half of the \
    time is the executor's cost: the foot of the line below it is METG, the length from which on it is worth \
    its cost. An arrow says that it lies outside of what was measured. Further left is better.";

const DOUBT: &str = "All tasks are alike, independent, and touch no memory; real ones also pay for their data. \
    Samples begin with all workers awake and end when the last task is done, so a run with few tasks pays more. \
    The best rate is the highest of many measured ones, and so a little lucky.";

/// The sections of a record that is of a sweep.
pub(super) fn sections(record: &Record, groups: &[Group<'_>]) -> Html {
    let mut html = Html::new();
    for (n, sweep) in curves(record).iter().enumerate() {
        let id = format!("g{n}");
        html.raw("<section").attribute("aria-labelledby", &id).raw(">\n");
        html.raw("<h2").attribute("id", &id).raw("><bdi>");
        html.text(&sweep.label).raw("</bdi>: granularity</h2>\n");
        let text = record.header.workloads.iter().find(|text| text.name == sweep.workload);
        if let Some(text) = text {
            html.element("p", "", redact(&text.about));
        }
        chart(&mut html, record, sweep, &id);
        table(&mut html, sweep);
        html.raw("<ul>\n");
        for note in granularity::notes(sweep) {
            html.element("li", "", redact(&note));
        }
        html.raw("</ul>\n").close("section");
    }
    cells(&mut html, record, groups);
    html
}

fn chart(html: &mut Html, record: &Record, sweep: &Sweep<'_>, id: &str) {
    let looks = view::looks(record);
    let Some(figure) = charts::granularity::draw(sweep, &looks) else { return };
    let frame = Frame {
        id: format!("{id}-granularity"),
        title: granularity::claim(std::slice::from_ref(sweep)),
        sub: format!(
            "Rate of work as a share of the best rate of any executor on the same cores, by core-time per task \
             (wall time x cores in use / tasks); swept: {}; 95 % intervals from six rounds on",
            sweep.length
        ),
        read: READ,
        doubt: DOUBT.to_owned(),
    };
    frame.write(html, &figure, |html| points(html, sweep));
}

/// What each executor comes to.
fn table(html: &mut Html, sweep: &Sweep<'_>) {
    let caption = "Cost per task is the intercept of a line through all lengths; METG(50 %) the shortest \
        core-time per task at half of the best rate; then the efficiency at 1, 10 and 100 us of work.";
    head(html, caption, &HEADINGS);
    for (line, curve) in granularity::lines(sweep).into_iter().zip(&sweep.curves) {
        html.raw("<tr><th scope=\"row\" class=\"name\"><bdi>").text(&line.name).raw("</bdi></th>");
        match line.figures {
            Err(reason) => {
                html.raw("<td").attribute("colspan", HEADINGS.len() - 1).raw(">");
                html.text(redact(&reason)).raw("</td>");
            }
            Ok([cost, metg, ..]) => {
                number(html, &cost);
                number(html, &metg);
                curve.at.iter().for_each(|found| share(html, *found));
            }
        }
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table>\n</div>\n");
}

/// A share, and its interval on a line of its own: three of them stand side by side.
fn share(html: &mut Html, found: Option<Share>) {
    html.open("td", "n");
    match found {
        None => html.text(ABSENT),
        Some(Share { share, interval: None }) => html.text(percent(share)),
        Some(Share { share, interval: Some(interval) }) => html
            .text(percent(share))
            .raw("<br/><span class=\"small muted\">")
            .text(format_args!("{} to {}", tenths(interval.low), tenths(interval.high)))
            .raw("</span>"),
    };
    html.raw("</td>");
}

/// A share of 1 in percent, without the sign.
fn tenths(share: f64) -> String {
    units::plain((share * 1_000.0).round() / 10.0)
}

/// The points of the chart.
fn points(html: &mut Html, sweep: &Sweep<'_>) {
    let columns = ["executor", sweep.length, "tasks", "core-time per task", "efficiency"];
    head(html, "Every length of task that was measured", &columns);
    for curve in &sweep.curves {
        let name = curve.label(&sweep.curves);
        rows(html, &name, curve);
    }
    html.raw("</tbody></table>\n</div>\n");
}

fn rows(html: &mut Html, name: &str, curve: &Curve<'_>) {
    for point in &curve.points {
        html.raw("<tr><th scope=\"row\" class=\"name\"><bdi>").text(name).raw("</bdi></th>");
        number(html, &units::plain(point.work));
        number(html, &point.tasks.to_string());
        number(html, &duration_within(point.granularity, point.interval));
        share(html, point.efficiency);
        html.raw("</tr>\n");
    }
}

fn head(html: &mut Html, caption: &str, columns: &[&str]) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\"")
        .attribute("aria-label", caption)
        .raw(">\n<table>\n");
    html.element("caption", "", caption).raw("<thead><tr>");
    for (n, column) in columns.iter().enumerate() {
        html.raw("<th scope=\"col\"").raw(if n > 0 { " class=\"n\">" } else { ">" });
        html.text(redact(column)).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
}

fn number(html: &mut Html, text: &str) {
    html.element("td", "n", text);
}

/// The single cells, folded away: each length is a group of its own.
fn cells(html: &mut Html, record: &Record, groups: &[Group<'_>]) {
    let looks = view::looks(record);
    html.raw(
        "<section>\n<details>\n<summary>The cells behind it, a table for each length</summary>\n",
    );
    for group in groups {
        let (rows, cells): (Vec<Row>, Vec<usize>) = view::rows(group, &looks).into_iter().unzip();
        html.open("h3", "table").raw("<bdi>").text(&group.label).raw("</bdi>").close("h3");
        tables::cells(html, group, &rows, &cells);
    }
    html.raw("</details>\n</section>\n");
}
