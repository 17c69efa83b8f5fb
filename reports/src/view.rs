//! From groups of cells, with their verdicts, to what charts and tables show.

use std::collections::HashMap;

use manyhands_record::format::{bytes, duration, percent, ratio, ratio_within};
use manyhands_record::models::ceiling::{self, Limit};
use manyhands_record::models::per_worker::Split;
use manyhands_record::models::{self, Fit, traced};
use manyhands_record::verdict::BASELINE;
use manyhands_record::{
    CellId, CellSummary, Chunk, Failure, FailureKind, Group, Mode, Ratio, Record, Status, Unranked,
    Verdict, aa, sentence,
};

use crate::charts::speedup::{FitLine, Ideal};
use crate::charts::theme::{self, Series};
use crate::charts::{Estimate, Gap, Peak, Row};
use crate::escape::redact;

/// How each executor looks.
pub(crate) type Looks = HashMap<String, Series>;

/// How each executor of a record looks, the same in every chart.
pub(crate) fn looks(record: &Record) -> Looks {
    let mut names: Vec<&str> = record.header.executors.iter().map(|e| e.name.as_str()).collect();
    // A record made by hand may have cells of executors that its header does not list.
    for cell in &record.cells {
        if !names.contains(&cell.id.executor.as_str()) {
            names.push(&cell.id.executor);
        }
    }
    let series = theme::series(names.iter().copied());
    names.into_iter().map(str::to_owned).zip(series).collect()
}

/// The rows of a group: executors in the order of the plan, each with its workers ascending.
/// Whether a cell belongs to which row, the second half says: an index into the group's cells.
pub(crate) fn rows(group: &Group<'_>, looks: &Looks) -> Vec<(Row, usize)> {
    let mut order: Vec<&str> = Vec::new();
    for cell in &group.cells {
        if !order.contains(&cell.cell.id.executor.as_str()) {
            order.push(&cell.cell.id.executor);
        }
    }
    let mut rows: Vec<(Row, usize)> =
        group.cells.iter().enumerate().map(|(n, cell)| (row(cell, looks), n)).collect();
    rows.sort_by_key(|(row, _)| (order.iter().position(|name| *name == row.executor), row.workers));
    rows
}

fn row(cell: &CellSummary<'_>, looks: &Looks) -> Row {
    let id = &cell.cell.id;
    Row {
        executor: id.executor.clone(),
        workers: id.workers,
        chunk: match id.chunk {
            Chunk::Auto => None,
            Chunk::Tasks(tasks) => Some(tasks.to_string()),
        },
        mark: mark(id),
        series: looks[&id.executor],
        time: time(cell),
        speedup: cell.speedup.map(estimate),
        memory: memory(cell),
    }
}

/// `500 per second`, `A`.
fn mark(id: &CellId) -> Option<String> {
    let rate = id.rate.map(|rate| format!("{rate} per second"));
    let marks: Vec<String> = rate.into_iter().chain(id.label.clone()).collect();
    (!marks.is_empty()).then(|| marks.join(" "))
}

fn estimate(ratio: Ratio) -> Estimate {
    Estimate { point: ratio.estimate, interval: ratio.interval }
}

fn time(cell: &CellSummary<'_>) -> Result<Estimate, Gap> {
    if let Some(failure) = cell.failure {
        return Err(gap(failure));
    }
    match cell.time {
        Some(time) => Ok(Estimate { point: time.ns, interval: time.interval }),
        None => Err(Gap {
            kind: "not measured".to_owned(),
            reason: "the run ended before its first launch did".to_owned(),
        }),
    }
}

fn memory(cell: &CellSummary<'_>) -> Result<Peak, Gap> {
    if let Some(failure) = cell.failure {
        return Err(gap(failure));
    }
    let absent = |launch: &manyhands_record::Launch| launch.memory.as_ref()?.absent.clone();
    match cell.memory_peak {
        Some(peak) => {
            let Split { program, private, .. } = Split::of(cell.cell);
            Ok(Peak { peak, before: cell.memory_before, program, private })
        }
        None => Err(Gap {
            kind: "not measured".to_owned(),
            reason: cell
                .cell
                .sound_launches(Mode::Memory)
                .find_map(absent)
                .unwrap_or_else(|| "no launch watched its memory".to_owned()),
        }),
    }
}

/// A failure as a chart shows it.
pub(crate) fn gap(failure: &Failure) -> Gap {
    let kind = match failure.kind {
        FailureKind::Unsupported => "unsupported".to_owned(),
        kind => format!("failed, {kind}"),
    };
    Gap { kind, reason: redact(&failure.reason) }
}

/// What the speed-ups of a group are compared with.
pub(crate) fn ideal(group: &Group<'_>, record: &Record) -> Ideal {
    let computes = group.text.is_some_and(|text| text.kind == "cpu");
    // Where the cores are the limit, the ideal line is flat already.
    let ceiling = ceiling::of_group(group, record)
        .filter(|ceiling| !matches!(ceiling.limit, Limit::Cores { .. } | Limit::Quota { .. }));
    Ideal {
        baseline: baseline_mark(group),
        cores: computes.then_some(record.header.machine.usable_cores.max(1)),
        ceiling: ceiling.map(|ceiling| (ceiling.speedup, redact(&ceiling.limit.to_string()))),
    }
}

/// The laws that were fitted to a group's executors, as lines for the chart of speed-ups; none
/// where there is no baseline.
pub(crate) fn fits(group: &Group<'_>, record: &Record, looks: &Looks) -> Vec<FitLine> {
    let Some(baseline) = group.baseline.and_then(|at| group.cells[at].time) else {
        return Vec::new();
    };
    let all = models::scaling(group, record);
    let lines = all.iter().filter_map(|scaling| {
        let fit = scaling.best().ok()?;
        let (least, most) = (f64::from(*scaling.used.first()?), f64::from(fit.most));
        let title = format!("{}, fitted: {}", scaling.name, fit.law);
        Some(FitLine {
            series: looks[scaling.executor],
            title,
            inside: curve(fit, baseline.ns, least, most),
            beyond: if fit.farthest > most {
                curve(fit, baseline.ns, most, fit.farthest)
            } else {
                Vec::new()
            },
        })
    });
    lines.collect()
}

/// Points of a fitted law as speed-ups, evenly spaced on a logarithmic axis.
fn curve(fit: &Fit, baseline_ns: f64, from: f64, to: f64) -> Vec<(f64, f64)> {
    const POINTS: u32 = 24;
    (0..=POINTS)
        .map(|n| from * (to / from).powf(f64::from(n) / f64::from(POINTS)))
        .map(|workers| workers.min(to))
        .filter_map(|workers| Some((workers, baseline_ns / fit.predict(workers)?.ns.estimate)))
        .collect()
}

/// Timelines of a workload that a page holds: each may take 60 kB.
pub(crate) const MOST_TIMELINES: usize = 4;

/// The traced cells of a group whose timelines are drawn, as far as their events are there: the
/// fastest first, then those with as many workers, then the others.
pub(crate) fn timelines(group: &Group<'_>) -> Vec<usize> {
    let winner = group.winner.map(|at| group.cells[at].cell.id.workers);
    let traced = |at: &usize| traced::of_cell(&group.cells[*at]).is_some();
    let mut cells: Vec<usize> = (0..group.cells.len()).filter(traced).collect();
    cells.sort_by_key(|&at| {
        (group.winner != Some(at), winner != Some(group.cells[at].cell.id.workers))
    });
    cells.truncate(MOST_TIMELINES);
    cells
}

/// A cell's name in a sentence: `rayon with 2 workers`.
fn name(cell: &CellSummary<'_>) -> String {
    match cell.label.strip_prefix(&format!("{}, ", cell.cell.id.executor)) {
        Some(rest) => format!("{} with {rest}", cell.cell.id.executor),
        None => cell.label.clone(),
    }
}

/// What the chart of times found.
pub(crate) fn time_title(group: &Group<'_>) -> String {
    let Some(winner) = group.winner.map(|at| &group.cells[at]) else {
        let timed = group.cells.iter().any(|cell| cell.time.is_some());
        let title = match group.unranked().filter(|_| timed) {
            Some(Unranked::Experiment) => "What the experiment took; its result is what it counts",
            Some(Unranked::Rate) => "The rate of the tasks sets the time: compare the latencies",
            None => "Nothing could be timed",
        };
        return title.to_owned();
    };
    let name = name(winner);
    if group.cells.iter().filter(|cell| cell.time.is_some()).count() == 1 {
        return format!("Only {name} could be timed");
    }
    if !group.undecided().is_empty() {
        return format!("{name} had the shortest time, but there are too few rounds to be sure");
    }
    match group.ties.as_slice() {
        [] => format!("{name} was fastest"),
        [one] => format!("{name} was fastest, level with {}", self::name(&group.cells[*one])),
        ties => format!("{name} was fastest, level with {} others", ties.len()),
    }
}

/// What the chart of speed-ups found.
pub(crate) fn speedup_title(group: &Group<'_>) -> String {
    let compared = group.cells.iter().filter_map(|cell| Some((cell, cell.speedup?)));
    let best = compared.max_by(|a, b| a.1.estimate.total_cmp(&b.1.estimate));
    let Some((cell, speedup)) = best else {
        return format!("There is nothing to compare with {}", group.baseline_name());
    };
    let (name, times, baseline) = (name(cell), ratio(speedup.estimate), group.baseline_name());
    match speedup.verdict {
        Verdict::Faster => format!("{name} came to {times} the speed of {baseline}"),
        Verdict::Slower => format!("Nothing was as fast as {baseline}"),
        Verdict::Tie => format!("Nothing was faster than {baseline}"),
        Verdict::Inconclusive => {
            format!("{name} came to {times}, but there are too few rounds to be sure")
        }
    }
}

/// What the chart of memory found.
pub(crate) fn memory_title(group: &Group<'_>) -> String {
    let measured = || group.cells.iter().filter_map(|cell| Some((cell, cell.memory_peak?)));
    let most = measured().max_by(|a, b| a.1.total_cmp(&b.1));
    let least = measured().min_by(|a, b| a.1.total_cmp(&b.1));
    match most.zip(least) {
        None => "Memory was not measured".to_owned(),
        Some(((most, high), (least, low))) if high > low => {
            format!("{} needed {}, {} {}", name(most), bytes(high), name(least), bytes(low))
        }
        Some(((_, high), _)) => format!("All needed {}", bytes(high)),
    }
}

/// The baseline in a word or two, where there is little room; in full it is
/// [`Group::baseline_name`].
pub(crate) fn baseline_mark(group: &Group<'_>) -> &'static str {
    match group.baseline_name() {
        BASELINE => BASELINE,
        own if own.ends_with("its own") => "1 worker",
        _ => "the first",
    }
}

/// The baseline in words: `sequential, 41.2 ms`.
pub(crate) fn baseline(group: &Group<'_>) -> Option<String> {
    let cell = &group.cells[group.baseline?];
    Some(format!("{}, {}", cell.label, duration(cell.time?.ns)))
}

/// How many launches a time rests on: `10 launches each`, `6 to 10 launches each`.
pub(crate) fn launches(group: &Group<'_>) -> Option<String> {
    let counts = || group.cells.iter().filter_map(|cell| Some(cell.time?.launches));
    let (low, high) = (counts().min()?, counts().max()?);
    Some(match (low, high) {
        (1, 1) => "1 launch each".to_owned(),
        (low, high) if low == high => format!("{high} launches each"),
        (low, high) => format!("{low} to {high} launches each"),
    })
}

/// A word for a verdict on a cell against the baseline.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::Tie => "tie",
        Verdict::Inconclusive => "too few rounds",
    }
}

/// A comparison in a column: the ratio where it is a difference, else what would have been one.
pub(crate) fn against(found: Ratio) -> String {
    match found.verdict {
        Verdict::Faster | Verdict::Slower => ratio_within(found.estimate, found.interval),
        Verdict::Tie => tie(found),
        Verdict::Inconclusive => format!("{}, unsure", ratio(found.estimate)),
    }
}

/// `tie; 3.1 % would show`.
pub(crate) fn tie(found: Ratio) -> String {
    match found.detectable {
        Some(detectable) => format!("tie; {} would show", percent(detectable - 1.0)),
        None => "tie".to_owned(),
    }
}

/// What is said of a whole run below its tables: what stopped it, how much stood out, and which
/// differences it could not tell from chance.
pub(crate) fn closing(record: &Record, groups: &[Group<'_>]) -> Vec<String> {
    let cells = groups.iter().flat_map(|group| &group.cells);
    // In a run of one workload, that workload's own sentence has said it.
    let machine = sentence::aa(record).filter(|_| groups.len() > 1);
    let ended =
        || record.header.granularity.is_some().then(|| format!("rounds: {}", rounds(record)));
    let ended = sentence::stopping(record).or_else(ended);
    let floor = groups.first().and_then(|group| group.floor);
    let floor =
        floor.map(|f| format!("noise floor {}: smaller differences are ties", percent(f - 1.0)));
    let said = [machine, ended, sentence::outliers(cells), floor];
    said.into_iter().flatten().map(|text| as_sentence(&text)).collect()
}

/// What ended the run.
pub(crate) fn rounds(record: &Record) -> String {
    if let Some(stopping) = sentence::stopping(record) {
        return stopping;
    }
    let planned = record.header.rounds;
    match record.status {
        Status::Complete => format!("{planned}, all done"),
        Status::Precise { rounds } => format!("{rounds}: every interval is narrow enough"),
        Status::OutOfTime { rounds } => format!("{rounds} of {planned}: the time was up"),
        Status::Interrupted { rounds } => format!("{rounds} of {planned}: interrupted"),
    }
}

/// With a capital letter and one full stop.
fn as_sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// `1 core`, `8 cores`.
pub(crate) fn cores(cores: u32) -> String {
    format!("{cores} core{}", if cores == 1 { "" } else { "s" })
}

/// An RFC 3339 time for people: `2026-01-31 12:00 UTC`. What is none is shown as it is.
pub(crate) fn date(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(10..11), rfc3339.get(11..16), rfc3339.ends_with('Z')) {
        (Some(day), Some("T"), Some(minute), true) => format!("{day} {minute} UTC"),
        _ => rfc3339.to_owned(),
    }
}

/// Where and when: `On Intel Xeon, 2 usable cores, 2026-01-31 12:00 UTC.`
pub(crate) fn setting(record: &Record) -> String {
    let machine = &record.header.machine;
    let processor = machine.processor.clone().unwrap_or_else(|| machine.architecture.clone());
    format!(
        "{} cells, measured on {processor} with {} to use, {}.",
        record.cells.len(),
        cores(machine.usable_cores),
        date(&record.header.started)
    )
}

/// The whole report in a sentence: what it claims, or what a run of equal cells says of its
/// machine.
pub(crate) fn headline(record: &Record, groups: &[Group<'_>]) -> String {
    if !record.header.aa {
        return claim(groups);
    }
    let found = aa::of_groups(groups);
    let claims = format!("{} of {} pairs of equal cells", found.claimed, found.pairs.len());
    match found.detectable {
        Some(detectable) => format!(
            "{claims} were claimed to differ; a true difference of {} would be seen",
            percent(detectable - 1.0)
        ),
        None => "Too few rounds to say what this machine can tell".to_owned(),
    }
}

/// The whole report in a sentence: where concurrency paid, by how much, and where it did not.
/// Who won is left to the workloads: several often tie, and the gain is theirs together.
fn claim(groups: &[Group<'_>]) -> String {
    let gains: Vec<(&str, f64)> =
        groups.iter().filter_map(|g| Some((g.label.as_str(), gain(g)?))).collect();
    let ranked: Vec<&Group<'_>> = groups.iter().filter(|g| g.unranked().is_none()).collect();
    let unranked = |why: Unranked| -> Vec<&str> {
        let found = groups.iter().filter(|group| group.unranked() == Some(why));
        found.map(|group| group.label.as_str()).collect()
    };
    let without = |told: bool| -> Vec<&str> {
        let rest = ranked.iter().filter(|group| gain(group).is_none() && is_told(group) == told);
        rest.map(|group| group.label.as_str()).collect()
    };
    let mut parts = Vec::new();
    // Commands are a run of their own: there are never both baselines in one record.
    let baseline = groups.first().map_or(BASELINE, Group::baseline_name);
    parts.extend(gained(&gains, ranked.len(), baseline));
    if let Some(place) = places(&without(true)) {
        parts.push(format!("nothing beats {baseline} on {place}"));
    }
    if let Some(place) = places(&without(false)) {
        parts.push(format!("no verdict on {place}"));
    }
    parts.extend(
        places(&unranked(Unranked::Experiment)).map(|place| format!("experiments: {place}")),
    );
    parts.extend(
        places(&unranked(Unranked::Rate)).map(|place| format!("latency at a given rate: {place}")),
    );
    if parts.is_empty() {
        return "Nothing was measured".to_owned();
    }
    let mut claim = parts.join("; ");
    claim[..1].make_ascii_uppercase();
    claim
}

/// The best speed-up that is more than chance.
fn gain(group: &Group<'_>) -> Option<f64> {
    let speedups = group.cells.iter().filter_map(|cell| cell.speedup);
    let faster = speedups.filter(|speedup| speedup.verdict == Verdict::Faster);
    faster.map(|speedup| speedup.estimate).max_by(f64::total_cmp)
}

/// Whether every cell with a time could be compared with the sequential one.
fn is_told(group: &Group<'_>) -> bool {
    let others = (0..group.cells.len()).filter(|at| Some(*at) != group.baseline);
    let mut verdicts = others
        .map(|at| &group.cells[at])
        .filter(|cell| cell.time.is_some())
        .map(|cell| cell.speedup.map(|speedup| speedup.verdict))
        .peekable();
    verdicts.peek().is_some()
        && verdicts.all(|verdict| verdict.is_some_and(|v| v != Verdict::Inconclusive))
}

fn gained(gains: &[(&str, f64)], all: usize, baseline: &str) -> Option<String> {
    let (best, most) = gains.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    if gains.len() > 3 {
        return Some(format!(
            "faster than {baseline} on {} of {all} workloads, up to {} on {best}",
            gains.len(),
            ratio(*most)
        ));
    }
    let ((first, gain), rest) = gains.split_first()?;
    let rest: String =
        rest.iter().map(|(label, gain)| format!(", {} on {label}", ratio(*gain))).collect();
    Some(format!("up to {} as fast as {baseline} on {first}{rest}", ratio(*gain)))
}

/// Up to two names, or how many there are.
fn places(labels: &[&str]) -> Option<String> {
    match labels {
        [] => None,
        [one] => Some((*one).to_owned()),
        [one, two] => Some(format!("{one} and {two}")),
        more => Some(format!("{} workloads", more.len())),
    }
}

/// When to doubt the chart of times.
pub(crate) fn time_doubt(group: &Group<'_>) -> String {
    let timed = || group.cells.iter().filter_map(|cell| cell.time);
    let mut doubts = Vec::new();
    if timed().any(|time| time.interval.is_none()) {
        doubts.push("Where no whisker is drawn there were fewer than six launches, and nobody knows how far chance moved the number.");
    }
    if timed().any(|time| time.cold) {
        doubts.push("Some cells have only cold samples: first runs, with empty caches.");
    }
    if timed().any(|time| time.interval.is_some_and(|i| i.high / i.low > 1.2)) {
        doubts.push("Some intervals span more than 20 %: the machine was busy or the work varies; more rounds narrow them.");
    }
    if doubts.is_empty() {
        doubts.push("Starting the executor is not part of the time; for work that runs once, add the start-up in the table.");
    }
    doubts.join(" ")
}

/// When to doubt the chart of speed-ups.
pub(crate) fn speedup_doubt(record: &Record, group: &Group<'_>, ideal: &Ideal) -> String {
    let machine = &record.header.machine;
    let most = group.cells.iter().map(|cell| cell.cell.id.workers).max().unwrap_or(1);
    let mut doubts = Vec::new();
    if ideal.cores.is_some_and(|cores| most > cores) {
        doubts.push(format!(
            "Beyond {} more workers share the same cores; the ideal line is flat there.",
            cores(machine.usable_cores)
        ));
    }
    if machine.physical_cores.is_some_and(|physical| physical < machine.usable_cores) {
        doubts.push("Some of these cores are two halves of one: even perfect work stays below the ideal line there.".to_owned());
    }
    if doubts.is_empty() {
        doubts.push(format!("All of it rests on one baseline: if the time of {} is off, every point is off by as much.", group.baseline_name()));
    }
    doubts.join(" ")
}

/// When to doubt the chart of memory.
pub(crate) fn memory_doubt(group: &Group<'_>) -> String {
    match group.cells.iter().filter_map(|cell| cell.memory_gap_ns).max() {
        Some(gap) => format!(
            "Memory was read every now and then, at most {} apart: a shorter peak may have been missed.",
            duration(gap as f64)
        ),
        None => "Memory was read every now and then: a short peak may have been missed.".to_owned(),
    }
}
