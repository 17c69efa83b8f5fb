//! From the record of a run that swept the length of a task to a curve for each executor.

use std::collections::BTreeMap;

use super::{
    Best, Cost, Length, Metg, STATED, Share, cost, efficiency, efficiency_at, granularity, metg,
};
use crate::statistics::interval::LogMean;
use crate::statistics::{Interval, Times};
use crate::{Cell, Chunk, Failure, Record};

/// The parameter that counts the tasks of a sample, in every workload whose tasks have a length.
const COUNT: &str = "tasks";

/// Before the name of the parameter that sets the length: what an answer calls the work of all
/// tasks of a sample, in a workload that draws their lengths.
const TOTAL: &str = "total-";

/// All executors on one workload, over the lengths of its tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep<'a> {
    /// The workload, with those parameters in which it differs from other sweeps of the record.
    pub label: String,
    /// The workload's name.
    pub workload: &'a str,
    /// The parameter that sets the length of a task.
    pub length: &'a str,
    /// In the order of the plan.
    pub curves: Vec<Curve<'a>>,
}

/// One executor with one number of workers and one chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve<'a> {
    /// The executor with its variant.
    pub executor: &'a str,
    /// How many tasks may be in flight.
    pub workers: u32,
    /// Tasks handed out at once.
    pub chunk: Chunk,
    /// Cores that these workers can use: the curves with as many share one best rate.
    pub cores: u32,
    /// Nanoseconds per unit of work at that best rate.
    pub best_ns_per_unit: Option<f64>,
    /// In ascending order of work.
    pub points: Vec<Point>,
    /// Why a length failed, or all. Then there are no figures but the points: the lengths that
    /// failed might have been the ones that mattered.
    pub failure: Option<&'a Failure>,
    /// The fitted cost per task.
    pub cost: Option<Cost>,
    /// The minimum effective task granularity.
    pub metg: Option<Metg>,
    /// Efficiency at [`STATED`] lengths of work.
    pub at: [Option<Share>; STATED.len()],
}

/// One length of task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Units of work in a task; their mean where lengths are drawn.
    pub work: f64,
    /// Tasks of a sample.
    pub tasks: u64,
    /// Core-nanoseconds per task.
    pub granularity: f64,
    /// Of the granularity: 95 %; absent below six launches.
    pub interval: Option<Interval>,
    /// Its rate of work over the best; absent for tasks without work.
    pub efficiency: Option<Share>,
}

impl Curve<'_> {
    /// The executor, with its workers and chunk where `others` differ in them.
    pub fn label(&self, others: &[Curve<'_>]) -> String {
        let mut label = self.executor.to_owned();
        let same = || others.iter().filter(|other| other.executor == self.executor);
        if same().any(|other| other.workers != self.workers) {
            let plural = if self.workers == 1 { "" } else { "s" };
            label += &format!(", {} worker{plural}", self.workers);
        }
        if same().any(|other| other.chunk != self.chunk) {
            label += &format!(", chunk {}", self.chunk);
        }
        label
    }
}

/// A cell's parameters besides length and count: what a sweep holds fixed.
type Fixed<'a> = BTreeMap<&'a str, &'a str>;

/// The sweeps of a record, in the order of the plan; none where the record is of another kind of
/// run.
pub fn curves(record: &Record) -> Vec<Sweep<'_>> {
    let Some(length) = record.header.granularity.as_deref() else { return Vec::new() };
    let mut members: Vec<((&str, Fixed<'_>), Vec<&Cell>)> = Vec::new();
    for cell in &record.cells {
        let key = (cell.id.workload.as_str(), fixed(cell, length));
        match members.iter_mut().find(|(other, _)| *other == key) {
            Some((_, cells)) => cells.push(cell),
            None => members.push((key, vec![cell])),
        }
    }
    let cores = record.header.machine.usable_cores.max(1);
    let keys: Vec<_> = members.iter().map(|(key, _)| key.clone()).collect();
    let swept = members.into_iter().map(|((workload, fixed), cells)| Sweep {
        label: label(workload, &fixed, &keys),
        workload,
        length,
        curves: curves_of(record, &cells, length, cores),
    });
    swept.collect()
}

fn fixed<'a>(cell: &'a Cell, length: &str) -> Fixed<'a> {
    let parameters = cell.id.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    parameters.filter(|(name, _)| *name != length && *name != COUNT).collect()
}

fn label(workload: &str, fixed: &Fixed<'_>, all: &[(&str, Fixed<'_>)]) -> String {
    let same = || all.iter().filter(|(other, _)| *other == workload);
    let differs =
        |name: &str, value: &str| same().any(|(_, other)| other.get(name) != Some(&value));
    let marks = fixed.iter().filter(|(name, value)| differs(name, value));
    let marks: Vec<String> = marks.map(|(name, value)| format!("{name}={value}")).collect();
    if marks.is_empty() {
        workload.to_owned()
    } else {
        format!("{workload} ({})", marks.join(", "))
    }
}

fn curves_of<'a>(record: &Record, cells: &[&'a Cell], length: &str, cores: u32) -> Vec<Curve<'a>> {
    let mut raw: Vec<Raw<'a>> = Vec::new();
    for &cell in cells {
        let key = (cell.id.executor.as_str(), cell.id.workers, cell.id.chunk);
        let at = raw.iter().position(|raw| raw.key == key).unwrap_or_else(|| {
            raw.push(Raw { key, lengths: Vec::new(), tasks: Vec::new(), failure: None });
            raw.len() - 1
        });
        let tasks = tasks(record, cell);
        let work = tasks.and_then(|tasks| work(record, cell, length, tasks));
        raw[at].add(cell, work, tasks, cores);
    }
    let used = |raw: &Raw<'_>| raw.key.1.min(cores).max(1);
    let best = |cores: u32| {
        Best::of(raw.iter().filter(|raw| used(raw) == cores).flat_map(|raw| &raw.lengths))
    };
    raw.iter().map(|raw| raw.curve(used(raw), best(used(raw)).as_ref())).collect()
}

/// The tasks of a sample: all of them, as the reference answer counts them, where the workload has
/// several phases; else those that were asked for.
fn tasks(record: &Record, cell: &Cell) -> Option<u64> {
    counted(record, cell, COUNT).or_else(|| cell.id.parameters.get(COUNT)?.parse().ok())
}

/// The work in a task: where lengths are drawn about the one that was asked for, the mean of those
/// that were, which the reference answer counts as `total-` and the parameter's name.
fn work(record: &Record, cell: &Cell, length: &str, tasks: u64) -> Option<f64> {
    match counted(record, cell, &format!("{TOTAL}{length}")) {
        Some(total) => Some(total as f64 / tasks.max(1) as f64),
        None => cell.id.parameters.get(length)?.parse().ok(),
    }
}

/// What the reference answer of a cell counts under a name.
fn counted(record: &Record, cell: &Cell, name: &str) -> Option<u64> {
    let id = &cell.id;
    let reference = record.references.iter().find(|reference| {
        (&reference.workload, &reference.parameters, &reference.input)
            == (&id.workload, &id.parameters, &id.input)
    });
    let count = reference?.answer.get(name)?;
    count.as_u64().or_else(|| count.as_str()?.parse().ok())
}

/// A curve before anything is known of the others.
struct Raw<'a> {
    key: (&'a str, u32, Chunk),
    lengths: Vec<Length>,
    /// Of each length.
    tasks: Vec<u64>,
    failure: Option<&'a Failure>,
}

impl<'a> Raw<'a> {
    fn add(&mut self, cell: &'a Cell, work: Option<f64>, tasks: Option<u64>, cores: u32) {
        if let Some(failure) = cell.failure() {
            self.failure.get_or_insert(failure);
            return;
        }
        let (Some(work), Some(tasks)) = (work, tasks) else { return };
        let Some(times) = Times::of(cell) else { return };
        // A wall time and its granularity differ by a factor, and logarithms by a summand.
        let factor = granularity(1.0, cell.id.workers, cores, tasks).ln();
        let logs = times.logs(times.cold).iter().map(|(round, log)| (*round, log + factor));
        self.lengths.push(Length { work, logs: logs.collect() });
        self.tasks.push(tasks);
    }

    fn curve(&self, cores: u32, best: Option<&Best>) -> Curve<'a> {
        let sound = best.filter(|_| self.failure.is_none());
        let (executor, workers, chunk) = self.key;
        Curve {
            executor,
            workers,
            chunk,
            cores,
            best_ns_per_unit: best.map(|best| best.ns_per_unit),
            points: self.points(best),
            failure: self.failure,
            cost: if self.failure.is_none() { cost(&self.lengths) } else { None },
            metg: sound.and_then(|best| metg(&self.lengths, best)),
            at: STATED.map(|ns| sound.and_then(|best| efficiency_at(&self.lengths, best, ns))),
        }
    }

    fn points(&self, best: Option<&Best>) -> Vec<Point> {
        let point = |(length, tasks): (&Length, &u64)| {
            let logs: Vec<f64> = length.logs.iter().map(|&(_, log)| log).collect();
            let mean = LogMean::of(&logs)?;
            Some(Point {
                work: length.work,
                tasks: *tasks,
                granularity: mean.estimate(),
                interval: mean.interval(),
                efficiency: best.and_then(|best| efficiency(length, best)),
            })
        };
        let mut points: Vec<Point> =
            self.lengths.iter().zip(&self.tasks).filter_map(point).collect();
        points.sort_by(|a, b| a.work.total_cmp(&b.work));
        points
    }
}
