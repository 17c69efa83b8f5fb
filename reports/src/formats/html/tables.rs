//! Tables: what the charts show, for those who want the numbers or cannot see the charts.

use std::collections::{BTreeMap, BTreeSet};

use manyhands_record::counters::{self, Processor};
use manyhands_record::format::{ABSENT, bytes, count, digits, duration, percent, ratio};
use manyhands_record::models::{self, per_worker::Split};
use manyhands_record::statistics::CellOutliers;
use manyhands_record::{Card, CellSummary, Group, Interval, Record, Verdict, sentence};

use crate::charts::{Estimate, Gap, Row};
use crate::escape::{Html, redact};
use crate::{units, view};

/// A column: its heading and whether it holds numbers.
type Column<'a> = (&'a str, bool);

/// A figure of something, absent where it is not known.
type Figure<T> = fn(&T) -> Option<f64>;

/// How a figure is written.
type Written = fn(f64) -> String;

/// The columns that say which cell a row is.
const WHICH: [Column<'static>; 2] = [("executor", false), ("workers", true)];

/// A table whose rows are those of the charts. `fill` writes the cells behind executor and
/// workers.
pub(super) fn table(
    html: &mut Html,
    caption: &str,
    columns: &[Column<'_>],
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
        if let Some(mark) = &row.mark {
            html.text(" · ").text(mark);
        }
        html.raw("</td>");
        fill(html, n, row);
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table>\n</div>\n");
}

pub(super) fn number(html: &mut Html, text: Option<String>) {
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

pub(super) fn times(html: &mut Html, group: &Group<'_>, rows: &[Row], cells: &[usize]) {
    let columns = [
        ("time", true),
        ("95 % interval", true),
        ("outliers", false),
        ("variance between launches", true),
    ];
    let caption = format!(
        "{}: wall time of one run of the work; outliers are kept; the rest of the variance lies \
         between the samples of a launch",
        group.label
    );
    table(html, &caption, &columns, rows, |html, n, row| match &row.time {
        Ok(time) => {
            let cell = &group.cells[cells[n]];
            number(html, Some(duration(time.point)));
            number(html, time_interval(*time));
            words(html, &outliers(cell));
            let between = cell.variance.and_then(|variance| variance.share_between());
            number(html, between.map(|share| format!("{:.0} %", 100.0 * share)));
        }
        Err(gap) => missing(html, gap, columns.len()),
    });
}

fn outliers(cell: &CellSummary<'_>) -> String {
    let some = |found: &CellOutliers| found.samples.count() + found.launches.count() > 0;
    let text = cell.outliers.filter(some).and_then(|_| sentence::outliers([cell]));
    let text =
        text.map(|text| text.trim_start_matches("outliers: ").replacen("; all are kept", "", 1));
    text.unwrap_or_else(|| "none".to_owned())
}

pub(super) fn speedups(html: &mut Html, group: &Group<'_>, rows: &[Row], cells: &[usize]) {
    let columns = [
        ("speed-up", true),
        ("95 % interval", true),
        ("efficiency", true),
        ("serial fraction", true),
        ("95 % interval", true),
    ];
    let caption = format!(
        "{}: time of {} divided by the executor's; efficiency is that by worker, the serial \
         fraction Karp and Flatt's: one that grows with the workers is overhead that grows",
        group.label,
        group.baseline_name()
    );
    table(html, &caption, &columns, rows, |html, n, row| {
        let strong = models::strong(&group.cells[cells[n]]);
        let serial = strong.and_then(|strong| strong.serial);
        number(html, row.speedup.map(|found| ratio(found.point)));
        number(html, row.speedup.and_then(|found| found.interval).map(units::range));
        number(html, strong.map(|strong| percent(strong.efficiency.estimate)));
        number(html, serial.map(|serial| percent(serial.estimate)));
        number(html, serial.and_then(|serial| serial.interval).map(percents));
    });
}

/// `9.9 % to 10.4 %`.
pub(super) fn percents(interval: Interval) -> String {
    format!("{} to {}", percent(interval.low), percent(interval.high))
}

pub(super) fn memories(html: &mut Html, group: &Group<'_>, rows: &[Row], cells: &[usize]) {
    let splits: Vec<Split> = cells.iter().map(|at| Split::of(group.cells[*at].cell)).collect();
    // A column that nobody fills is left out.
    let all: [(Column<'_>, Figure<Split>); 6] = [
        (("program", true), |split| split.program),
        (("input", true), |split| split.input),
        (("added by running", true), |split| split.added),
        (("private", true), |split| split.private),
        (("shared", true), |split| split.shared),
        (("kernel stacks (derived)", true), |split| split.kernel_stacks),
    ];
    let known: Vec<_> =
        all.into_iter().filter(|(_, of)| splits.iter().any(|split| of(split).is_some())).collect();
    let columns: Vec<Column<'_>> = [("peak", true), ("before the start", true)]
        .into_iter()
        .chain(known.iter().map(|(column, _)| *column))
        .collect();
    let caption = format!("{}: peak memory of the process tree (PSS)", group.label);
    table(html, &caption, &columns, rows, |html, n, row| match &row.memory {
        Ok(memory) => {
            number(html, Some(bytes(memory.peak)));
            number(html, memory.before.map(bytes));
            known.iter().for_each(|(_, of)| number(html, of(&splits[n]).map(bytes)));
        }
        Err(gap) => missing(html, gap, columns.len()),
    });
}

/// What the workload counts beside its answer, where it counts anything.
pub(super) fn counters(html: &mut Html, group: &Group<'_>, rows: &[Row], cells: &[usize]) {
    let found: Vec<BTreeMap<&str, f64>> =
        cells.iter().map(|at| counters::of_workload(group.cells[*at].cell)).collect();
    let names: BTreeSet<&str> =
        found.iter().flat_map(|counters| counters.keys().copied()).collect();
    if names.is_empty() {
        return;
    }
    html.element("h3", "table", "What the workload counts");
    let columns: Vec<(&str, bool)> = names.iter().map(|name| (*name, true)).collect();
    table(html, "Medians over the samples, beside the answer.", &columns, rows, |html, n, row| {
        match &row.time {
            Ok(_) => {
                for name in &names {
                    number(html, found[n].get(name).map(|value| digits(*value)));
                }
            }
            Err(gap) => missing(html, gap, columns.len()),
        }
    });
}

/// CPU time, switches, migrations and hardware counters, as far as they are known.
pub(super) fn processor(
    html: &mut Html,
    record: &Record,
    group: &Group<'_>,
    rows: &[Row],
    cells: &[usize],
) {
    let found: Vec<Processor> =
        cells.iter().map(|at| Processor::of(group.cells[*at].cell)).collect();
    let all: [(Column<'_>, Figure<Processor>, Written); 9] = [
        (("user", true), |p| p.user_ns, duration),
        (("kernel", true), |p| p.system_ns, duration),
        (("switches, own", true), |p| p.voluntary, count),
        (("switches, forced", true), |p| p.involuntary, count),
        (("migrations", true), |p| p.migrations, count),
        (("cycles", true), |p| p.cycles, count),
        (("instructions", true), |p| p.instructions, count),
        (("cache misses", true), |p| p.cache_misses, count),
        (("branch misses", true), |p| p.branch_misses, count),
    ];
    let known: Vec<_> =
        all.into_iter().filter(|(_, of, _)| found.iter().any(|p| of(p).is_some())).collect();
    if known.is_empty() {
        return;
    }
    let columns: Vec<Column<'_>> = known.iter().map(|(column, ..)| *column).collect();
    html.raw("<details>\n<summary>Processor time, context switches and counters</summary>\n");
    let caption = "Of all workers, for one run of the work; medians. Migrations and hardware counters are of \
                   runs of their own, which were not timed.";
    table(html, caption, &columns, rows, |html, n, row| match &row.time {
        Ok(_) => known.iter().for_each(|(_, of, text)| number(html, of(&found[n]).map(text))),
        Err(gap) => missing(html, gap, columns.len()),
    });
    if let Some(reason) = &record.header.machine.no_counters {
        let text =
            format!("Hardware counters are absent: {}.", redact(reason.trim_end_matches('.')));
        html.element("p", "small muted", text);
    }
    html.close("details");
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
        "Times are of one run of the work. Speed-up and verdict compare with {}, the verdict corrected for the number of comparisons; beside a tie stands the difference that would have shown in 80 of 100 such runs. Memory is the peak.",
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
        html.element("td", "", verdict(cell));
        number(html, cell.cpu_ns.map(duration));
        number(html, cell.startup_ns.map(duration));
        number(html, cell.memory_peak.map(bytes));
        remarks(html, group, cells[n]);
    });
}

/// The verdict on a cell against the baseline; beside a tie, what would have been seen.
fn verdict(cell: &CellSummary<'_>) -> String {
    match cell.speedup {
        None => ABSENT.to_owned(),
        Some(found) if found.verdict == Verdict::Tie => view::tie(found),
        Some(found) => view::verdict(found.verdict).to_owned(),
    }
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
