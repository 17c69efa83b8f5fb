//! Who is faster than whom, as far as the run can tell.
//!
//! Cells of the same workload, version, parameters and input form a group. In it each cell is
//! compared with the sequential one and with the fastest. A *difference* is one whose p-value,
//! corrected for the number of comparisons in the group ([`holm`]), is below 0.05 and whose
//! estimate is beyond the larger of 2 % and the noise floor of the run ([`noise`]). All else is a
//! tie. So a tie may have an interval that excludes 1: the interval knows of no other comparison.
//! The correction is the stricter of the two, so a difference's interval always excludes 1. Beside
//! each comparison stands the difference that would have been seen ([`detectable`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::aa::{self, Pair};
use crate::statistics::interval::CONFIDENCE;
use crate::statistics::{Paired, Times, detectable, holm, noise, ratio, student};
use crate::summary::{CellSummary, Ratio, Verdict};
use crate::{Cell, CellId, Record, WorkloadText};

/// The executor that is the baseline of every speed-up.
pub const BASELINE: &str = "sequential";

/// The workload of programs of the user's own. They have no sequential form: the baseline of their
/// speed-ups is the first of them with one worker.
pub const COMMAND: &str = "command";

/// A difference up to this is a tie, however sure: 2 %.
pub(crate) const SMALLEST: f64 = 1.02;

/// A corrected p-value below this is significant.
pub(crate) const SIGNIFICANCE: f64 = 1.0 - CONFIDENCE;

/// The cells of one workload, version, parameters and input.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// The workload, with whatever tells this group from others of the same workload.
    pub label: String,
    /// What the record says about the workload.
    pub text: Option<&'a WorkloadText>,
    /// The workload's name.
    pub workload: &'a str,
    /// The workload's version.
    pub version: u32,
    /// Its parameters.
    pub parameters: &'a BTreeMap<String, String>,
    /// Digest of its input files.
    pub input: Option<&'a str>,
    /// In the order of the plan.
    pub cells: Vec<CellSummary<'a>>,
    /// The sequential cell, or the first command's with one worker, that speed-ups refer to; the
    /// fastest, should there be several. Absent where times are not ranked ([`Group::unranked`]).
    pub baseline: Option<usize>,
    /// The cell with the shortest time. Whether it deserves the name, its `ties` and the
    /// verdicts of the others say. Absent where times are not ranked.
    pub winner: Option<usize>,
    /// The cells from which the winner could not be told apart.
    pub ties: Vec<usize>,
    /// The noise floor of the run: see [`noise_floor`].
    pub floor: Option<f64>,
    /// In an A/A run: the cells that differ in nothing but their label, compared.
    pub pairs: Vec<Pair>,
}

/// Why the times of a group are shown and not ranked: there is no baseline and no winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unranked {
    /// An experiment (kind `overhead`, shape `probe`): its result is what it counts, and its work
    /// may grow with the workers.
    Experiment,
    /// Tasks come at a rate of their own, and the rate sets the wall time.
    Rate,
}

impl Unranked {
    fn of<'a>(
        text: Option<&WorkloadText>,
        mut ids: impl Iterator<Item = &'a CellId>,
    ) -> Option<Self> {
        if ids.any(|id| id.rate.is_some()) {
            return Some(Self::Rate);
        }
        let experiment = |text: &WorkloadText| text.kind == "overhead" && text.shape == "probe";
        text.is_some_and(experiment).then_some(Self::Experiment)
    }
}

impl Group<'_> {
    /// Why its times are not ranked; absent where they are.
    pub fn unranked(&self) -> Option<Unranked> {
        Unranked::of(self.text, self.cells.iter().map(|cell| &cell.cell.id))
    }

    /// What speed-ups refer to, in words.
    pub fn baseline_name(&self) -> &'static str {
        let mut ids = self.cells.iter().map(|cell| &cell.cell.id);
        let first = match ids.next() {
            Some(id) if id.workload == COMMAND => id,
            _ => return BASELINE,
        };
        match ids.all(|id| id.executor == first.executor) {
            true => "one worker of its own",
            false if first.executor.contains("{workers}") => "one worker of the first command",
            false => "the first command",
        }
    }

    /// The other cells with a time, if they share too few rounds with the winner to be compared
    /// with it.
    pub fn undecided(&self) -> Vec<usize> {
        let decided = |ratio: Ratio| ratio.verdict != Verdict::Inconclusive;
        let rivals = (0..self.cells.len()).filter(|&i| Some(i) != self.winner);
        rivals
            .filter(|&i| self.cells[i].time.is_some())
            .filter(|&i| !self.cells[i].vs_best.is_some_and(decided))
            .collect()
    }
}

/// The noise floor of a run, as a ratio: 1.03 says that a cell compared with itself differs by
/// up to 3 % (see [`noise::floor`]). Absent where no cell has at least four launches.
pub fn noise_floor(record: &Record) -> Option<f64> {
    let times: Vec<Option<Times<'_>>> = record.cells.iter().map(sound).collect();
    floor_of(&times, record.header.seed)
}

fn floor_of(times: &[Option<Times<'_>>], seed: u64) -> Option<f64> {
    let values: Vec<Vec<f64>> = times.iter().flatten().map(Times::values).collect();
    noise::floor(&values, seed)
}

/// The times of a cell that did not fail.
pub(crate) fn sound(cell: &Cell) -> Option<Times<'_>> {
    Times::of(cell).filter(|_| cell.failure().is_none())
}

/// The groups of a record in the order of the plan, each with its verdicts.
pub fn groups(record: &Record) -> Vec<Group<'_>> {
    let mut times: Vec<Option<Times<'_>>> = record.cells.iter().map(sound).collect();
    let floor = floor_of(&times, record.header.seed);
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut places = BTreeMap::new();
    for (i, cell) in record.cells.iter().enumerate() {
        let place = *places.entry(key(&cell.id)).or_insert(members.len());
        if place == members.len() {
            members.push(Vec::new());
        }
        members[place].push(i);
    }
    let firsts: Vec<&CellId> = members.iter().map(|cells| &record.cells[cells[0]].id).collect();
    let labels: Vec<String> = firsts.iter().map(|id| group_label(id, &firsts)).collect();
    let groups = members.iter().zip(labels).map(|(members, label)| {
        let cells: Vec<&Cell> = members.iter().map(|&i| &record.cells[i]).collect();
        let times = members.iter().map(|&i| times[i].take()).collect();
        group(record, &cells, times, label, floor)
    });
    groups.collect()
}

/// What makes a group: all of a cell's identity that says what work was done, not how.
pub(crate) type Key<'a> = (&'a str, u32, &'a BTreeMap<String, String>, Option<&'a str>);

pub(crate) fn key(id: &CellId) -> Key<'_> {
    (&id.workload, id.version, &id.parameters, id.input.as_deref())
}

fn group<'a>(
    record: &'a Record,
    cells: &[&'a Cell],
    times: Vec<Option<Times<'a>>>,
    label: String,
    floor: Option<f64>,
) -> Group<'a> {
    let labels = CellLabels::of(cells.iter().map(|cell| &cell.id));
    let summaries = cells.iter().zip(&times);
    let summaries: Vec<CellSummary<'a>> = summaries
        .map(|(cell, times)| CellSummary::of(cell, labels.label(&cell.id), times.as_ref()))
        .collect();
    let (workload, version, parameters, input) = key(&cells[0].id);
    let text = record.header.workloads.iter().find(|text| text.name == workload);
    let ranked = Unranked::of(text, cells.iter().map(|cell| &cell.id)).is_none();
    let mut group = Group {
        label,
        text,
        workload,
        version,
        parameters,
        input,
        baseline: baseline(&summaries).filter(|_| ranked),
        winner: fastest(&summaries, |_| ranked),
        cells: summaries,
        ties: Vec::new(),
        floor,
        pairs: Vec::new(),
    };
    compare(&mut group, &times);
    if record.header.aa {
        group.pairs = pairs(&group, &times);
    }
    group
}

/// The sequential cell; among commands, the first one's with one worker.
fn baseline(cells: &[CellSummary<'_>]) -> Option<usize> {
    let first = &cells.first()?.cell.id;
    fastest(cells, |cell| {
        let id = &cell.cell.id;
        match first.workload.as_str() {
            COMMAND => id.executor == first.executor && id.workers == 1,
            _ => id.executor == BASELINE,
        }
    })
}

/// The cell with the shortest time among those that qualify; the first of equals.
fn fastest(
    cells: &[CellSummary<'_>],
    qualifies: impl Fn(&CellSummary<'_>) -> bool,
) -> Option<usize> {
    let timed = cells.iter().enumerate().filter(|(_, cell)| qualifies(cell));
    let timed = timed.filter_map(|(i, cell)| Some((i, cell.time?.ns)));
    timed.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
}

/// Compares each cell with the baseline and with the winner, and fills in what follows.
fn compare(group: &mut Group<'_>, times: &[Option<Times<'_>>]) {
    let corrected = corrected(group, times);
    let mut judge = Judge::new(group.floor);
    // The ratio `above` / `below` of two cells' times, as a statement about `about`.
    let mut judged = |above: usize, below: usize, about: usize| {
        let (paired, cold) = compared(times[above].as_ref()?, times[below].as_ref()?)?;
        let found = corrected.get(&pair(above, below)).copied();
        Some(judge.ratio(&paired, cold, found, about == above))
    };
    for (i, cell) in group.cells.iter_mut().enumerate() {
        let baseline = group.baseline.filter(|&baseline| baseline != i);
        cell.speedup = baseline.and_then(|baseline| judged(baseline, i, i));
        let workers = f64::from(cell.cell.id.workers.max(1));
        cell.efficiency = cell.speedup.map(|speedup| speedup.estimate / workers);
        let winner = group.winner.filter(|&winner| winner != i);
        cell.vs_best = winner.and_then(|winner| judged(i, winner, i));
        if cell.vs_best.is_some_and(|ratio| ratio.verdict == Verdict::Tie) {
            group.ties.push(i);
        }
    }
}

/// The pairs of an A/A run. They are what the run is about, and so a question of their own: the
/// correction counts them, and nothing else.
fn pairs(group: &Group<'_>, times: &[Option<Times<'_>>]) -> Vec<Pair> {
    let cells: Vec<&Cell> = group.cells.iter().map(|cell| cell.cell).collect();
    let mut judge = Judge::new(group.floor);
    let found: Vec<(usize, (Paired, bool))> = aa::twins(cells.iter().copied())
        .into_iter()
        .filter_map(|(a, b)| Some((a, compared(times[b].as_ref()?, times[a].as_ref()?)?)))
        .collect();
    let p: Vec<f64> = found.iter().filter_map(|(_, (paired, _))| paired.p).collect();
    let level = SIGNIFICANCE / p.len().max(1) as f64;
    let mut corrected = holm::adjust(&p, p.len()).into_iter();
    let unlabelled: Vec<CellId> =
        cells.iter().map(|cell| CellId { label: None, ..cell.id.clone() }).collect();
    let labels = CellLabels::of(unlabelled.iter());
    let pair = |(a, (paired, cold)): (usize, (Paired, bool))| {
        let found = paired.p.and_then(|_| Some(Corrected { p: corrected.next()?, level }));
        let alone = paired.p.map(|p| Corrected { p, level: SIGNIFICANCE });
        Pair {
            label: labels.label(&unlabelled[a]),
            ratio: judge.ratio(&paired, cold, found, true),
            alone: judge.ratio(&paired, cold, alone, true).verdict,
        }
    };
    found.into_iter().map(pair).collect()
}

/// A p-value after the correction, and the strictest level that the correction may ask of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Corrected {
    pub(crate) p: f64,
    pub(crate) level: f64,
}

/// Judges the comparisons of a group.
pub(crate) struct Judge {
    /// A ratio up to this is a tie.
    smallest: f64,
    /// The critical t for a level and degrees of freedom: few different ones in a group, and each
    /// takes longer to compute than all else of a comparison.
    critical: BTreeMap<(u64, u64), f64>,
}

impl Judge {
    pub(crate) fn new(floor: Option<f64>) -> Self {
        Self { smallest: SMALLEST.max(floor.unwrap_or(1.0)), critical: BTreeMap::new() }
    }

    /// `above`: whether the cell in question is the one whose time is divided.
    fn ratio(&mut self, paired: &Paired, cold: bool, p: Option<Corrected>, above: bool) -> Ratio {
        let degrees = paired.pairs.saturating_sub(1) as f64;
        let error = paired.error.map(|error| (error, degrees));
        let Paired { estimate, interval, pairs, .. } = *paired;
        Ratio {
            estimate,
            interval,
            p: p.map(|p| p.p),
            detectable: self.detectable(error, p.map(|p| p.level)),
            pairs,
            cold,
            verdict: self.verdict(estimate, p.map(|p| p.p), above),
        }
    }

    /// The ratio that would have been seen, from a standard error with its degrees of freedom.
    pub(crate) fn detectable(
        &mut self,
        error: Option<(f64, f64)>,
        level: Option<f64>,
    ) -> Option<f64> {
        let ((error, degrees), level) = error.zip(level)?;
        let critical = *self
            .critical
            .entry((level.to_bits(), degrees.to_bits()))
            .or_insert_with(|| student::critical(1.0 - level, degrees));
        let log = detectable::difference(error, degrees, critical, self.smallest.ln());
        // A machine this wild can tell nothing.
        Some(log.exp()).filter(|ratio| ratio.is_finite())
    }

    /// `above`: whether the cell in question is the one whose time is divided.
    pub(crate) fn verdict(&self, estimate: f64, p: Option<f64>, above: bool) -> Verdict {
        let Some(p) = p else { return Verdict::Inconclusive };
        if p >= SIGNIFICANCE || estimate.max(1.0 / estimate) <= self.smallest {
            return Verdict::Tie;
        }
        if (estimate > 1.0) == above { Verdict::Slower } else { Verdict::Faster }
    }
}

/// The corrected p-value of every comparison that is made, each pair once.
///
/// Two questions share the error that is allowed, half each. *Who differs from the baseline?*
/// asks one comparison per other cell. *Who differs from the winner?* asks more than it seems:
/// the winner is picked by looking at all others, so all their pairs count, made or not. In a
/// simulation of equally fast cells, counting only those made claimed a difference in 7 of 100
/// groups of 11 cells and in 11 of 100 groups of 100.
fn corrected(
    group: &Group<'_>,
    times: &[Option<Times<'_>>],
) -> BTreeMap<(usize, usize), Corrected> {
    let timed: Vec<usize> = (0..times.len()).filter(|&i| times[i].is_some()).collect();
    let others: Vec<usize> = timed.into_iter().filter(|&i| Some(i) != group.baseline).collect();
    let pairs = others.len() * others.len().saturating_sub(1) / 2;
    let share = if group.baseline.is_some() && pairs > 0 { 0.5 } else { 1.0 };
    let question = |reference: Option<usize>, size: usize| -> Vec<((usize, usize), Corrected)> {
        let against = others.iter().filter(|&&i| Some(i) != reference);
        let p = |&i: &usize| {
            let (one, other) = (times[reference?].as_ref()?, times[i].as_ref()?);
            Some((pair(reference?, i), compared(one, other)?.0.p?))
        };
        let (pairs, p): (Vec<_>, Vec<f64>) = against.filter_map(p).unzip();
        let level = SIGNIFICANCE * share / size.max(p.len()).max(1) as f64;
        let adjusted = holm::adjust(&p, size).into_iter();
        let adjusted = adjusted.map(|p| Corrected { p: (p / share).min(1.0), level });
        pairs.into_iter().zip(adjusted).collect()
    };
    let winner = group.winner.filter(|&winner| Some(winner) != group.baseline);
    question(winner, pairs).into_iter().chain(question(group.baseline, others.len())).collect()
}

/// A pair, whichever of the two is named first.
fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// The ratio of two cells' times, and whether cold samples were compared: like with like, so
/// where one has nothing else, the other's cold ones are taken too.
fn compared(above: &Times<'_>, below: &Times<'_>) -> Option<(Paired, bool)> {
    let cold = above.cold || below.cold;
    Some((ratio::paired(above.logs(cold), below.logs(cold))?, cold))
}

/// The workload, with those of its parameters, and its version and input, that differ among the
/// groups of the same workload.
pub(crate) fn group_label(id: &CellId, all: &[&CellId]) -> String {
    let same: Vec<&&CellId> = all.iter().filter(|other| other.workload == id.workload).collect();
    let mut marks: Vec<String> = Vec::new();
    if same.iter().any(|other| other.version != id.version) {
        marks.push(format!("version {}", id.version));
    }
    let differs = |name: &str, value: &String| {
        same.iter().any(|other| other.parameters.get(name) != Some(value))
    };
    let parameters = id.parameters.iter().filter(|(name, value)| differs(name, value));
    marks.extend(parameters.map(|(name, value)| format!("{name}={value}")));
    if same.iter().any(|other| other.input != id.input) {
        // Eight digits of a digest tell inputs apart for a reader.
        let input = id.input.as_deref().unwrap_or("none");
        marks.push(format!("input {}", input.chars().take(8).collect::<String>()));
    }
    if marks.is_empty() {
        return id.workload.clone();
    }
    format!("{} ({})", id.workload, marks.join(", "))
}

/// What a cell's label needs beside its executor to be the only one in its group. What is asked
/// of an executor is not of the others: a group has `rayon` and `threads, chunk 10` and
/// `threads, chunk 20`.
pub(crate) struct CellLabels {
    /// Executors that appear with several numbers of workers.
    workers: BTreeSet<String>,
    /// Executors that appear with several chunks.
    chunks: BTreeSet<String>,
    /// Executors that appear with several rates.
    rates: BTreeSet<String>,
}

impl CellLabels {
    pub(crate) fn of<'a>(ids: impl Iterator<Item = &'a CellId> + Clone) -> Self {
        let varied = |differ: fn(&CellId, &CellId) -> bool| {
            let mut first = BTreeMap::new();
            ids.clone()
                .filter(|id| differ(first.entry(&id.executor).or_insert(*id), id))
                .map(|id| id.executor.clone())
                .collect()
        };
        Self {
            workers: varied(|a, b| a.workers != b.workers),
            chunks: varied(|a, b| a.chunk != b.chunk),
            rates: varied(|a, b| a.rate != b.rate),
        }
    }

    pub(crate) fn label(&self, id: &CellId) -> String {
        let mut parts = vec![id.executor.clone()];
        if self.workers.contains(&id.executor) {
            parts.push(workers(id.workers));
        }
        if self.chunks.contains(&id.executor) {
            parts.push(format!("chunk {}", id.chunk));
        }
        if self.rates.contains(&id.executor) {
            parts.push(rate(id.rate));
        }
        // An A/A run has every cell under two labels, and they alone tell them apart.
        parts.extend(id.label.clone());
        parts.join(", ")
    }
}

/// `500 per second`, or `closed loop`.
fn rate(rate: Option<u32>) -> String {
    rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate} per second"))
}

/// `1 worker`, `2 workers`.
pub(crate) fn workers(workers: u32) -> String {
    format!("{workers} worker{}", if workers == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, failed, launch, record, six, timed};
    use crate::statistics::noise::SplitMix64;
    use crate::{Chunk, Record};

    fn only(record: &Record) -> Group<'_> {
        let mut groups = groups(record);
        assert_eq!(groups.len(), 1);
        groups.remove(0)
    }

    fn verdicts(record: &Record) -> Vec<(Option<Verdict>, Option<Verdict>)> {
        let verdict = |ratio: Option<Ratio>| ratio.map(|ratio| ratio.verdict);
        let group = only(record);
        group.cells.iter().map(|cell| (verdict(cell.speedup), verdict(cell.vs_best))).collect()
    }

    fn command(executor: &str, workers: u32, ns: u64) -> Cell {
        let mut cell = timed(executor, &six(ns, 0));
        cell.id.workload = COMMAND.to_owned();
        cell.id.workers = workers;
        cell
    }

    #[test]
    fn commands_are_compared_with_the_first_ones_one_worker() {
        let tool = "./tool -j{workers}";
        let mut cells = vec![command(tool, 2, 520_000), command(tool, 1, 1_000_000)];
        let own = record(cells.clone());
        let group = only(&own);
        assert_eq!((group.baseline, group.baseline_name()), (Some(1), "one worker of its own"));
        assert_eq!(group.cells[0].speedup.unwrap().verdict, Verdict::Faster);
        cells.push(command("./other", 1, 300_000));
        let several = record(cells);
        let group = only(&several);
        let expected = (Some(1), "one worker of the first command");
        assert_eq!((group.baseline, group.baseline_name()), expected);
        let plain = record(vec![command("./a", 1, 9_000), command("./b", 1, 7_000)]);
        assert_eq!(only(&plain).baseline_name(), "the first command");
    }

    #[test]
    fn commands_without_a_run_of_one_worker_have_no_baseline() {
        let record = record(vec![command("./tool {workers}", 2, 9_000), command("./b", 1, 7_000)]);
        assert_eq!(only(&record).baseline, None);
    }

    #[test]
    fn clear_differences_are_told_and_small_ones_are_ties() {
        use Verdict::{Faster, Slower, Tie};
        let record = record(vec![
            timed("sequential", &six(1_000_000, 0)),
            timed("threads", &six(520_000, 0)),
            timed("rayon", &six(523_000, 1)),
            timed("processes", &six(2_000_000, 1)),
        ]);
        let expected = [
            (None, Some(Slower)),
            (Some(Faster), None),
            (Some(Faster), Some(Tie)),
            (Some(Slower), Some(Slower)),
        ];
        assert_eq!(verdicts(&record), expected);
        let group = only(&record);
        assert_eq!((group.baseline, group.winner, &group.ties[..]), (Some(0), Some(1), &[2][..]));
        assert!(group.undecided().is_empty());
        // p-values of the same comparison agree, whichever way it is looked at.
        assert_eq!(group.cells[1].speedup.unwrap().p, group.cells[0].vs_best.unwrap().p);
    }

    #[test]
    fn ratios_are_those_of_the_printed_times() {
        let record =
            record(vec![timed("sequential", &six(1_000, 0)), timed("threads", &six(400, 1))]);
        let group = only(&record);
        let [sequential, threads] = &group.cells[..] else { panic!("two cells") };
        let (slow, fast) = (sequential.time.unwrap().ns, threads.time.unwrap().ns);
        let speedup = threads.speedup.unwrap();
        assert!((speedup.estimate - slow / fast).abs() < 1e-9);
        assert!((sequential.vs_best.unwrap().estimate - slow / fast).abs() < 1e-9);
        assert!((threads.efficiency.unwrap() - slow / fast / 2.0).abs() < 1e-9);
        assert_eq!(speedup.interval, sequential.vs_best.unwrap().interval);
    }

    #[test]
    fn a_tie_says_what_would_have_been_seen() {
        let cells = |rounds: usize| {
            let walls = |wall: u64, seed: usize| -> Vec<u64> {
                (0..rounds.div_ceil(6)).flat_map(|_| six(wall, seed)).take(rounds).collect()
            };
            vec![timed("sequential", &walls(1_000_000, 0)), timed("rayon", &walls(1_000_000, 1))]
        };
        let seen = |rounds| {
            let record = record(cells(rounds));
            let speedup = only(&record).cells[1].speedup.unwrap();
            assert_eq!(speedup.verdict, Verdict::Tie);
            (speedup.detectable.unwrap(), speedup.interval.unwrap())
        };
        let (few, interval) = seen(6);
        // A true difference must be larger than half the interval, or it would be missed in
        // every other run.
        assert!(few > (interval.high / interval.low).sqrt(), "{few}, {interval:?}");
        let (many, _) = seen(60);
        assert!(many < few && many >= SMALLEST, "{many} and {few}");
        // More comparisons ask for stronger evidence, and so for a larger difference.
        let mut crowd = cells(6);
        crowd.extend((0..20).map(|n| timed(&format!("e{n}"), &six(1_000_000, n))));
        let record = record(crowd);
        assert!(only(&record).cells[1].speedup.unwrap().detectable.unwrap() > few);
    }

    #[test]
    fn below_six_rounds_there_is_a_ratio_but_no_verdict() {
        let record = record(vec![
            timed("sequential", &[1_000, 1_010, 990]),
            timed("threads", &[500, 501, 502]),
        ]);
        let group = only(&record);
        let speedup = group.cells[1].speedup.unwrap();
        assert_eq!((speedup.verdict, speedup.pairs), (Verdict::Inconclusive, 3));
        assert_eq!((speedup.interval, speedup.p, speedup.detectable), (None, None, None));
        assert!((speedup.estimate - 2.0).abs() < 0.01);
        assert!(group.undecided() == [0] && group.ties.is_empty());
    }

    #[test]
    fn a_sure_difference_below_two_percent_is_a_tie() {
        let slow: Vec<u64> = vec![1_015_000; 6];
        let record = record(vec![timed("sequential", &slow), timed("rayon", &[1_000_000; 6])]);
        let group = only(&record);
        let speedup = group.cells[1].speedup.unwrap();
        assert_eq!((speedup.p, speedup.verdict), (Some(0.0), Verdict::Tie));
    }

    #[test]
    fn a_noisy_run_calls_larger_differences_ties() {
        // Halves of `wild` differ by far more than 10 %, so nobody's 10 % may be believed.
        let record = record(vec![
            timed("sequential", &[1_100_000; 6]),
            timed("rayon", &[1_000_000; 6]),
            timed("wild", &[4_000_000, 9_000_000, 2_000_000, 8_000_000, 3_000_000, 9_000_000]),
        ]);
        assert!(noise_floor(&record).unwrap() > 1.1);
        assert_eq!(verdicts(&record)[1].0, Some(Verdict::Tie));
    }

    #[test]
    fn failed_cells_are_rows_that_are_compared_with_nothing() {
        let mut bad = timed("processes", &six(100, 0));
        bad.launches.push(failed(6));
        let record = record(vec![timed("sequential", &six(1_000, 0)), bad, cell("rayon", vec![])]);
        let group = only(&record);
        assert_eq!((group.winner, group.cells.len()), (Some(0), 3));
        assert!(group.cells[1].failure.is_some());
        assert_eq!((group.cells[1].time, group.cells[1].speedup), (None, None));
        assert_eq!(group.cells[2].time, None);
    }

    #[test]
    fn like_is_compared_with_like_where_a_cell_has_only_cold_samples() {
        let cold = (0..6).map(|round| launch(round, &[4_000])).collect();
        let record = record(vec![cell("sequential", cold), timed("threads", &[1_000; 6])]);
        let group = only(&record);
        let speedup = group.cells[1].speedup.unwrap();
        // timed() makes the cold sample twice as long as the warm ones.
        assert!(speedup.cold && (speedup.estimate - 2.0).abs() < 1e-9, "{speedup:?}");
        assert!(group.cells[0].time.unwrap().cold);
    }

    #[test]
    fn groups_are_told_apart_by_what_differs_and_cells_by_what_varies() {
        let mut other = timed("threads", &[5; 6]);
        other.id.parameters.insert("limit".to_owned(), "2000".to_owned());
        let mut four = timed("threads", &[5; 6]);
        four.id.workers = 4;
        let mut chunked = timed("rayon", &[5; 6]);
        chunked.id.chunk = Chunk::Tasks(10);
        let cells = vec![
            timed("threads", &[5; 6]),
            other,
            four,
            timed("rayon", &[5; 6]),
            chunked,
            timed("sequential", &[5; 6]),
        ];
        let record = record(cells);
        let groups = groups(&record);
        let labels: Vec<&str> = groups.iter().map(|group| group.label.as_str()).collect();
        assert_eq!(labels, ["primes (limit=1000)", "primes (limit=2000)"]);
        let labels: Vec<&str> = groups[0].cells.iter().map(|cell| cell.label.as_str()).collect();
        let expected = [
            "threads, 2 workers",
            "threads, 4 workers",
            "rayon, chunk auto",
            "rayon, chunk 10",
            "sequential",
        ];
        assert_eq!(labels, expected);
        assert_eq!(groups[1].cells[0].speedup, None);
    }

    #[test]
    fn experiments_and_cells_with_a_rate_of_their_own_have_no_winner() {
        let cells = || vec![timed("sequential", &[9; 6]), timed("threads", &[5; 6])];
        let mut probe = record(cells());
        assert_eq!((only(&probe).unranked(), only(&probe).winner), (None, Some(1)));
        probe.header.workloads[0].kind = "overhead".to_owned();
        assert_eq!(only(&probe).unranked(), None);
        probe.header.workloads[0].shape = "probe".to_owned();
        let mut open = record(cells());
        open.cells[1].id.rate = Some(400);
        for (record, why) in [(&probe, Unranked::Experiment), (&open, Unranked::Rate)] {
            let group = only(record);
            assert_eq!(group.unranked(), Some(why));
            assert_eq!((group.winner, group.baseline), (None, None));
            assert!(group.cells.iter().all(|cell| cell.time.is_some() && cell.speedup.is_none()));
        }
    }

    #[test]
    fn rates_and_labels_tell_cells_of_a_group_apart() {
        let with = |rate, label: Option<&str>| {
            let mut cell = timed("async", &[5; 6]);
            (cell.id.rate, cell.id.label) = (rate, label.map(str::to_owned));
            cell
        };
        let cells = vec![with(None, None), with(Some(500), Some("A")), with(Some(500), Some("B"))];
        let record = record(cells);
        let labels: Vec<String> = only(&record).cells.into_iter().map(|cell| cell.label).collect();
        let expected =
            ["async, closed loop", "async, 500 per second, A", "async, 500 per second, B"];
        assert_eq!(labels, expected);
    }

    #[test]
    fn among_equals_a_difference_is_claimed_in_at_most_one_group_of_twenty() {
        // Eleven equally fast cells with 3 % of noise between launches.
        let mut random = SplitMix64::new(9);
        let mut time = || (1e6 * (0.03 * random.normal()).exp()) as u64;
        let mut wrong = 0;
        for _ in 0..200 {
            let names = (0..10).map(|i| format!("e{i}")).chain([BASELINE.to_owned()]);
            let mut walls = || (0..10).map(|_| time()).collect::<Vec<_>>();
            let cells = names.map(|name| timed(&name, &walls())).collect();
            let record = record(cells);
            let told = |ratio: Option<Ratio>| {
                ratio.is_some_and(|r| matches!(r.verdict, Verdict::Faster | Verdict::Slower))
            };
            wrong +=
                usize::from(only(&record).cells.iter().any(|c| told(c.speedup) || told(c.vs_best)));
        }
        assert!(wrong <= 10, "{wrong} of 200");
    }

    #[test]
    fn hostile_numbers_give_no_panic_and_nothing_infinite() {
        let mut cells = vec![
            timed("sequential", &[0; 6]),
            timed("threads", &[0, u64::MAX / 2, 0, 1, 0, u64::MAX / 2]),
            cell("rayon", vec![launch(0, &[]), launch(0, &[7, 7]), launch(0, &[8, 8])]),
            cell("processes", vec![]),
        ];
        cells[1].id.workers = 0;
        cells[1].launches[0].samples[1].user_ns = Some(u64::MAX);
        cells[1].launches[0].samples[1].system_ns = Some(u64::MAX);
        let record = record(cells);
        for cell in &only(&record).cells {
            let ratios = [cell.speedup, cell.vs_best];
            for ratio in ratios.into_iter().flatten() {
                assert!(ratio.estimate.is_finite() && ratio.estimate > 0.0, "{ratio:?}");
                assert!(ratio.interval.is_none_or(|i| i.low > 0.0 && i.high.is_finite()));
            }
            assert!(cell.efficiency.is_none_or(f64::is_finite));
            assert!(cell.time.is_none_or(|time| time.ns >= 1.0));
        }
        assert!(groups(&crate::fixture::record(vec![])).is_empty());
    }
}
