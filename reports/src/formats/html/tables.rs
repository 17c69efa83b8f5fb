//! Tables: what the charts show, for those who want the numbers or cannot see the charts.

use manyhands_record::format::{ABSENT, bytes, duration, ratio};
use manyhands_record::{Card, CellSummary, Group};

use crate::charts::{Estimate, Gap, Row};
use crate::escape::{Html, redact};
use crate::{units, view};

/// A column: its heading and whether it holds numbers.
type Column = (&'static str, bool);

/// The columns that say which cell a row is.
const WHICH: [Column; 2] = [("executor", false), ("workers", true)];

/// A table whose rows are those of the charts. `fill` writes the cells behind executor and
/// workers.
fn table(
    html: &mut Html,
    caption: &str,
    columns: &[Column],
    rows: &[Row],
    fill: impl Fn(&mut Html, usize, &Row),
) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\"")
        .attribute("aria-label", caption)
        .raw(">\n<table>\n");
    html.element("caption", "", caption).raw("<thead><tr>");
    for (name, number) in WHICH.iter().chain(columns) {
        html.raw("<th scope=\"col\"").raw(if *number { " class=\"n\">" } else { ">" });
        html.text(name).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for (n, row) in rows.iter().enumerate() {
        let first = n == 0 || rows[n - 1].executor != row.executor;
        html.open("tr", if first { "first" } else { "" });
        html.raw("<th scope=\"row\" class=\"name\"><bdi>").text(&row.executor).raw("</bdi></th>");
        html.open("td", "n").text(row.workers);
        if let Some(chunk) = &row.chunk {
            html.text(" · chunk ").text(chunk);
        }
        html.raw("</td>");
        fill(html, n, row);
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table>\n</div>\n");
}

fn number(html: &mut Html, text: Option<String>) {
    html.open("td", "n").text(text.unwrap_or_else(|| ABSENT.to_owned())).raw("</td>");
}

/// A cell over all the columns that have no value.
fn missing(html: &mut Html, gap: &Gap, columns: usize) {
    html.raw("<td").attribute("colspan", columns).raw(">");
    html.text(format_args!("{}: {}", gap.kind, gap.reason)).raw("</td>");
}

fn words(html: &mut Html, text: &str) {
    html.open("td", "why").text(text).raw("</td>");
}

fn time_interval(time: Estimate) -> Option<String> {
    time.interval.map(|interval| units::time_interval(time.point, interval))
}

pub(super) fn times(html: &mut Html, group: &Group<'_>, rows: &[Row]) {
    let columns = [("time", true), ("95 % interval", true)];
    let caption = format!("{}: wall time of one run of the work", group.label);
    table(html, &caption, &columns, rows, |html, _, row| match &row.time {
        Ok(time) => {
            number(html, Some(duration(time.point)));
            number(html, time_interval(*time));
        }
        Err(gap) => missing(html, gap, 2),
    });
}

pub(super) fn speedups(html: &mut Html, group: &Group<'_>, rows: &[Row]) {
    let columns = [("speed-up", true), ("95 % interval", true)];
    let caption =
        format!("{}: time of {} divided by the executor's", group.label, group.baseline_name());
    table(html, &caption, &columns, rows, |html, _, row| {
        number(html, row.speedup.map(|found| ratio(found.point)));
        number(html, row.speedup.and_then(|found| found.interval).map(units::range));
    });
}

pub(super) fn memories(html: &mut Html, group: &Group<'_>, rows: &[Row]) {
    let columns = [("peak", true), ("before the start", true)];
    let caption = format!("{}: peak memory of the process tree (PSS)", group.label);
    table(html, &caption, &columns, rows, |html, _, row| match &row.memory {
        Ok(memory) => {
            number(html, Some(bytes(memory.peak)));
            number(html, memory.before.map(bytes));
        }
        Err(gap) => missing(html, gap, 2),
    });
}

/// Everything about every cell; `cells` says which of the group's each row is.
pub(super) fn cells(html: &mut Html, group: &Group<'_>, rows: &[Row], cells: &[usize]) {
    let columns = [
        ("time", true),
        ("95 % interval", true),
        ("speed-up", true),
        ("verdict", false),
        ("CPU", true),
        ("start-up", true),
        ("memory", true),
        ("remarks", false),
    ];
    let caption = format!(
        "Times are of one run of the work. Speed-up and verdict compare with {}, the verdict corrected for the number of comparisons; memory is the peak.",
        group.baseline_name()
    );
    table(html, &caption, &columns, rows, |html, n, row| {
        let cell = &group.cells[cells[n]];
        if let Err(gap) = &row.time {
            return missing(html, gap, columns.len());
        }
        let time = row.time.as_ref().ok().copied();
        number(html, time.map(|time| duration(time.point)));
        number(html, time.and_then(time_interval));
        number(html, row.speedup.map(|found| ratio(found.point)));
        html.element("td", "", cell.speedup.map_or(ABSENT, |found| view::verdict(found.verdict)));
        number(html, cell.cpu_ns.map(duration));
        number(html, cell.startup_ns.map(duration));
        number(html, cell.memory_peak.map(bytes));
        remarks(html, group, cells[n]);
    });
}

fn remarks(html: &mut Html, group: &Group<'_>, at: usize) {
    let cell = &group.cells[at];
    let mut remarks: Vec<&str> = Vec::new();
    if group.winner == Some(at) {
        remarks.push("fastest");
    } else if group.ties.contains(&at) {
        remarks.push("level with the fastest");
    }
    if cell.time.is_some_and(|time| time.cold) {
        remarks.push("only cold samples");
    }
    if cell.bound.is_some_and(|bound| bound.near) {
        remarks.push("at its bound");
    }
    words(html, &remarks.join("; "));
}

/// The fairness cards.
pub(super) fn cards(html: &mut Html, group: &Group<'_>, rows: &[Row], cells: &[usize]) {
    let columns = [
        ("what ran", false),
        ("library", false),
        ("processes", true),
        ("threads", true),
        ("tasks", true),
        ("chunk", true),
        ("transport", false),
        ("notes", false),
    ];
    html.raw("<details>\n<summary>What each cell really used (fairness cards)</summary>\n");
    let caption = format!("{}: fairness cards", group.label);
    table(html, &caption, &columns, rows, |html, n, _| match card(&group.cells[cells[n]]) {
        Some(card) => self::card_row(html, card),
        None => {
            html.raw("<td colspan=\"8\">It failed before it was ready.</td>");
        }
    });
    html.close("details");
}

fn card<'a>(cell: &CellSummary<'a>) -> Option<&'a Card> {
    cell.cell.launches.iter().find_map(|launch| launch.card.as_ref())
}

fn card_row(html: &mut Html, card: &Card) {
    words(html, &redact(&card.construct));
    words(html, &redact(&card.library));
    number(html, Some(card.processes.to_string()));
    number(html, Some(card.threads.to_string()));
    number(html, Some(card.tasks.to_string()));
    number(html, Some(card.chunk.to_string()));
    words(html, &redact(&card.transport));
    let notes: Vec<String> =
        card.notes.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    words(html, &redact(&notes.join("; ")));
}
