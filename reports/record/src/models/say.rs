//! Scaling, memory and traces in words: the lines that stand below a workload's table.

use std::collections::BTreeMap;

use super::traced::{self, Part};
use super::{Fit, Law, Scaling, ceiling, per_worker, share, weak};
use crate::counters;
use crate::format::{bytes, count, digits, duration, interval, percent, ratio, ratio_within};
use crate::sentence::short_name;
use crate::{CellSummary, Group, Record, Unranked};

/// The least numbers of workers for which a refusal is worth a line: whoever measures two of
/// them did not ask for a law.
const ASKED: usize = 3;

/// What a group's cells say beyond their times: a line for each series whose scaling or memory per
/// worker is known, and where the time of the fastest traced cell went. Lines are plain text, to
/// be escaped and wrapped.
pub fn lines(group: &Group<'_>, record: &Record) -> Vec<String> {
    let found: Vec<Scaling<'_>> = scaling(group, record)
        .into_iter()
        .filter(|scaling| scaling.used.len() + scaling.left_out.len() >= ASKED)
        .collect();
    let mut lines = counter_lines(group);
    let laws = scaling_lines(&found);
    let fitted = !laws.is_empty();
    lines.extend(laws);
    if fitted {
        lines.extend(ceiling_line(group, record));
    }
    lines.extend(per_worker::of_group(group).iter().filter_map(memory_line));
    match group.unranked() {
        Some(Unranked::Rate) => lines.extend(latency_lines(group)),
        _ => lines.extend(trace_line(group)),
    }
    lines
}

/// The series of a group of which it is worth a word that they follow a law, or why they do not.
/// Nobody expects one of an experiment, and none is sought where the rate sets the time.
pub fn scaling<'a>(group: &Group<'a>, record: &Record) -> Vec<Scaling<'a>> {
    let mut found = super::scaling(group, record);
    match group.unranked() {
        Some(Unranked::Rate) => found.clear(),
        Some(Unranked::Experiment) => found.retain(|scaling| scaling.best().is_ok()),
        None => {}
    }
    found
}

/// A line for each counter of the workload, with the medians of all cells.
fn counter_lines(group: &Group<'_>) -> Vec<String> {
    let timed = group.cells.iter().filter(|cell| cell.time.is_some());
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for cell in timed {
        for (name, value) in counters::of_workload(cell.cell) {
            let text = format!("{} {}", short_name(cell), counted(name).1(value));
            found.entry(name).or_default().push(text);
        }
    }
    let line = |(name, cells): (&str, Vec<String>)| {
        format!("Counted, {} (medians): {}.", counted(name).0, cells.join(", "))
    };
    found.into_iter().map(line).collect()
}

/// A counter in words, and how its values are written: its unit is in its name.
fn counted(name: &str) -> (String, fn(f64) -> String) {
    let words = |name: &str| name.replace('-', " ");
    if let Some(what) = name.strip_prefix("nanoseconds-") {
        return (format!("time {}", words(what)), duration);
    }
    match name.strip_suffix("-percent") {
        Some(what) => (words(what), |value| percent(value / 100.0)),
        None => (words(name), count),
    }
}

/// Tasks beyond a percentile below which it would rest on the luck of a few.
const BEYOND: f64 = 10.0;

/// In an open loop: how long the tasks of each traced cell took from when they were due.
fn latency_lines(group: &Group<'_>) -> Vec<String> {
    let cells = group.cells.iter().filter_map(|cell| Some((cell, traced::of_cell(cell)?)));
    let line = |(cell, found): (&CellSummary<'_>, traced::Traced<'_>)| {
        let latency = &found.trace.latency;
        let tasks = latency.count() as f64;
        let median = duration(traced::percentile(latency, 0.5)? as f64);
        let p99 = traced::percentile(latency, 0.99).filter(|_| tasks * 0.01 >= BEYOND);
        let p99 = p99.map(|ns| format!(", 99 % within {}", duration(ns as f64)));
        Some(format!(
            "{}, latency from when a task was due: half within {median}{} (of {} tasks).",
            short_name(cell),
            p99.unwrap_or_default(),
            count(tasks)
        ))
    };
    cells.filter(|(_, found)| found.open_loop).filter_map(line).collect()
}

/// A line for each series; one for all where all are refused for the same reason.
fn scaling_lines(found: &[Scaling<'_>]) -> Vec<String> {
    match common_refusal(found) {
        Some(reason) if found.len() > 1 => vec![format!("No scaling law is fitted: {reason}.")],
        _ => found.iter().map(scaling_line).collect(),
    }
}

/// Why nobody has a law, where it is the same for all.
pub fn common_refusal(found: &[Scaling<'_>]) -> Option<String> {
    let reason = |scaling: &Scaling<'_>| scaling.best().err().map(|refusal| refusal.to_string());
    let first = reason(found.first()?)?;
    found.iter().all(|scaling| reason(scaling).as_ref() == Some(&first)).then_some(first)
}

/// `threads scales by Amdahl's law with a serial fraction of 10.2 % [9.98 %, 10.5 %]; ...`.
pub fn scaling_line(scaling: &Scaling<'_>) -> String {
    match scaling.best() {
        Ok(fit) => format!("{} scales {}", scaling.name, law(fit)),
        Err(refusal) => format!("{} has no scaling law: {refusal}.", scaling.name),
    }
}

/// The law with its parameters, and the check.
fn law(fit: &Fit) -> String {
    let mut text = match (fit.law, fit.coherence) {
        (Law::Usl, Some(coherence)) => {
            let bounds = coherence.interval.map(|i| format!(" {}", interval(i)));
            format!(
                "by {} with a contention of {} and a coherence of {}{}",
                fit.law,
                share(fit.contention),
                digits(coherence.estimate),
                bounds.unwrap_or_default()
            )
        }
        _ => format!("by {} with a serial fraction of {}", fit.law, share(fit.contention)),
    };
    if let Some(peak) = fit.peak() {
        let beyond = if peak > f64::from(fit.most) { " (extrapolated)" } else { "" };
        text += &format!(", which is fastest with about {peak:.0} workers{beyond}");
    }
    let held = if fit.held_out.holds() { "holds" } else { "is off by little" };
    text + &format!("; fitted without its last point it {held}: {}.", fit.held_out)
}

/// What more workers would run into.
pub fn ceiling_line(group: &Group<'_>, record: &Record) -> Option<String> {
    let ceiling = ceiling::of_group(group, record)?;
    Some(format!("At most {}: {}.", ratio(ceiling.speedup), ceiling.limit))
}

/// `processes costs 7.50 MiB for each worker [7.41 MiB, 7.59 MiB], 7.20 MiB of it private, and
/// 9.00 MiB without any.`
pub fn memory_line(found: &per_worker::PerWorker) -> Option<String> {
    let line = found.peak.ok()?;
    let bounds = line.per_worker.interval;
    let bounds = bounds.map(|i| format!(" [{}, {}]", signed(i.low), signed(i.high)));
    let private = found.private.ok().map(|line| line.per_worker.estimate);
    let private = private.map(|size| format!(", {} of it private", signed(size)));
    let stacks = found.kernel_stacks.ok().map(|line| line.per_worker.estimate);
    let stacks = stacks.filter(|size| *size >= 1.0);
    let stacks = stacks.map(|size| format!(", and {} of kernel stack (derived)", bytes(size)));
    Some(format!(
        "{} takes {} of memory for each worker{}{}{}; {} without any.",
        found.name,
        signed(line.per_worker.estimate),
        bounds.unwrap_or_default(),
        private.unwrap_or_default(),
        stacks.unwrap_or_default(),
        signed(line.without.estimate)
    ))
}

/// Bytes that may be negative, as an end of an interval may.
pub fn signed(size: f64) -> String {
    if size <= -0.5 { format!("-{}", bytes(-size)) } else { bytes(size.max(0.0)) }
}

/// Where the time of a traced cell went, the fastest's if it was traced: the parts from 1 % only,
/// and what its tasks took.
fn trace_line(group: &Group<'_>) -> Option<String> {
    let winner = group.winner.map(|at| &group.cells[at]);
    let mut cells = winner.into_iter().chain(&group.cells);
    let (cell, found) = cells.find_map(|cell| Some((cell, traced::of_cell(cell)?)))?;
    let label = &cell.label;
    let shares = &found.trace.shares;
    let wall = shares.wall_ns.max(1) as f64;
    let parts: Vec<String> = Part::ALL
        .iter()
        .map(|part| (part, part.ns(shares) as f64 / wall))
        .filter(|(_, share)| share.abs() >= 0.01)
        .map(|(part, share)| format!("{} {}", percent(share), part.name()))
        .collect();
    let latency = &found.trace.latency;
    let task = [("half within", 0.5), ("99 % within", 0.99)].into_iter().filter_map(|(name, q)| {
        Some(format!("{name} {}", duration(traced::percentile(latency, q)? as f64)))
    });
    let task: Vec<String> = task.collect();
    let tasks =
        if task.is_empty() { String::new() } else { format!("; tasks: {}", task.join(", ")) };
    let cost = found.cost.map(|cost| format!("; traced it took {} as long", ratio(cost)));
    Some(format!("{label}, traced: {}{tasks}{}.", parts.join(", "), cost.unwrap_or_default()))
}

/// A line for each curve of weak scaling: what its most workers come to.
pub fn weak_lines(record: &Record) -> Vec<String> {
    weak::curves(record).iter().filter_map(weak_line).collect()
}

fn weak_line(curve: &weak::Curve<'_>) -> Option<String> {
    let last = curve.points.last()?;
    Some(format!(
        "{} by {}: {} workers do {} times the work ({}={}) at a weak efficiency of {}, a scaled \
         speed-up of {}.",
        curve.workload,
        curve.executor,
        last.workers,
        last.workers,
        curve.parameter,
        last.work,
        share(last.efficiency),
        ratio_within(last.speedup.estimate, last.speedup.interval)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::planted::{Noise, Planted};
    use super::*;
    use crate::fixture::{cell, launch, memory, record, six, timed};
    use crate::verdict::groups;
    use crate::{Histogram, Launch, Mode, Shares, Trace};

    #[test]
    fn a_fit_is_told_with_its_check_and_its_ceiling() {
        let planted = Planted { contention: 0.1, coherence: 0.0, rounds: 6, noise: 0.0 };
        let record = planted.record(&[1, 2, 4, 8], &mut Noise::new(1));
        let lines = lines(&groups(&record)[0], &record);
        assert_eq!(
            lines,
            [
                "threads scales by Amdahl's law with a serial fraction of 10 % [10 %, 10 %]; fitted \
                 without its last point it holds: at 8 workers it predicts 212 us [212, 213], \
                 measured 212 us.",
                "At most 64.0x: 64 cores."
            ]
        );
    }

    #[test]
    fn a_refusal_is_told_to_those_who_asked() {
        let cells = |counts: &[u32]| {
            let cells = counts.iter().map(|&workers| {
                let mut cell = timed("threads", &six(1_000_000 / u64::from(workers), 0));
                cell.id.workers = workers;
                cell
            });
            let mut record = record(cells.collect());
            record.header.machine.usable_cores = 2;
            record
        };
        let asked = cells(&[1, 2, 4]);
        assert_eq!(
            lines(&groups(&asked)[0], &asked)[0],
            "threads has no scaling law: it takes 4 numbers of workers, and there are 2 (1 left \
             out: beyond 2 cores more workers share the same ones)."
        );
        let default = cells(&[1, 2]);
        assert!(lines(&groups(&default)[0], &default).is_empty());
    }

    #[test]
    fn an_experiment_is_told_by_what_it_counts_and_not_by_refused_laws() {
        let cells = [1, 2, 4].map(|workers: u32| {
            let mut cell = timed("threads", &six(1_000_000 * u64::from(workers), 0));
            cell.id.workers = workers;
            for sample in cell.launches.iter_mut().flat_map(|launch| &mut launch.samples) {
                let workers = f64::from(workers);
                sample.counters.insert("lost-percent".to_owned(), 12.5 * workers);
                sample.counters.insert("lost-updates".to_owned(), 1_000.0 * workers);
                sample.counters.insert("nanoseconds-per-update".to_owned(), 900.0 * workers);
            }
            cell
        });
        let mut record = record(cells.to_vec());
        record.header.workloads[0].kind = "overhead".to_owned();
        record.header.workloads[0].shape = "probe".to_owned();
        let cells = |of: [&str; 3]| {
            let cell = |(n, text)| {
                format!("threads with {n} worker{} {text}", if n == 1 { "" } else { "s" })
            };
            [1, 2, 4].into_iter().zip(of).map(cell).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            lines(&groups(&record)[0], &record),
            [
                format!("Counted, lost (medians): {}.", cells(["12.5 %", "25 %", "50 %"])),
                format!("Counted, lost updates (medians): {}.", cells(["1,000", "2,000", "4,000"])),
                format!(
                    "Counted, time per update (medians): {}.",
                    cells(["900 ns", "1.80 us", "3.60 us"])
                ),
            ]
        );
    }

    #[test]
    fn an_open_loop_is_told_by_the_latency_of_every_cell() {
        let traced = |executor, tasks: u64| {
            let latency =
                Histogram { buckets: vec![(10_000, tasks - tasks / 50), (90_000, tasks / 50)] };
            let trace = Some(Trace { tasks, latency, ..Trace::default() });
            let mut cell = timed(executor, &[800; 6]);
            cell.id.rate = Some(400);
            cell.launches.push(Launch { mode: Mode::Trace, trace, ..launch(0, &[1_000]) });
            cell
        };
        let record = record(vec![traced("threads", 1_000), traced("rayon", 900)]);
        assert_eq!(
            lines(&groups(&record)[0], &record),
            [
                "threads, latency from when a task was due: half within 10.0 us, 99 % within 90.0 us \
                 (of 1,000 tasks).",
                "rayon, latency from when a task was due: half within 10.0 us (of 900 tasks).",
            ]
        );
    }

    #[test]
    fn memory_is_told_by_the_worker() {
        let cells = [1, 2, 4].map(|workers: u32| {
            let mut cell = cell("threads", vec![launch(0, &[100])]);
            cell.id.workers = workers;
            let mut launch = memory(0, 1024 * (5_000 + 10 * u64::from(workers)));
            launch.memory.as_mut().unwrap().kernel_stacks = Some(16_384 * u64::from(workers));
            cell.launches.push(launch);
            cell
        });
        let record = record(cells.to_vec());
        let line = memory_line(&per_worker::of_group(&groups(&record)[0])[0]).unwrap();
        assert_eq!(
            line,
            "threads takes 10.0 KiB of memory for each worker [10.0 KiB, 10.0 KiB], and 16.0 KiB of \
             kernel stack (derived); 4.88 MiB without any."
        );
        assert_eq!((signed(-2048.0), signed(0.2)), ("-2.00 KiB".into(), "0 B".into()));
    }

    #[test]
    fn a_trace_is_told_by_its_parts() {
        let shares = Shares {
            lanes: 2,
            wall_ns: 1_000,
            computing_ns: 900,
            dispatch_ns: 95,
            residual_ns: 5,
            ..Shares::default()
        };
        let latency = Histogram { buckets: vec![(10_000, 60), (20_000, 40)] };
        let trace = Some(Trace { tasks: 100, shares, latency, ..Trace::default() });
        let mut threads = timed("threads", &[800; 6]);
        threads.launches.push(Launch { mode: Mode::Trace, trace, ..launch(0, &[1_000]) });
        let record = record(vec![threads]);
        assert_eq!(
            lines(&groups(&record)[0], &record),
            ["threads, traced: 90 % computing, 9.5 % start-up and dispatch; tasks: half within \
              10.0 us, 99 % within 20.0 us; traced it took 1.25x as long."]
        );
    }
}
