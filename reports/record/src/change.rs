//! What changed between two runs.
//!
//! Cells are matched by their whole identity and compared by the rule of a single run: a
//! *change* is a difference whose p-value, corrected for the number of matched cells of its
//! workload (Holm), is below 0.05 and whose estimate is beyond 2 % and the larger of the two
//! runs' noise floors. Launches of two runs are not paired ([`crate::statistics::welch`]).

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::statistics::{Estimate, Interval, Times, Unpaired, holm, welch};
use crate::summary::Verdict;
use crate::verdict::{
    CellLabels, Judge, SIGNIFICANCE, group_label, groups, key, noise_floor, sound,
};
use crate::{Cell, CellId, FailureKind, Machine, Record};

/// Two records, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'a> {
    /// The matched cells, by workload, in the order of the new record.
    pub workloads: Vec<Changes<'a>>,
    /// Cells of the old record that the new one does not have.
    pub only_old: Vec<&'a CellId>,
    /// Cells of the new record that the old one does not have.
    pub only_new: Vec<&'a CellId>,
    /// Cells whose answer is wrong in the new record and was not in the old one.
    pub wrong: Vec<&'a CellId>,
    /// Cells that had a time in the old record and fail in the new one, in another way.
    pub failed: Vec<&'a CellId>,
    /// The larger noise floor of the two runs; absent where one has none.
    pub floor: Option<f64>,
}

/// The matched cells of one workload with its parameters and input.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes<'a> {
    /// The workload, with whatever tells it from others of the same name.
    pub label: String,
    /// In the order of the new record.
    pub changes: Vec<Change<'a>>,
}

/// A cell in both records.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// The shortest name that no other cell of its workload has.
    pub label: String,
    /// As it was.
    pub old: &'a Cell,
    /// As it is.
    pub new: &'a Cell,
    /// Its time as it was; absent where it failed or was not measured.
    pub old_time: Option<Estimate>,
    /// Its time as it is.
    pub new_time: Option<Estimate>,
    /// The comparison; absent where one of the two has no time.
    pub difference: Option<Difference>,
}

/// How a cell's time changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// New time / old time.
    pub estimate: f64,
    /// 95 %, of this comparison alone; absent below six launches of either.
    pub interval: Option<Interval>,
    /// The p-value of "nothing changed", corrected for the matched cells of the workload; absent
    /// as the interval is.
    pub p: Option<f64>,
    /// The smallest ratio (above 1) that would have been called a change in 80 of 100 such pairs
    /// of runs; absent as the interval is.
    pub detectable: Option<f64>,
    /// Whether first, cold samples were compared, because one of the two has no others.
    pub cold: bool,
    /// What may be said about the new time.
    pub verdict: Verdict,
    unpaired: Unpaired,
}

/// Compares two records. Whether they may be compared, [`refusal`] says.
pub fn compare<'a>(old: &'a Record, new: &'a Record) -> Comparison<'a> {
    let floor = noise_floor(old).zip(noise_floor(new)).map(|(old, new)| old.max(new));
    let known: BTreeMap<&CellId, &Cell> = old.cells.iter().map(|cell| (&cell.id, cell)).collect();
    let mut places = BTreeMap::new();
    let mut members: Vec<Vec<(&Cell, &Cell)>> = Vec::new();
    for cell in &new.cells {
        let Some(before) = known.get(&cell.id) else { continue };
        let place = *places.entry(key(&cell.id)).or_insert(members.len());
        if place == members.len() {
            members.push(Vec::new());
        }
        members[place].push((before, cell));
    }
    let firsts: Vec<&CellId> = members.iter().map(|cells| &cells[0].1.id).collect();
    let labels: Vec<String> = firsts.iter().map(|id| group_label(id, &firsts)).collect();
    let workloads = members.iter().zip(labels);
    let others: BTreeMap<&CellId, ()> = new.cells.iter().map(|cell| (&cell.id, ())).collect();
    let missing = |cell: &&Cell| !others.contains_key(&cell.id);
    let (wrong, failed) = failing(&known, new);
    Comparison {
        wrong,
        failed,
        workloads: workloads.map(|(cells, label)| changes(cells, label, floor)).collect(),
        only_old: old.cells.iter().filter(missing).map(|cell| &cell.id).collect(),
        only_new: new.cells.iter().map(|c| &c.id).filter(|id| !known.contains_key(id)).collect(),
        floor,
    }
}

/// What fails in the new record and did not in the old one: wrong answers, then the rest.
fn failing<'a>(
    known: &BTreeMap<&CellId, &Cell>,
    new: &'a Record,
) -> (Vec<&'a CellId>, Vec<&'a CellId>) {
    let is_wrong = |cell: &Cell| cell.failure().map(|f| f.kind) == Some(FailureKind::WrongAnswer);
    let (mut wrong, mut failed) = (Vec::new(), Vec::new());
    for cell in new.cells.iter().filter(|cell| cell.failure().is_some()) {
        let before = known.get(&cell.id);
        if is_wrong(cell) {
            if !before.is_some_and(|before| is_wrong(before)) {
                wrong.push(&cell.id);
            }
        } else if before.is_some_and(|before| sound(before).is_some()) {
            failed.push(&cell.id);
        }
    }
    (wrong, failed)
}

fn changes<'a>(cells: &[(&'a Cell, &'a Cell)], label: String, floor: Option<f64>) -> Changes<'a> {
    let labels = CellLabels::of(cells.iter().map(|(_, new)| &new.id));
    let mut changes: Vec<Change<'a>> = cells
        .iter()
        .map(|&(old, new)| {
            let (old_times, new_times) = (sound(old), sound(new));
            Change {
                label: labels.label(&new.id),
                old,
                new,
                difference: old_times.as_ref().zip(new_times.as_ref()).and_then(difference),
                old_time: old_times.map(|times| times.estimate()),
                new_time: new_times.map(|times| times.estimate()),
            }
        })
        .collect();
    judge(&mut changes, floor);
    Changes { label, changes }
}

/// The ratio, not yet judged.
fn difference((old, new): (&Times<'_>, &Times<'_>)) -> Option<Difference> {
    // Like with like: where one has only cold samples, the other's cold ones are taken too.
    let cold = old.cold || new.cold;
    let logs =
        |times: &Times<'_>| -> Vec<f64> { times.logs(cold).iter().map(|&(_, log)| log).collect() };
    let unpaired = welch::unpaired(&logs(new), &logs(old))?;
    Some(Difference {
        estimate: unpaired.estimate,
        interval: unpaired.interval,
        p: None,
        detectable: None,
        cold,
        verdict: Verdict::Inconclusive,
        unpaired,
    })
}

fn judge(changes: &mut [Change<'_>], floor: Option<f64>) {
    let mut judge = Judge::new(floor);
    let p = corrected(changes.iter(), 1.0);
    let level = SIGNIFICANCE / p.iter().flatten().count().max(1) as f64;
    for (change, p) in changes.iter_mut().zip(p) {
        if let Some(found) = &mut change.difference {
            found.p = p;
            found.detectable = judge.detectable(found.unpaired.error, Some(level));
            found.verdict = judge.verdict(found.estimate, p, true);
        }
    }
}

/// For each change the corrected p-value of "the ratio is this one".
fn corrected<'a, 'b: 'a>(
    changes: impl Iterator<Item = &'a Change<'b>>,
    ratio: f64,
) -> Vec<Option<f64>> {
    let p: Vec<Option<f64>> =
        changes.map(|change| change.difference.as_ref()?.unpaired.p_of(ratio)).collect();
    let known: Vec<f64> = p.iter().copied().flatten().collect();
    let mut adjusted = holm::adjust(&known, known.len()).into_iter();
    p.into_iter().map(|p| p.and_then(|_| adjusted.next())).collect()
}

/// Whether no cell became slower by more than a bound.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound<'a> {
    /// None did: every interval ends below it, and no cell is gone.
    Met,
    /// These did. Others may be unclear besides.
    Broken(Vec<&'a Change<'a>>),
    /// Of these it cannot be told: an interval holds the bound, there are too few launches for
    /// one, or the cell fails now and did not before. None are named where all that is missing
    /// are cells that the new record does not have ([`Comparison::only_old`]).
    Inconclusive(Vec<&'a Change<'a>>),
}

/// Judges a comparison by a bound: 0.05 allows new times up to 5 % longer than the old ones.
///
/// *Broken* is a bound that a cell's ratio exceeds, significantly after Holm's correction for the
/// matched cells of the workload, in a cell that is slower by the rule of all differences. *Met*
/// needs no correction: it is said only if it holds of every cell, each by its own interval
/// (Berger 1982, intersection-union tests). A cell that failed in both records, or in the old
/// one, breaks nothing.
pub fn bound<'a>(comparison: &'a Comparison<'a>, fail_above: f64) -> Bound<'a> {
    let limit = 1.0 + fail_above;
    let (mut broken, mut unclear) = (Vec::new(), Vec::new());
    for workload in &comparison.workloads {
        let p = corrected(workload.changes.iter(), limit);
        for (change, p) in workload.changes.iter().zip(p) {
            match standing(change, p, limit) {
                Some(Standing::Above) => broken.push(change),
                Some(Standing::Unclear) => unclear.push(change),
                None => {}
            }
        }
    }
    match (broken.is_empty(), unclear.is_empty() && comparison.only_old.is_empty()) {
        (false, _) => Bound::Broken(broken),
        (true, false) => Bound::Inconclusive(unclear),
        (true, true) => Bound::Met,
    }
}

enum Standing {
    Above,
    Unclear,
}

/// Where a cell stands to the limit, unless it is below it.
fn standing(change: &Change<'_>, p: Option<f64>, limit: f64) -> Option<Standing> {
    let Some(found) = change.difference else {
        let fails_now = change.new_time.is_none() && change.old_time.is_some();
        return fails_now.then_some(Standing::Unclear);
    };
    let beyond = p.is_some_and(|p| p < SIGNIFICANCE) && found.estimate > limit;
    if beyond && found.verdict == Verdict::Slower {
        return Some(Standing::Above);
    }
    let below = found.interval.is_some_and(|interval| interval.high <= limit);
    (!below).then_some(Standing::Unclear)
}

/// Memory of the same machine may differ by what the kernel keeps for itself.
const SAME_MEMORY: f64 = 0.05;

/// Why two records must not be compared: they were made on different machines, or with different
/// parts of the same one. One line with what differs; `None` where nothing does.
pub fn refusal(old: &Record, new: &Record) -> Option<String> {
    let differs = differing(&old.header.machine, &new.header.machine);
    (!differs.is_empty())
        .then(|| format!("the records were made on different machines: {}", differs.join("; ")))
}

fn differing(old: &Machine, new: &Machine) -> Vec<String> {
    let mut found = Vec::new();
    let mut field = |name: &str, old: Option<String>, new: Option<String>| {
        if old != new {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
            found.push(format!("{name} {} and {}", shown(old), shown(new)));
        }
    };
    fn text(value: Option<impl Display>) -> Option<String> {
        value.map(|value| value.to_string())
    }
    field("system", text(Some(&old.os)), text(Some(&new.os)));
    field("architecture", text(Some(&old.architecture)), text(Some(&new.architecture)));
    field("processor", old.processor.clone(), new.processor.clone());
    field("logical cores", text(Some(old.logical_cores)), text(Some(new.logical_cores)));
    field("physical cores", text(old.physical_cores), text(new.physical_cores));
    field("usable cores", text(Some(old.usable_cores)), text(Some(new.usable_cores)));
    field("affinity", text(old.affinity), text(new.affinity));
    field("quota", text(old.quota), text(new.quota));
    field("virtualization", old.virtualization.clone(), new.virtualization.clone());
    field("memory limit", text(old.memory_limit), text(new.memory_limit));
    let close =
        |(old, new): (u64, u64)| old.abs_diff(new) as f64 <= SAME_MEMORY * old.max(new) as f64;
    if !old.memory.zip(new.memory).is_some_and(close) {
        field("memory", text(old.memory), text(new.memory));
    }
    found
}

/// What differs between two records and does not forbid to compare them, a line each: it may be
/// what was meant to be compared, or what explains a change.
pub fn notes(old: &Record, new: &Record) -> Vec<String> {
    let (was, is) = (&old.header, &new.header);
    let mut notes = Vec::new();
    let mut note = |name: &str, old: Option<&str>, new: Option<&str>| {
        if old != new {
            let shown = |value: Option<&str>| value.unwrap_or("unknown").to_owned();
            notes.push(format!("{name}: {}, then {}", shown(old), shown(new)));
        }
    };
    note("manyhands", Some(&was.version), Some(&is.version));
    let (old, new) = (&was.machine, &is.machine);
    note("kernel", old.kernel.as_deref(), new.kernel.as_deref());
    note("governor", old.governor.as_deref(), new.governor.as_deref());
    note("clock", old.clock_source.as_deref(), new.clock_source.as_deref());
    let names: BTreeMap<&String, ()> =
        old.versions.keys().chain(new.versions.keys()).map(|name| (name, ())).collect();
    for name in names.into_keys().filter(|name| *name != "manyhands") {
        let of = |machine: &'_ Machine| machine.versions.get(name).cloned();
        note(name, of(old).as_deref(), of(new).as_deref());
    }
    if was.seed != is.seed {
        notes.push(format!(
            "seed: {}, then {}; what is generated from it is not the same input",
            was.seed, is.seed
        ));
    }
    notes
}

/// Why a cell has no time, in a few words.
pub fn gap(cell: &Cell) -> &'static str {
    match cell.failure().map(|failure| failure.kind) {
        None => "not measured",
        Some(FailureKind::Unsupported) => "unsupported",
        Some(FailureKind::WrongAnswer) => "WRONG ANSWER",
        Some(_) => "failed",
    }
}

/// A cell's name where it stands alone: `primes (limit=1000), threads with 2 workers`.
pub fn name(id: &CellId, record: &Record) -> String {
    let found = groups(record).into_iter().find_map(|group| {
        let cell = group.cells.iter().find(|cell| cell.cell.id == *id)?;
        Some(format!("{}, {}", group.label, cell.label))
    });
    found.unwrap_or_else(|| format!("{}, {}", id.workload, id.executor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, failed, failed_by, record, six, timed};

    fn scaled(walls: &[u64], percent: u64) -> Vec<u64> {
        walls.iter().map(|wall| wall * percent / 100).collect()
    }

    fn verdicts(comparison: &Comparison<'_>) -> Vec<Option<Verdict>> {
        let changes = comparison.workloads.iter().flat_map(|workload| &workload.changes);
        changes.map(|change| change.difference.map(|found| found.verdict)).collect()
    }

    #[test]
    fn cells_are_matched_by_identity_and_only_differences_are_changes() {
        let old = record(vec![
            timed("sequential", &six(1_000_000, 0)),
            timed("threads", &six(500_000, 0)),
            timed("rayon", &six(500_000, 0)),
            timed("processes", &six(500_000, 0)),
        ]);
        let mut other = timed("processes", &six(500_000, 0));
        other.id.workers = 4;
        let new = record(vec![
            other,
            timed("threads", &scaled(&six(500_000, 1), 120)),
            timed("rayon", &scaled(&six(500_000, 1), 80)),
            timed("sequential", &six(1_000_000, 1)),
        ]);
        let found = compare(&old, &new);
        let expected = [Verdict::Slower, Verdict::Faster, Verdict::Tie].map(Some);
        assert_eq!(verdicts(&found), expected);
        assert_eq!(found.workloads.len(), 1);
        let [threads, _, sequential] = &found.workloads[0].changes[..] else { panic!("three") };
        let ratio = threads.difference.unwrap();
        assert!((ratio.estimate - 1.2).abs() < 0.01, "{ratio:?}");
        assert!(
            (ratio.estimate - threads.new_time.unwrap().ns / threads.old_time.unwrap().ns).abs()
                < 1e-9
        );
        assert!(sequential.difference.unwrap().detectable.unwrap() > 1.02);
        assert_eq!(found.only_old, [&old.cells[3].id]);
        assert_eq!(found.only_new, [&new.cells[0].id]);
        let floors = [&old, &new].map(|record| noise_floor(record).unwrap());
        assert_eq!(found.floor, Some(floors[0].max(floors[1])));
    }

    #[test]
    fn a_noisy_run_on_either_side_calls_larger_changes_ties() {
        let wild = [4_000_000, 9_000_000, 2_000_000, 8_000_000, 3_000_000, 9_000_000];
        let quiet = record(vec![timed("threads", &[1_100_000; 6])]);
        let mut noisy = record(vec![timed("threads", &[1_000_000; 6])]);
        assert_eq!(verdicts(&compare(&noisy, &quiet)), [Some(Verdict::Slower)]);
        noisy.cells.push(timed("wild", &wild));
        assert_eq!(verdicts(&compare(&noisy, &quiet)), [Some(Verdict::Tie)]);
        assert_eq!(verdicts(&compare(&quiet, &noisy)), [Some(Verdict::Tie)]);
    }

    #[test]
    fn what_failed_or_has_too_few_launches_is_a_row_without_a_verdict() {
        let old = record(vec![
            timed("threads", &[1_000; 6]),
            cell("rayon", vec![failed(0)]),
            timed("async", &[1_000; 6]),
        ]);
        let wrong = failed_by(0, FailureKind::WrongAnswer, "7, not 8");
        let new = record(vec![
            cell("threads", vec![wrong]),
            timed("rayon", &[1_000; 6]),
            timed("async", &[1_000; 5]),
        ]);
        let found = compare(&old, &new);
        assert_eq!(verdicts(&found), [None, None, Some(Verdict::Inconclusive)]);
        assert_eq!((gap(&new.cells[0]), gap(&old.cells[1])), ("WRONG ANSWER", "failed"));
        // What fails now, and what has too few launches; what used to fail breaks nothing.
        let Bound::Inconclusive(unclear) = bound(&found, 0.5) else { panic!("{found:?}") };
        let labels: Vec<&str> = unclear.iter().map(|change| change.label.as_str()).collect();
        assert_eq!(labels, ["threads", "async"]);
    }

    #[test]
    fn a_bound_is_broken_met_or_cannot_be_told() {
        let judged = |old: &[u64], new: &[u64], limit: f64| {
            let (old, new) =
                (record(vec![timed("threads", old)]), record(vec![timed("threads", new)]));
            match bound(&compare(&old, &new), limit) {
                Bound::Met => "met",
                Bound::Broken(_) => "broken",
                Bound::Inconclusive(_) => "unclear",
            }
        };
        let (old, slower) = (six(1_000_000, 0), scaled(&six(1_000_000, 1), 110));
        assert_eq!(judged(&old, &slower, 0.05), "broken");
        assert_eq!(judged(&old, &slower, 0.10), "unclear");
        assert_eq!(judged(&old, &slower, 0.15), "met");
        assert_eq!(judged(&slower, &old, 0.0), "met");
        // Surely more than 1 %, but no difference by the rule: the bound is finer than the run.
        assert_eq!(judged(&[1_000_000; 6], &[1_015_000; 6], 0.01), "unclear");
        assert_eq!(judged(&[1_000_000; 6], &[1_000_000; 6], 0.0), "met");
    }

    #[test]
    fn what_fails_now_and_did_not_is_found_and_a_cell_that_is_gone_is_no_bound_met() {
        let wrong = |name| cell(name, vec![failed_by(0, FailureKind::WrongAnswer, "7, not 8")]);
        let slow = |name| cell(name, vec![failed(0)]);
        let fine = |name| timed(name, &[1_000; 6]);
        let old = record(vec![fine("a"), fine("b"), slow("c"), slow("d"), wrong("e"), wrong("f")]);
        let new = record(vec![wrong("a"), slow("b"), wrong("c"), slow("d"), wrong("e"), fine("f")]);
        let found = compare(&old, &new);
        let names = |ids: &[&CellId]| {
            ids.iter().map(|id| id.executor.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((names(&found.wrong), names(&found.failed)), ("a c".into(), "b".into()));
        let (old, new) = (record(vec![fine("a"), fine("b")]), record(vec![fine("a")]));
        assert_eq!(bound(&compare(&old, &new), 0.5), Bound::Inconclusive(vec![]));
        assert_eq!(bound(&compare(&new, &old), 0.5), Bound::Met);
    }

    #[test]
    fn a_broken_bound_is_told_before_an_unclear_one() {
        let cells = |threads: u64| {
            record(vec![timed("threads", &[threads; 6]), timed("rayon", &[threads; 3])])
        };
        let (old, new) = (cells(1_000), cells(2_000));
        let found = compare(&old, &new);
        let Bound::Broken(broken) = bound(&found, 0.05) else { panic!("{found:?}") };
        assert_eq!(broken.iter().map(|change| &change.label).collect::<Vec<_>>(), ["threads"]);
    }

    #[test]
    fn other_machines_are_refused_by_what_differs_and_versions_are_noted() {
        let (old, mut new) = (record(vec![]), record(vec![]));
        assert_eq!((refusal(&old, &new), notes(&old, &new)), (None, vec![]));
        new.header.version = "0.2.0".to_owned();
        new.header.seed = 7;
        new.header.machine.versions.insert("rayon".to_owned(), "1.12.0".to_owned());
        assert_eq!(refusal(&old, &new), None);
        assert_eq!(
            notes(&old, &new),
            [
                "manyhands: 0.1.0, then 0.2.0",
                "rayon: unknown, then 1.12.0",
                "seed: 18446744073709551615, then 7; what is generated from it is not the same \
                 input",
            ]
        );
        new.header.machine.processor = Some("Fast 3000".to_owned());
        new.header.machine.usable_cores = 8;
        assert_eq!(
            refusal(&old, &new).unwrap(),
            "the records were made on different machines: processor unknown and Fast 3000; \
             usable cores 0 and 8"
        );
    }

    #[test]
    fn a_little_more_memory_is_the_same_machine() {
        let (mut old, mut new) = (record(vec![]), record(vec![]));
        old.header.machine.memory = Some(16_000_000_000);
        new.header.machine.memory = Some(15_900_000_000);
        assert_eq!(refusal(&old, &new), None);
        new.header.machine.memory = Some(8_000_000_000);
        assert!(refusal(&old, &new).unwrap().contains("memory 16000000000 and 8000000000"));
    }

    #[test]
    fn hostile_numbers_give_no_panic_and_nothing_infinite() {
        let wild = [0, u64::MAX / 2, 0, 1, 0, u64::MAX / 2];
        let (old, new) = (record(vec![timed("e", &wild)]), record(vec![timed("e", &[0; 6])]));
        for (old, new) in [(&old, &new), (&new, &old)] {
            let found = compare(old, new);
            let change = found.workloads[0].changes[0].difference.unwrap();
            assert!(change.estimate.is_finite() && change.estimate > 0.0, "{change:?}");
            bound(&found, 0.05);
        }
        assert!(compare(&record(vec![]), &old).workloads.is_empty());
    }
}
