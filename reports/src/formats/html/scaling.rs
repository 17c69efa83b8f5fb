//! What more workers bring: fitted laws, memory by the worker, weak scaling.

use manyhands_record::format::{ABSENT, digits, duration, percent, ratio};
use manyhands_record::models::{self, Scaling, Value, ceiling, per_worker, say, weak};
use manyhands_record::{Group, Record};

use super::frame::Frame;
use super::tables::{number, percents};
use crate::charts;
use crate::escape::{Html, redact};
use crate::units;
use crate::view;

/// A table that is no table of cells: its heads, the first for the names of its rows. All but
/// names and words are numbers.
fn begin(html: &mut Html, caption: &str, heads: &[&'static str]) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\"")
        .attribute("aria-label", caption)
        .raw(">\n<table>\n");
    html.element("caption", "", caption).raw("<thead><tr>");
    for (n, head) in heads.iter().enumerate() {
        let number = n > 0 && !["law", "check"].contains(head);
        html.raw("<th scope=\"col\"").raw(if number { " class=\"n\">" } else { ">" });
        html.text(head).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
}

fn row(html: &mut Html, name: &str) {
    html.raw("<tr><th scope=\"row\" class=\"name\"><bdi>").text(name).raw("</bdi></th>");
}

fn end(html: &mut Html) {
    html.raw("</tbody></table>\n</div>\n");
}

/// The scaling law of each executor, or why it has none; nothing for a group in which nobody was
/// measured with two numbers of workers.
pub(super) fn laws(html: &mut Html, record: &Record, group: &Group<'_>) {
    let found = say::scaling(group, record);
    if found.is_empty() {
        return;
    }
    if let Some(reason) = say::common_refusal(&found) {
        let text = format!("No scaling law is fitted: {reason}.");
        html.element("p", "muted small", text);
    } else {
        table(html, &found);
    }
    if let Some(ceiling) = ceiling::of_group(group, record) {
        let text = format!(
            "The first limit that more workers meet here, at {} the speed of one task after the other: {}.",
            ratio(ceiling.speedup),
            redact(&ceiling.limit.to_string())
        );
        html.element("p", "muted small", text);
    }
}

fn table(html: &mut Html, found: &[Scaling<'_>]) {
    html.element("h3", "table", "Scaling laws");
    let caption = "Fitted to each executor's own times. Serial fraction and contention: what only one worker at a \
                   time can do. Coherence: what each pair of workers must agree upon. The check is a fit without the \
                   last point, which then predicts it.";
    let heads =
        ["executor", "law", "contention", "95 % interval", "coherence", "95 % interval", "check"];
    begin(html, caption, &heads);
    for scaling in found {
        row(html, &scaling.name);
        match scaling.best() {
            Ok(fit) => {
                let law = match fit.law {
                    models::Law::Amdahl => "Amdahl",
                    models::Law::Usl => "universal",
                };
                html.element("td", "", law);
                number(html, Some(percent(fit.contention.estimate)));
                number(html, fit.contention.interval.map(percents));
                number(html, fit.coherence.map(|value| digits(value.estimate)));
                number(html, fit.coherence.and_then(|value| value.interval).map(units::range));
                let held = if fit.held_out.holds() { "holds" } else { "off by little" };
                html.element("td", "why", format_args!("{held}: {}", fit.held_out));
            }
            Err(refusal) => {
                html.raw("<td colspan=\"6\">").text(format_args!("none: {refusal}")).raw("</td>");
            }
        }
        html.raw("</tr>\n");
    }
    end(html);
}

/// Bytes per worker; nothing where no executor was measured with enough numbers of workers.
pub(super) fn memory_per_worker(html: &mut Html, group: &Group<'_>) {
    let found = per_worker::of_group(group);
    if !found.iter().any(|series| series.peak.is_ok()) {
        return;
    }
    html.element("h3", "table", "Memory by the worker");
    let caption = "A straight line through the peaks over the workers, by relative errors: what each more worker, or \
                   task in flight, costs, and what is there without any. Kernel stacks are derived and not part of \
                   the peak.";
    let heads = [
        "executor",
        "for each worker",
        "95 % interval",
        "private for each",
        "kernel stack for each",
        "without any",
    ];
    begin(html, caption, &heads);
    for series in &found {
        row(html, &series.name);
        let slope = |line: &Result<per_worker::Line, per_worker::NoLine>| {
            line.as_ref().ok().map(|line| say::signed(line.per_worker.estimate))
        };
        match &series.peak {
            Ok(line) => {
                let range = line.per_worker.interval;
                number(html, slope(&series.peak));
                number(
                    html,
                    range.map(|i| format!("{} to {}", say::signed(i.low), say::signed(i.high))),
                );
                number(html, slope(&series.private));
                number(html, slope(&series.kernel_stacks));
                number(html, Some(say::signed(line.without.estimate)));
            }
            Err(refusal) => {
                html.raw("<td colspan=\"5\">").text(format_args!("none: {refusal}")).raw("</td>");
            }
        }
        html.raw("</tr>\n");
    }
    end(html);
}

/// Weak scaling: a section for each workload that was measured so; nothing in any other record.
pub(super) fn weak(record: &Record) -> Html {
    let mut html = Html::new();
    let curves = weak::curves(record);
    let looks = view::looks(record);
    let mut workloads: Vec<&str> = curves.iter().map(|curve| curve.workload).collect();
    workloads.dedup();
    for (n, workload) in workloads.iter().enumerate() {
        let own: Vec<&weak::Curve<'_>> =
            curves.iter().filter(|curve| curve.workload == *workload).collect();
        let id = format!("weak{n}");
        html.raw("<section").attribute("aria-labelledby", &id).raw(">\n<h2");
        html.attribute("id", &id)
            .raw("><bdi>")
            .text(workload)
            .raw("</bdi>: work that grows with the workers</h2>\n");
        let Some(figure) = charts::weak::draw(&own, &looks) else { continue };
        let frame = Frame {
            id: format!("{id}-chart"),
            title: weak_title(&own),
            sub: format!(
                "Time of one worker with its work divided by the time of n workers with n times the work ({}), paired by round",
                own[0].parameter
            ),
            read: "At 100 % n workers do n times the work in the time that one needs for its own. A line that falls \
                   pays for handing out work, for sharing, or for a limit that all run into.",
            doubt: "It says nothing of finishing the same work sooner: that is the speed-up."
                .to_owned(),
        };
        frame.write(&mut html, &figure, |html| weak_table(html, &own));
        html.close("section");
    }
    html
}

fn weak_title(curves: &[&weak::Curve<'_>]) -> String {
    let ends = curves.iter().filter_map(|curve| Some((curve, curve.points.last()?)));
    let best = ends.max_by(|a, b| a.1.efficiency.estimate.total_cmp(&b.1.efficiency.estimate));
    match best {
        Some((curve, last)) => format!(
            "{} keeps {} of one worker's efficiency with {} workers",
            curve.executor,
            percent(last.efficiency.estimate),
            last.workers
        ),
        None => "Nothing could be compared".to_owned(),
    }
}

fn weak_table(html: &mut Html, curves: &[&weak::Curve<'_>]) {
    let caption = "Scaled speed-up and serial fraction are Gustafson's: the share of the parallel run's time.";
    let heads = [
        "executor",
        "workers",
        "work",
        "time",
        "weak efficiency",
        "95 % interval",
        "scaled speed-up",
        "serial fraction",
    ];
    begin(html, caption, &heads);
    let shown = |value: Option<Value>| value.map(|value| percent(value.estimate));
    for curve in curves {
        for point in &curve.points {
            row(html, curve.executor);
            number(html, Some(point.workers.to_string()));
            number(html, Some(redact(point.work)));
            number(html, Some(duration(point.time.ns)));
            number(html, shown(Some(point.efficiency)));
            number(html, point.efficiency.interval.map(percents));
            number(html, Some(ratio(point.speedup.estimate)));
            html.open("td", "n").text(shown(point.serial).unwrap_or_else(|| ABSENT.to_owned()));
            html.raw("</td></tr>\n");
        }
    }
    end(html);
}
