//! What more workers bring, as far as the record can carry a law of it.
//!
//! - [`strong`] scaling: speed-up, efficiency and Karp and Flatt's serial fraction of a cell;
//! - [`scaling`]: [`amdahl`]'s law and the universal scalability law ([`usl`]) fitted to the cells
//!   of one executor, with intervals, checked on a point that the fit did not see, or refused
//!   with the reason;
//! - [`ceiling`]: what limits the speed-up whatever the executor does;
//! - [`weak`] scaling: the work grows with the workers;
//! - [`per_worker`]: what a worker, or a task in flight, costs in memory;
//! - [`granularity`]: how long a task must be to be worth sharing;
//! - [`traced`]: where the time went, and what single tasks waited for;
//! - [`say`]: the same in words.

pub mod amdahl;
pub mod ceiling;
mod fit;
pub mod granularity;
pub mod karp_flatt;
pub mod per_worker;
#[cfg(test)]
mod planted;
pub mod say;
pub mod traced;
pub mod usl;
pub mod weak;

use std::collections::BTreeMap;
use std::fmt;

use crate::format::{digits, duration, percent};
use crate::statistics::interval::MIN_LAUNCHES;
use crate::statistics::{Interval, Times, ratio};
use crate::verdict::{SIGNIFICANCE, SMALLEST};
use crate::{CellId, CellSummary, Group, Record, WorkloadText};
use fit::{Linear, Points, log_throughput, minimum};

/// A law is fitted to at least this many numbers of workers: one is held out, and the rest must
/// determine three parameters.
pub const MIN_COUNTS: usize = 4;

/// A prediction is given up to this many times the most workers that were measured, and never
/// beyond the cores of work that computes.
pub const FARTHEST: f64 = 2.0;

/// A held-out point may be missed by chance (the interval says so), or by this share: a curve
/// that is off by less still describes.
const FAR: f64 = 1.10;

/// An estimate and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The estimate.
    pub estimate: f64,
    /// Absent where there were too few rounds.
    pub interval: Option<Interval>,
}

impl Value {
    /// Under a function that only rises or only falls the interval's ends become the new ends.
    fn map(self, function: impl Fn(f64) -> f64) -> Self {
        let interval = self.interval.map(|i| {
            let (a, b) = (function(i.low), function(i.high));
            Interval { low: a.min(b), high: a.max(b) }
        });
        Self { estimate: function(self.estimate), interval }
    }
}

/// Which law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Amdahl's: a fraction of the work is serial.
    Amdahl,
    /// Gunther's universal scalability law: contention and coherence.
    Usl,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amdahl => "Amdahl's law",
            Self::Usl => "the universal scalability law",
        })
    }
}

/// Why there is no law.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Too few numbers of workers.
    TooFewCounts {
        /// Numbers of workers that could be used.
        found: usize,
        /// How many it takes.
        needed: usize,
        /// Numbers of workers that were left out, because they are beyond this many cores.
        beyond: Option<(usize, u32)>,
    },
    /// Too few rounds that measured all numbers of workers.
    TooFewRounds {
        /// Rounds that did.
        found: usize,
    },
    /// Nothing that could be told from noise changes with the workers.
    NoSignal,
    /// The interval of a parameter holds everything that it can be.
    Vague {
        /// What was found.
        interval: Interval,
    },
    /// More than n times the speed with n workers, which no value of the parameters gives.
    Superlinear,
    /// The throughput rises ever more steeply at the end, which no value of the parameters gives.
    Steepening,
    /// More workers make it slower from the start, which no value of the parameters gives.
    Falling,
    /// The search for the parameters did not end.
    NoConvergence,
    /// The point with the most workers, which the fit did not see, is not where it should be.
    Missed(HeldOut),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewCounts { found, needed, beyond } => {
                write!(f, "it takes {needed} numbers of workers, and there are {found}")?;
                match beyond {
                    None => Ok(()),
                    Some((left_out, cores)) => write!(
                        f,
                        " ({left_out} left out: beyond {cores} core{} more workers share the same ones)",
                        if *cores == 1 { "" } else { "s" }
                    ),
                }
            }
            Self::TooFewRounds { found } => write!(
                f,
                "it takes {MIN_LAUNCHES} rounds that measured every number of workers, and there \
                 are {found}"
            ),
            Self::NoSignal => f.write_str("nothing changes with the workers but by noise"),
            Self::Vague { interval } => write!(
                f,
                "the points do not determine it: the contention may be anything from {} to {}",
                digits(interval.low.max(0.0)),
                digits(interval.high)
            ),
            Self::Superlinear => {
                f.write_str("n workers are more than n times as fast, which the law does not know")
            }
            Self::Steepening => f.write_str(
                "the throughput rises ever more steeply at the end, which the law does not know",
            ),
            Self::Falling => {
                f.write_str("more workers are slower from the start, which the law does not know")
            }
            Self::NoConvergence => f.write_str("no values of its parameters fit the points"),
            Self::Missed(held_out) => {
                write!(f, "fitted without its last point it misses it: {held_out}")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// The point with the most workers, as the fit to the others predicts it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldOut {
    /// Its workers.
    pub workers: u32,
    /// The time of a sample that was predicted, in nanoseconds, and where a measured one should lie.
    pub predicted: Value,
    /// The time that was measured.
    pub measured: f64,
}

impl HeldOut {
    /// Whether the measured time lies where it should.
    pub fn holds(&self) -> bool {
        let inside = |i: Interval| (i.low..=i.high).contains(&self.measured);
        self.predicted.interval.is_some_and(inside)
    }

    /// Missed, and not only by a little.
    fn missed_by_far(&self) -> bool {
        let off = self.predicted.estimate / self.measured;
        !self.holds() && off.max(1.0 / off) > FAR
    }
}

impl fmt::Display for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, predicted, measured } = self;
        let text = crate::format::duration_within(predicted.estimate, predicted.interval);
        write!(f, "at {workers} workers it predicts {text}, measured {}", duration(*measured))
    }
}

/// A law fitted to the cells of one executor.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Which.
    pub law: Law,
    /// The share of the work that only one worker at a time can do: Amdahl's serial fraction,
    /// Gunther's contention. 0 or more.
    pub contention: Value,
    /// What keeping in step costs for each pair of workers: Gunther's coherence. 0 or more;
    /// absent in Amdahl's law.
    pub coherence: Option<Value>,
    /// The check on a point that a fit to the others did not see.
    pub held_out: HeldOut,
    /// Numbers of workers that it was fitted to.
    pub counts: usize,
    /// Rounds that its intervals rest on.
    pub rounds: usize,
    /// The most workers that were measured.
    pub most: u32,
    /// The most workers that it says anything of.
    pub farthest: f64,
    at: [f64; fit::PARAMETERS],
    linear: Linear,
}

/// What a law says of a number of workers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The time of a sample, in nanoseconds.
    pub ns: Value,
    /// Whether nothing with so many workers was measured.
    pub extrapolated: bool,
}

impl Fit {
    /// The time of a sample with this many workers; absent below 1, beyond [`FARTHEST`] times
    /// the most that were measured, and beyond the cores of work that computes.
    pub fn predict(&self, workers: f64) -> Option<Prediction> {
        if !(1.0..=self.farthest).contains(&workers) {
            return None;
        }
        let log = -log_throughput(&self.at, workers)?;
        let reach = self.linear.reach_at(workers, None);
        let interval = Interval { low: (log - reach).exp(), high: (log + reach).exp() };
        let ns = Value { estimate: log.exp(), interval: Some(interval) };
        Some(Prediction { ns, extrapolated: workers > f64::from(self.most) })
    }

    /// The number of workers with the highest throughput, where the law has one that is within
    /// reach of what was measured and coherence is surely there.
    pub fn peak(&self) -> Option<f64> {
        let coherence = self.coherence?;
        coherence.interval.filter(|i| i.low > 0.0)?;
        let peak = ((1.0 - self.contention.estimate).max(0.0) / coherence.estimate).sqrt();
        (1.0..=self.farthest).contains(&peak).then_some(peak)
    }
}

/// The cells of one executor that differ in their workers, and the laws fitted to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling<'a> {
    /// The executor, with whatever else tells this series from others of its group.
    pub name: String,
    /// The executor alone.
    pub executor: &'a str,
    /// Numbers of workers that were used, ascending.
    pub used: Vec<u32>,
    /// Those that were not: beyond the cores they say nothing of the law.
    pub left_out: Vec<u32>,
    /// Amdahl's law.
    pub amdahl: Result<Fit, Refusal>,
    /// The universal scalability law.
    pub usl: Result<Fit, Refusal>,
}

impl Scaling<'_> {
    /// The simplest law that the points carry: the universal one only where its coherence is
    /// surely not 0, or where Amdahl's is refused.
    pub fn best(&self) -> Result<&Fit, Refusal> {
        let coherent =
            |fit: &&Fit| fit.coherence.and_then(|c| c.interval).is_some_and(|i| i.low > 0.0);
        let usl = self.usl.as_ref();
        match (usl.ok().filter(coherent), &self.amdahl) {
            (Some(fit), _) => Ok(fit),
            (None, Ok(fit)) => Ok(fit),
            (None, Err(refusal)) => usl.map_err(|_| *refusal),
        }
    }
}

/// The series of a group that were measured with several numbers of workers, in the order of the
/// plan. Failed cells, and cells without a time, are no points.
pub fn scaling<'a>(group: &Group<'a>, record: &Record) -> Vec<Scaling<'a>> {
    series(group)
        .into_iter()
        .filter(|(_, cells)| cells.len() > 1)
        .map(|(name, cells)| {
            let cores = cores(group.text, &cells, record);
            scaling_of(name, &cells, cores, group.floor)
        })
        .collect()
}

/// Beyond how many workers more of them share the same cores: nowhere, for work that waits.
/// Work that computes and waits counts as waiting where its widest cell left half of the cores
/// idle.
fn cores(text: Option<&WorkloadText>, cells: &[&CellSummary<'_>], record: &Record) -> Option<u32> {
    let cores = record.header.machine.usable_cores.max(1);
    let idle = || {
        let Some(widest) = cells.last() else { return false };
        let busy = widest.cpu_ns.zip(widest.time).map(|(cpu, time)| cpu / time.ns);
        busy.is_some_and(|busy| busy < 0.5 * f64::from(cores.min(widest.cell.id.workers)))
    };
    let waits = match text.map(|text| text.kind.as_str()) {
        Some("io") => true,
        Some("mixed") => idle(),
        _ => false,
    };
    (!waits).then_some(cores)
}

/// What may differ between the series of one group.
type SeriesKey<'a> = (&'a str, crate::Chunk, Option<&'a str>, Option<u32>);

fn series_key(id: &CellId) -> SeriesKey<'_> {
    (&id.executor, id.chunk, id.label.as_deref(), id.rate)
}

/// The timed cells of each series, by workers, each series with its name.
fn series<'g, 'a>(group: &'g Group<'a>) -> Vec<(String, Vec<&'g CellSummary<'a>>)> {
    let mut keys: Vec<SeriesKey<'_>> = Vec::new();
    let mut cells: Vec<Vec<&CellSummary<'a>>> = Vec::new();
    for cell in group.cells.iter().filter(|cell| cell.time.is_some()) {
        let key = series_key(&cell.cell.id);
        let place = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            keys.push(key);
            cells.push(Vec::new());
            keys.len() - 1
        });
        cells[place].push(cell);
    }
    for cells in &mut cells {
        cells.sort_by_key(|cell| cell.cell.id.workers);
        cells.dedup_by_key(|cell| cell.cell.id.workers);
    }
    let names = keys.iter().map(|key| series_name(key, &keys));
    names.zip(cells).collect()
}

/// The executor, and what tells this series from others of the same executor.
fn series_name(key: &SeriesKey<'_>, all: &[SeriesKey<'_>]) -> String {
    let same: Vec<&SeriesKey<'_>> = all.iter().filter(|other| other.0 == key.0).collect();
    let mut name = key.0.to_owned();
    if same.iter().any(|other| other.1 != key.1) {
        name.push_str(&format!(", chunk {}", key.1));
    }
    if let Some(label) = key.2.filter(|_| same.iter().any(|other| other.2 != key.2)) {
        name.push_str(&format!(", {label}"));
    }
    if let Some(rate) = key.3.filter(|_| same.iter().any(|other| other.3 != key.3)) {
        name.push_str(&format!(", {rate}/s"));
    }
    name
}

fn scaling_of<'a>(
    name: String,
    cells: &[&CellSummary<'a>],
    cores: Option<u32>,
    floor: Option<f64>,
) -> Scaling<'a> {
    let all: Vec<u32> = cells.iter().map(|cell| cell.cell.id.workers).collect();
    let (used, left_out): (Vec<u32>, Vec<u32>) =
        all.iter().partition(|&&workers| cores.is_none_or(|cores| workers <= cores));
    let beyond = cores.filter(|_| !left_out.is_empty()).map(|cores| (left_out.len(), cores));
    let points = points(&cells[..used.len()], beyond);
    let fitted = |law: Law| {
        let mut fit = fitted(law, points.as_ref().map_err(|refusal| *refusal)?, floor)?;
        fit.farthest = fit.farthest.min(cores.map_or(f64::INFINITY, f64::from));
        Ok(fit)
    };
    let (amdahl, usl) = (fitted(Law::Amdahl), fitted(Law::Usl));
    let executor = &cells[0].cell.id.executor;
    Scaling { name, executor, used, left_out, amdahl, usl }
}

/// The rounds that measured all of the cells.
fn points(cells: &[&CellSummary<'_>], beyond: Option<(usize, u32)>) -> Result<Points, Refusal> {
    if cells.len() < MIN_COUNTS {
        let (found, needed) = (cells.len(), MIN_COUNTS);
        return Err(Refusal::TooFewCounts { found, needed, beyond });
    }
    let times: Vec<Times<'_>> = cells.iter().filter_map(|cell| Times::of(cell.cell)).collect();
    // Like with like: where one cell has only cold samples, the others' cold ones are taken.
    let cold = times.iter().any(|times| times.cold);
    let logs: Vec<BTreeMap<u32, f64>> =
        times.iter().map(|times| times.logs(cold).iter().copied().collect()).collect();
    let complete = logs[0].keys().filter_map(|round| {
        logs.iter().map(|log| log.get(round).map(|time| -time)).collect::<Option<Vec<f64>>>()
    });
    let rounds: Vec<Vec<f64>> = complete.collect();
    if rounds.len() < MIN_LAUNCHES {
        return Err(Refusal::TooFewRounds { found: rounds.len() });
    }
    let workers = cells.iter().map(|cell| f64::from(cell.cell.id.workers)).collect();
    Ok(Points { workers, rounds })
}

fn fitted(law: Law, points: &Points, floor: Option<f64>) -> Result<Fit, Refusal> {
    if !differs(points, SMALLEST.max(floor.unwrap_or(1.0))) {
        return Err(Refusal::NoSignal);
    }
    let held_out = held_out(law, points)?;
    let at = nearest(law, points)?;
    let (contention, coherence) = parameters(law, points, &at)?;
    plausible(law, contention)?;
    if held_out.missed_by_far() {
        return Err(Refusal::Missed(held_out));
    }
    let linear = Linear::of(points, at, law.free()).ok_or(Refusal::NoConvergence)?;
    Ok(Fit {
        law,
        contention,
        coherence,
        held_out,
        counts: points.workers.len(),
        rounds: points.rounds.len(),
        most: last(points),
        farthest: FARTHEST * f64::from(last(points)),
        at,
        linear,
    })
}

fn last(points: &Points) -> u32 {
    points.workers.last().map_or(1, |workers| *workers as u32)
}

/// Whether any two numbers of workers differ, by rule 5: paired by round, corrected for the
/// number of pairs, and by more than what is too small to matter.
fn differs(points: &Points, smallest: f64) -> bool {
    let cell = |n: usize| -> Vec<(u32, f64)> {
        (0..).zip(points.rounds.iter().map(|round| round[n])).collect()
    };
    let cells: Vec<Vec<(u32, f64)>> = (0..points.workers.len()).map(cell).collect();
    let pairs = (cells.len() * (cells.len() - 1) / 2) as f64;
    let differ = |a: usize, b: usize| {
        ratio::paired(&cells[a], &cells[b]).is_some_and(|found| {
            found.p.is_some_and(|p| p * pairs < SIGNIFICANCE)
                && found.estimate.max(1.0 / found.estimate) > smallest
        })
    };
    (0..cells.len()).any(|a| (0..a).any(|b| differ(a, b)))
}

impl Law {
    fn free(self) -> fit::Free {
        match self {
            Self::Amdahl => amdahl::FREE,
            Self::Usl => usl::FREE,
        }
    }
}

/// The parameters with the least squares, none of them negative: where one would be, it is 0 and
/// the others are sought again.
fn nearest(law: Law, points: &Points) -> Result<[f64; fit::PARAMETERS], Refusal> {
    let allowed = law.free();
    let mut best: Option<fit::Minimum> = None;
    for (contention, coherence) in [(true, true), (true, false), (false, true), (false, false)] {
        if (contention && !allowed[1]) || (coherence && !allowed[2]) {
            continue;
        }
        let found = minimum(points, [true, contention, coherence]);
        let found = found.filter(|found| found.at[1] >= 0.0 && found.at[2] >= 0.0);
        best = [best, found].into_iter().flatten().min_by(|a, b| a.squares.total_cmp(&b.squares));
        // The freest fit that is allowed is the least of all.
        if best.is_some() && contention == allowed[1] && coherence == allowed[2] {
            break;
        }
    }
    best.map(|best| best.at).ok_or(Refusal::NoConvergence)
}

/// The parameters with their intervals. The intervals are those of a fit that may go below 0,
/// cut there: what cannot be leaves what can be as sure as it was.
fn parameters(
    law: Law,
    points: &Points,
    at: &[f64; fit::PARAMETERS],
) -> Result<(Value, Option<Value>), Refusal> {
    let centre = minimum(points, law.free()).ok_or(Refusal::NoConvergence)?.at;
    let linear = Linear::of(points, centre, law.free()).ok_or(Refusal::NoConvergence)?;
    let value = |parameter: usize| {
        let found = linear.interval(parameter);
        if found.high < 0.0 {
            return Err(if parameter == 1 { Refusal::Superlinear } else { Refusal::Steepening });
        }
        let estimate = at[parameter];
        let low = found.low.max(0.0).min(estimate);
        Ok(Value { estimate, interval: Some(Interval { low, high: found.high.max(estimate) }) })
    };
    let contention = value(1)?;
    let coherence = if law == Law::Usl { Some(value(2)?) } else { None };
    Ok((contention, coherence))
}

/// Whether the contention says anything.
fn plausible(law: Law, contention: Value) -> Result<(), Refusal> {
    let Some(interval) = contention.interval else { return Err(Refusal::NoConvergence) };
    if interval.low > 1.0 {
        return Err(Refusal::Falling);
    }
    if interval.low <= 0.0 && interval.high >= 1.0 {
        return Err(Refusal::Vague { interval });
    }
    // A serial fraction of 1 is a curve without any scaling.
    if law == Law::Amdahl && interval.high >= 1.0 {
        return Err(Refusal::NoSignal);
    }
    Ok(())
}

/// The last point, predicted from the others.
fn held_out(law: Law, points: &Points) -> Result<HeldOut, Refusal> {
    let others = points.without_last();
    let at = nearest(law, &others)?;
    let linear = Linear::of(&others, at, law.free()).ok_or(Refusal::NoConvergence)?;
    let workers = last(points);
    let count = f64::from(workers);
    let predicted = -log_throughput(&at, count).ok_or(Refusal::NoConvergence)?;
    let last: Vec<f64> = points.rounds.iter().map(|round| round[round.len() - 1]).collect();
    let reach = linear.reach_at(count, Some(&last));
    let interval = Interval { low: (predicted - reach).exp(), high: (predicted + reach).exp() };
    let measured = (-last.iter().sum::<f64>() / last.len() as f64).exp();
    Ok(HeldOut {
        workers,
        predicted: Value { estimate: predicted.exp(), interval: Some(interval) },
        measured,
    })
}

/// What a cell makes of its workers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strong {
    /// The sequential time divided by the cell's.
    pub speedup: Value,
    /// Speed-up / workers.
    pub efficiency: Value,
    /// Karp and Flatt's serial fraction; absent for one worker.
    pub serial: Option<Value>,
}

/// What a cell makes of its workers, against the group's sequential cell; absent where it cannot
/// be compared with it.
pub fn strong(cell: &CellSummary<'_>) -> Option<Strong> {
    let found = cell.speedup?;
    let speedup = Value { estimate: found.estimate, interval: found.interval };
    let workers = f64::from(cell.cell.id.workers.max(1));
    Some(Strong {
        speedup,
        efficiency: speedup.map(|speedup| speedup / workers),
        serial: (workers > 1.0)
            .then(|| speedup.map(|speedup| karp_flatt::serial_fraction(speedup, workers))),
    })
}

/// `10.1 % [9.7 %, 10.5 %]`.
pub(crate) fn share(value: Value) -> String {
    let interval = value.interval;
    let text = interval.map(|i| format!(" [{}, {}]", percent(i.low), percent(i.high)));
    format!("{}{}", percent(value.estimate), text.unwrap_or_default())
}
