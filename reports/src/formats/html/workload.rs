//! What was found about one workload: words, charts, tables.

use manyhands_record::{Group, Record, WorkloadText, sentence};

use super::frame::Frame;
use super::{scaling, tables, traced};
use crate::Traces;
use crate::charts::speedup::FitLine;
use crate::charts::{Row, memory, speedup, time};
use crate::escape::{Html, redact};
use crate::view::{self, Looks};

pub(super) fn sections(record: &Record, groups: &[Group<'_>], traces: &Traces) -> Html {
    let looks = view::looks(record);
    let mut html = Html::new();
    for (n, group) in groups.iter().enumerate() {
        let (rows, cells): (Vec<Row>, Vec<usize>) = view::rows(group, &looks).into_iter().unzip();
        let id = format!("w{n}");
        html.raw("<section").attribute("aria-labelledby", &id).raw(">\n");
        heading(&mut html, group, &id);
        times(&mut html, group, (&rows, &cells), &id);
        speedups(&mut html, record, group, (&rows, &cells), &looks, &id);
        scaling::laws(&mut html, record, group);
        memories(&mut html, group, &rows, (&cells, &id));
        traced::section(&mut html, group, &looks, traces, &id);
        html.element("h3", "table", "All cells");
        tables::cells(&mut html, group, &rows, &cells);
        tables::counters(&mut html, group, &rows, &cells);
        tables::processor(&mut html, record, group, &rows, &cells);
        tables::cards(&mut html, group, &rows, &cells);
        html.close("section");
    }
    html
}

fn heading(html: &mut Html, group: &Group<'_>, id: &str) {
    html.raw("<h2").attribute("id", id).raw("><bdi>").text(&group.label).raw("</bdi></h2>\n");
    if let Some(text) = group.text {
        html.open("p", "eyebrow").text(kind(text)).close("p");
        html.element("p", "", redact(&text.about));
    }
    parameters(html, group);
    if let Some(sentence) = sentence::sentence(group) {
        html.element("p", "finding", redact(&sentence));
    }
    bound(html, group);
}

/// `computes · map · one task: a range of 1,000 numbers`.
fn kind(text: &WorkloadText) -> String {
    let kind = match text.kind.as_str() {
        "cpu" => "Work that computes",
        "io" => "Work that waits",
        "mixed" => "Work that computes and waits",
        "overhead" => "Overhead, no work",
        other => other,
    };
    let mut parts = vec![kind.to_owned(), format!("shape {}", text.shape)];
    if !text.task.is_empty() {
        parts.push(format!("one task: {}", text.task));
    }
    if text.simulated {
        parts.push("its waiting is simulated".to_owned());
    }
    parts.join(" · ")
}

fn parameters(html: &mut Html, group: &Group<'_>) {
    if group.parameters.is_empty() && group.input.is_none() {
        return;
    }
    html.open("p", "eyebrow").text("With ");
    for (n, (name, value)) in group.parameters.iter().enumerate() {
        html.text(if n == 0 { "" } else { ", " });
        html.raw("<code>").text(format_args!("{name}={}", redact(value))).raw("</code>");
    }
    if let Some(input) = group.input {
        html.text(" on input ").raw("<code>").text(input).raw("</code>");
    }
    html.close("p");
}

fn bound(html: &mut Html, group: &Group<'_>) {
    let Some(at) = group.winner.and_then(|at| group.cells[at].bound) else {
        return;
    };
    let share = manyhands_record::format::percent(at.fraction);
    let floor = manyhands_record::format::duration(at.bound.floor_ns as f64);
    let reason = redact(&at.bound.reason);
    if at.broken {
        let text = format!(
            "A sample was faster than the bound of {floor} ({reason}) allows: one of the two is wrong."
        );
        html.element("p", "bad", text);
    } else {
        let near =
            if at.near { "so the bound explains its speed" } else { "so there is room above it" };
        let text = format!(
            "No executor can take less than {floor} here: {reason}. The fastest is at {share} of that limit, {near}."
        );
        html.element("p", "", text);
    }
}

/// `metric, n, interval, baseline`, as far as they are known.
fn sub(group: &Group<'_>, metric: &str, interval: bool, baseline: bool) -> String {
    let mut parts = vec![metric.to_owned()];
    parts.extend(view::launches(group));
    if interval {
        let drawn = group.cells.iter().any(|c| c.time.is_some_and(|t| t.interval.is_some()));
        parts.push(
            if drawn { "95 % intervals" } else { "too few launches for intervals" }.to_owned(),
        );
    }
    if baseline {
        parts.extend(view::baseline(group).map(|text| format!("baseline: {text}")));
    }
    parts.join(" · ")
}

fn times(html: &mut Html, group: &Group<'_>, (rows, cells): (&[Row], &[usize]), id: &str) {
    let read = if time::is_log(rows) {
        "A row is an executor with a number of workers, a mark is the time it took: further left is faster, \
         and each step of the axis multiplies. The whisker is the 95 % interval; a hatched row has no time, for the reason beside it."
    } else {
        "A row is an executor with a number of workers, its bar the time it took: shorter is faster. \
         The whisker at its end is the 95 % interval; a hatched row has no time, for the reason beside it."
    };
    let frame = Frame {
        id: format!("{id}-time"),
        title: view::time_title(group),
        sub: sub(group, "Wall time of one run of the work", true, false),
        read,
        doubt: view::time_doubt(group),
    };
    frame.write(html, &time::draw(rows), |html| tables::times(html, group, rows, cells));
}

fn speedups(
    html: &mut Html,
    record: &Record,
    group: &Group<'_>,
    (rows, cells): (&[Row], &[usize]),
    looks: &Looks,
    id: &str,
) {
    let ideal = view::ideal(group, record);
    let fits = view::fits(group, record, looks);
    let Some(figure) = speedup::draw(rows, &ideal, &fits) else {
        return;
    };
    let frame = Frame {
        id: format!("{id}-speedup"),
        title: view::speedup_title(group),
        sub: sub(
            group,
            &format!(
                "Time of {} divided by the executor's, paired by round",
                group.baseline_name()
            ),
            true,
            true,
        ),
        read: speedup_read(&fits),
        doubt: view::speedup_doubt(record, group, &ideal),
    };
    frame.write(html, &figure, |html| tables::speedups(html, group, rows, cells));
}

/// How to read the chart of speed-ups, as far as laws are drawn in it.
fn speedup_read(fits: &[FitLine]) -> &'static str {
    if fits.is_empty() {
        "Higher is faster; 2x is half the time. A line that follows the dashed one gets all that \
         its workers could give; a line that bends away pays for handing out work, for sharing, or for a limit that all run into."
    } else if fits.iter().all(|fit| fit.beyond.is_empty()) {
        "Higher is faster; 2x is half the time. A line that bends away from the ideal one pays for handing \
         out work, for sharing, or for a limit that all run into. The thin lines are fitted laws."
    } else {
        "Higher is faster; 2x is half the time. A line that bends away from the ideal one pays for handing \
         out work, for sharing, or for a limit that all run into. The thin lines are fitted laws; dashed, beyond \
         the last point, they are an extrapolation: what would be if nothing else came in the way."
    }
}

fn memories(html: &mut Html, group: &Group<'_>, rows: &[Row], (cells, id): (&[usize], &str)) {
    if group.cells.iter().all(|cell| cell.memory_peak.is_none()) {
        html.element("p", "muted small", "No launch of this workload watched its memory.");
        return;
    }
    let split = rows.iter().any(|row| row.memory.as_ref().is_ok_and(|m| m.program.is_some()));
    let frame = Frame {
        id: format!("{id}-memory"),
        title: view::memory_title(group),
        sub: "Peak memory of the process tree (PSS), in a launch of its own".to_owned(),
        read: if split {
            "From pale to full: the program itself, its input, and what running added. The strip below is \
             black for pages that one process has for itself and hollow for those that several share; \
             shared pages are counted once."
        } else {
            "The pale part was there before the executor started, the input included; the full part is what \
             running added. Processes that share memory are charged their share only."
        },
        doubt: view::memory_doubt(group),
    };
    frame.write(html, &memory::draw(rows), |html| tables::memories(html, group, rows, cells));
    scaling::memory_per_worker(html, group);
}
