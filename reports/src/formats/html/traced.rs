//! What traced launches show: where the time went, how long tasks took, what each lane did.

use manyhands_record::format::{ABSENT, count, duration, ratio};
use manyhands_record::models::traced::{self, Part, Traced};
use manyhands_record::{Group, Histogram, Shares};

use super::frame::Frame;
use super::tables;
use crate::Traces;
use crate::charts::{self, Row, lanes};
use crate::escape::Html;
use crate::view::{self, Looks};

/// A traced cell.
struct Cell<'a> {
    row: Row,
    at: usize,
    traced: Traced<'a>,
}

/// Everything about a group's traced cells; nothing where there are none.
pub(super) fn section(
    html: &mut Html,
    group: &Group<'_>,
    looks: &Looks,
    traces: &Traces,
    id: &str,
) {
    let cells: Vec<Cell<'_>> = view::rows(group, looks)
        .into_iter()
        .filter_map(|(row, at)| Some(Cell { row, at, traced: traced::of_cell(&group.cells[at])? }))
        .collect();
    if cells.is_empty() {
        return;
    }
    where_it_went(html, group, &cells, id);
    latency(html, &cells);
    timelines(html, group, &cells, traces, id);
}

fn where_it_went(html: &mut Html, group: &Group<'_>, cells: &[Cell<'_>], id: &str) {
    let rows: Vec<Row> = cells.iter().map(|cell| cell.row.clone()).collect();
    let shares: Vec<Shares> = cells.iter().map(|cell| cell.traced.trace.shares).collect();
    let frame = Frame {
        id: format!("{id}-shares"),
        title: title(group, cells),
        sub: "One traced sample of each cell · the mean over its lanes · the parts and the residual add up to its wall time".to_owned(),
        read: "A lane is a place for one task at a time: a worker. Computing is inside tasks on a core, waiting inside \
               tasks off it. What is left lies between tasks (start-up and dispatch), after a lane's last task while \
               others still ran (imbalance), or had no task at all; the residual is what is in none of them.",
        doubt: doubt(cells),
    };
    let figure = charts::shares::draw(&rows, &shares);
    frame.write(html, &figure, |html| shares_table(html, group, &rows, cells));
}

/// Where most of the time went, in the fastest cell if it was traced.
fn title(group: &Group<'_>, cells: &[Cell<'_>]) -> String {
    let winner = cells.iter().find(|cell| group.winner == Some(cell.at));
    let Some(cell) = winner.or(cells.first()) else {
        return String::new();
    };
    let shares = &cell.traced.trace.shares;
    let most = Part::ALL.iter().max_by_key(|part| part.ns(shares)).map_or("", |part| part.name());
    let ns = Part::ALL.iter().map(|part| part.ns(shares)).max().unwrap_or(0);
    let share = ns as f64 / shares.wall_ns.max(1) as f64;
    format!("{} spent {:.0} % of its time {}", cell.row.label(), share * 100.0, verb(most))
}

/// A part as the end of a sentence.
fn verb(part: &str) -> &str {
    match part {
        "start-up and dispatch" => "on start-up and dispatch",
        "imbalance" => "waiting for other lanes",
        "no task" => "without a task",
        "residual" => "outside of all that was traced",
        other => other,
    }
}

fn doubt(cells: &[Cell<'_>]) -> String {
    let costs = cells.iter().filter_map(|cell| cell.traced.cost);
    let cost = costs.fold(0.0, f64::max);
    let mut doubts = Vec::new();
    if cost > 1.05 {
        doubts.push(format!(
            "Tracing made a cell take up to {} as long: small parts of it may be the tracing itself.",
            ratio(cost)
        ));
    }
    let residual = |cell: &Cell<'_>| {
        let shares = &cell.traced.trace.shares;
        shares.residual_ns.unsigned_abs() as f64 / shares.wall_ns.max(1) as f64
    };
    if cells.iter().map(residual).fold(0.0, f64::max) > 0.05 {
        doubts.push("A residual above 5 % says that the parts do not explain the time.".to_owned());
    }
    if doubts.is_empty() {
        doubts.push("It is one sample: a pause of the machine in it counts in full.".to_owned());
    }
    doubts.join(" ")
}

fn shares_table(html: &mut Html, group: &Group<'_>, rows: &[Row], cells: &[Cell<'_>]) {
    let columns: Vec<(&str, bool)> = [("wall", true), ("lanes", true)]
        .into_iter()
        .chain(Part::ALL.map(|part| (part.name(), true)))
        .chain([("cost of tracing", true)])
        .collect();
    let caption = format!(
        "{}: where the time of one traced sample went. Cost of tracing: its wall time divided by the cell's time without",
        group.label
    );
    tables::table(html, &caption, &columns, rows, |html, n, _| {
        let traced = &cells[n].traced;
        let shares = &traced.trace.shares;
        tables::number(html, Some(duration(shares.wall_ns as f64)));
        tables::number(html, Some(shares.lanes.to_string()));
        for part in Part::ALL {
            tables::number(html, Some(charts::shares::signed(part.ns(shares))));
        }
        tables::number(html, traced.cost.map(ratio));
    });
}

/// How long tasks took and had waited, by percentiles.
fn latency(html: &mut Html, cells: &[Cell<'_>]) {
    if cells.iter().all(|cell| cell.traced.trace.latency.count() == 0) {
        return;
    }
    let open = cells.iter().any(|cell| cell.traced.open_loop);
    html.element("h3", "table", "How long single tasks took");
    let text = if open {
        "Open loop: tasks fall due at a rate of their own, and a task's time counts from when it was due, so a queue \
         counts in full."
    } else {
        "Closed loop: the next task starts when a worker is free, so nothing queues up that was not handed out. These \
         are times at full throughput, not those of requests that come when they like."
    };
    html.element("p", "", text);
    let rows: Vec<Row> = cells.iter().map(|cell| cell.row.clone()).collect();
    let columns = [
        ("tasks", true),
        ("half within", true),
        ("90 %", true),
        ("99 %", true),
        ("99.9 %", true),
        ("longest", true),
        ("queued: half within", true),
        ("99 %", true),
    ];
    let caption = "Of one traced sample, in buckets of three digits. A percentile with less than one task beyond it is absent.";
    tables::table(html, caption, &columns, &rows, |html, n, _| {
        let trace = cells[n].traced.trace;
        let shown = |ns: Option<u64>| Some(ns.map_or(ABSENT.to_owned(), |ns| duration(ns as f64)));
        let at = |histogram: &Histogram, q: f64| shown(traced::percentile(histogram, q));
        tables::number(html, Some(count(trace.tasks as f64)));
        for q in [0.5, 0.9, 0.99, 0.999] {
            tables::number(html, at(&trace.latency, q));
        }
        tables::number(html, shown(trace.latency.quantile(1.0)));
        tables::number(html, at(&trace.queue, 0.5));
        tables::number(html, at(&trace.queue, 0.99));
    });
}

/// The timelines of a few cells, those whose events are there.
fn timelines(html: &mut Html, group: &Group<'_>, cells: &[Cell<'_>], traces: &Traces, id: &str) {
    let drawn: Vec<(&Cell<'_>, &Vec<_>)> = view::timelines(group)
        .into_iter()
        .filter_map(|at| cells.iter().find(|cell| cell.at == at))
        .filter_map(|cell| Some((cell, traces.get(&cell.traced.sequence)?)))
        .collect();
    for (n, (cell, events)) in drawn.iter().enumerate() {
        let trace = cell.traced.trace;
        let Some(figure) = lanes::draw(events, trace.shares.wall_ns, cell.row.series) else {
            continue;
        };
        let mut doubt = lanes::left_out(events, trace.tasks);
        if n == 0 && cells.len() > drawn.len() {
            let text = format!(
                " {} of {} traced cells are drawn; the traces beside the record have the others.",
                drawn.len(),
                cells.len()
            );
            doubt.push_str(&text);
        }
        if doubt.is_empty() {
            doubt.push_str("Tracing itself takes time, between tasks.");
        }
        let frame = Frame {
            id: format!("{id}-lanes{n}"),
            title: format!(
                "{}: its lanes were busy {} of the time",
                cell.row.label(),
                lanes::range(events, trace.shares.wall_ns)
            ),
            sub: format!("One traced sample of {} tasks", count(trace.tasks as f64)),
            read: "A row is a lane, a rectangle a task from its start to its end; neighbours differ in shade so that their \
                   border is seen. White is time without a task. An upright line is the start of a phase.",
            doubt: doubt.trim().to_owned(),
        };
        frame.write_without_numbers(html, &figure);
    }
}
