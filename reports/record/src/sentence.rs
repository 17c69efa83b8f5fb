//! What a group comes to, in plain English.

use crate::format;
use crate::statistics::interval::MIN_LAUNCHES;
use crate::summary::{CellSummary, Ratio, Verdict};
use crate::verdict::{Group, Unranked, workers};
use crate::{Failure, FailureKind, Outliers, Record, Status, precision};

/// More names than this make no sentence.
const NAMES: usize = 4;

/// A group in a sentence or a few: who wins, who ties with it, by how much against sequential
/// and at what cost; what limits it; and what failed.
///
/// Cells without launches are not spoken of. `None` where no cell has any.
pub fn sentence(group: &Group<'_>) -> Option<String> {
    if group.cells.iter().all(|cell| cell.cell.launches.is_empty()) {
        return None;
    }
    if !group.pairs.is_empty() {
        return Some(format!("{}: {}", group.label, machine(std::slice::from_ref(group))));
    }
    let mut parts = Vec::new();
    match group.winner {
        Some(winner) => {
            parts.push(outcome(group, winner));
            parts.extend(cost(group, winner));
            parts.extend(undecided(group));
            parts.extend(limit(&group.cells[winner]));
        }
        None if group.cells.iter().any(|cell| cell.time.is_some()) => {
            parts.extend(group.unranked().map(unranked));
        }
        None if group.cells.iter().all(|cell| cell.failure.is_none()) => {
            parts.push("no times were measured.".to_owned());
        }
        None => parts.push("nobody finished.".to_owned()),
    }
    parts.extend(failures(group));
    Some(format!("{}: {}", group.label, parts.join(" ")))
}

/// What is said in place of who wins.
fn unranked(why: Unranked) -> String {
    match why {
        Unranked::Experiment => {
            "an experiment. Its result is what it counts; its times are of work \
                                 that need not be the same, and are not ranked."
                .to_owned()
        }
        Unranked::Rate => {
            "the wall time is set by the rate at which tasks come, so nobody wins by \
                           it; compare the latencies."
                .to_owned()
        }
    }
}

/// What an A/A run says about its machine, over all groups; `None` for another record.
pub fn aa(record: &Record) -> Option<String> {
    record.header.aa.then(|| machine(&crate::verdict::groups(record)))
}

fn machine(groups: &[Group<'_>]) -> String {
    let found = crate::aa::of_groups(groups);
    let all = found.pairs.len();
    let unjudged = match found.unjudged {
        0 => String::new(),
        n => format!(" {n} more failed or had too few rounds."),
    };
    let Some(((usual, largest), detectable)) = found.usual.zip(found.largest).zip(found.detectable)
    else {
        return format!("no pair of equal cells could be compared.{unjudged}");
    };
    let difference = |ratio: f64| format::percent(ratio - 1.0);
    format!(
        "equal cells were measured under two names, so every difference is chance. {} of {all} \
         pairs {} claimed to differ, {} if each had been the only one; the largest difference was \
         {}, and 95 of 100 are below {}. A true difference of {} would be seen here.{unjudged}",
        found.claimed,
        if found.claimed == 1 { "was" } else { "were" },
        found.claimed_alone,
        difference(largest),
        difference(usual),
        difference(detectable),
    )
}

/// Which of the two ended a run that had a precision to reach: the precision, or the time. `None`
/// where the number of rounds was fixed.
pub fn stopping(record: &Record) -> Option<String> {
    let (pending, timed) = precision::pending_of(record)?;
    let within = format::percent(record.header.precision?);
    let missed = match pending {
        0 => format!("every interval is within {within}"),
        n => format!("{n} of {timed} cells are not within {within} yet"),
    };
    match record.status {
        Status::Complete => None,
        Status::Precise { rounds } => {
            Some(format!("stopped after {rounds} rounds: every interval is within {within}"))
        }
        Status::OutOfTime { rounds } => {
            Some(format!("the time was up after {}: {missed}", counted(rounds, "round")))
        }
        Status::Interrupted { rounds } => {
            Some(format!("interrupted after {}: {missed}", counted(rounds, "round")))
        }
    }
}

/// How many samples and launches stand out; `None` where there are too few to say.
pub fn outliers<'a>(cells: impl IntoIterator<Item = &'a CellSummary<'a>>) -> Option<String> {
    let (mut samples, mut launches) = (Outliers::default(), Outliers::default());
    for found in cells.into_iter().filter_map(|cell| cell.outliers) {
        samples += found.samples;
        launches += found.launches;
    }
    let parts: Vec<String> = [(samples, "sample"), (launches, "launch")]
        .into_iter()
        .filter(|(found, _)| found.values > 0)
        .map(|(found, what)| {
            let all = if what == "launch" { "launches" } else { "samples" };
            let severe = match found.severe() {
                0 => String::new(),
                severe => format!(" ({severe} of them severe)"),
            };
            format!("{} of {} {all}{severe}", found.count(), found.values)
        })
        .collect();
    (!parts.is_empty()).then(|| format!("outliers: {}; all are kept", parts.join(", ")))
}

/// `a difference of 3.1 % or more would have been seen`: what a tie says.
pub fn seen(ratio: Ratio) -> Option<String> {
    let from = format::percent(ratio.detectable? - 1.0);
    Some(format!("a difference of {from} or more would have been seen"))
}

fn counted(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Who wins, and by how much.
fn outcome(group: &Group<'_>, winner: usize) -> String {
    let rivals = group.cells.iter().filter(|cell| cell.time.is_some()).count() - 1;
    if rivals == 0 {
        return alone(&group.cells[winner]);
    }
    let sequential = group.cells[winner].speedup.map(|speedup| speedup.verdict);
    if group.undecided().len() == rivals || sequential == Some(Verdict::Inconclusive) {
        return inconclusive(group, winner);
    }
    if group.baseline == Some(winner) {
        return nobody_faster(group, winner);
    }
    match group.cells[winner].speedup {
        Some(speedup) if speedup.verdict != Verdict::Faster => tie_with_sequential(group, winner),
        _ => clear(group, winner),
    }
}

fn alone(cell: &CellSummary<'_>) -> String {
    format!("{} takes {}; nothing else was measured.", full_name(cell), time(cell))
}

/// The winner could be compared with nobody, or not with sequential.
fn inconclusive(group: &Group<'_>, winner: usize) -> String {
    let undecided = group.undecided();
    let rounds = |&i: &usize| group.cells[i].vs_best.map_or(0, |ratio| ratio.pairs);
    let rounds = undecided.iter().map(rounds).max().unwrap_or(0);
    let cell = &group.cells[winner];
    let speedup = cell.speedup.map(|s| format!(", {}", against_baseline(group, s)));
    format!(
        "{} had the shortest time{}, but {rounds} common round{} cannot tell a winner: {} can.",
        full_name(cell),
        speedup.unwrap_or_default(),
        if rounds == 1 { "" } else { "s" },
        MIN_LAUNCHES,
    )
}

/// The sequential cell has the shortest time.
fn nobody_faster(group: &Group<'_>, winner: usize) -> String {
    let time = time(&group.cells[winner]);
    let baseline = group.baseline_name();
    format!("nobody is faster than {baseline}, which takes {time}{}.", ties(group, &[winner]))
}

/// Another has the shortest time, but not by a difference.
fn tie_with_sequential(group: &Group<'_>, winner: usize) -> String {
    let cell = &group.cells[winner];
    let speedup = cell.speedup.map(|speedup| {
        let seen = seen(speedup).map(|seen| format!("; {seen}"));
        format!(" ({}{})", against_baseline(group, speedup), seen.unwrap_or_default())
    });
    let others: Vec<usize> = group.baseline.into_iter().chain([winner]).collect();
    format!(
        "nobody is faster than {}: {} comes out first, but it is a tie{}{}.",
        group.baseline_name(),
        full_name(cell),
        speedup.unwrap_or_default(),
        ties(group, &others),
    )
}

/// The winner is faster than sequential, or there is no sequential cell to compare it with.
fn clear(group: &Group<'_>, winner: usize) -> String {
    let cell = &group.cells[winner];
    let by = match cell.speedup {
        Some(speedup) => against_baseline(group, speedup),
        None => time(cell),
    };
    format!("{} is fastest, {by}{}.", full_name(cell), ties(group, &[winner]))
}

/// Who had too few rounds, where others had enough.
fn undecided(group: &Group<'_>) -> Option<String> {
    let undecided = group.undecided();
    let rivals = group.cells.iter().filter(|cell| cell.time.is_some()).count() - 1;
    if undecided.is_empty() || undecided.len() == rivals {
        return None;
    }
    let names: Vec<String> = undecided.iter().map(|&i| short_name(&group.cells[i])).collect();
    Some(format!("{} had too few rounds to be compared.", list(&names)))
}

/// `; rayon and processes tie with it`, without the cells that were named already, and what would
/// have been seen: the largest of those differences, if there are several ties.
fn ties(group: &Group<'_>, named: &[usize]) -> String {
    let ties: Vec<&CellSummary<'_>> = group
        .ties
        .iter()
        .filter(|tie| !named.contains(tie))
        .map(|&tie| &group.cells[tie])
        .collect();
    let names: Vec<String> = ties.iter().map(|cell| short_name(cell)).collect();
    let ratios = ties.iter().filter_map(|cell| cell.vs_best);
    let or_none = |ratio: &Ratio| ratio.detectable.unwrap_or(0.0);
    let least = ratios.max_by(|a, b| or_none(a).total_cmp(&or_none(b)));
    let seen = least.and_then(seen).map_or(String::new(), |seen| format!(" ({seen})"));
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("; {one} ties with it{seen}"),
        several => format!("; {} tie with it{seen}", list(several)),
    }
}

/// CPU time and memory against sequential.
fn cost(group: &Group<'_>, winner: usize) -> Option<String> {
    let baseline = &group.cells[group.baseline.filter(|&baseline| baseline != winner)?];
    let cell = &group.cells[winner];
    let cpu = cell.cpu_ns.zip(baseline.cpu_ns).filter(|&(_, sequential)| sequential > 0.0);
    let cpu =
        cpu.map(|(cpu, sequential)| format!("{} the CPU time", format::ratio(cpu / sequential)));
    let memory = cell.memory_peak.zip(baseline.memory_peak);
    let memory = memory
        .map(|(peak, sequential)| format!("{} of memory", format::bytes_more(peak - sequential)));
    let costs: Vec<String> = cpu.into_iter().chain(memory).collect();
    (!costs.is_empty()).then(|| format!("It takes {}.", costs.join(" and ")))
}

/// The bound, where it explains the winner's speed, or contradicts it.
fn limit(cell: &CellSummary<'_>) -> Option<String> {
    let at = cell.bound.filter(|at| at.near || at.broken)?;
    let floor = format::duration(at.bound.floor_ns as f64);
    let reason = &at.bound.reason;
    Some(if at.broken {
        format!("That is doubtful: it was faster than {reason} permits ({floor}).")
    } else {
        format!("It is limited by {reason}; no executor can be faster than {floor}.")
    })
}

/// What failed: wrong answers first, by name.
fn failures(group: &Group<'_>) -> Vec<String> {
    let of = |wanted: fn(&Failure) -> bool| -> Vec<String> {
        let failed = group.cells.iter().filter(|cell| cell.failure.is_some_and(wanted));
        failed.map(short_name).collect()
    };
    let wrong = of(|failure| failure.kind == FailureKind::WrongAnswer);
    let unsupported = of(|failure| failure.kind == FailureKind::Unsupported);
    let failed =
        of(|failure| !matches!(failure.kind, FailureKind::WrongAnswer | FailureKind::Unsupported));
    let say = |names: Vec<String>, what: [&str; 2]| {
        let verb = what[usize::from(names.len() > 1)];
        (!names.is_empty()).then(|| format!("{} {verb}.", list(&names)))
    };
    [
        say(wrong, ["gave a WRONG ANSWER", "gave WRONG ANSWERS"]),
        say(failed, ["failed", "failed"]),
        say(unsupported, ["is not supported here", "are not supported here"]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `threads with 2 workers`, and the chunk where it was chosen.
fn full_name(cell: &CellSummary<'_>) -> String {
    let id = &cell.cell.id;
    let mut name = id.executor.clone();
    if id.executor != crate::verdict::BASELINE {
        name.push_str(&format!(" with {}", workers(id.workers)));
    }
    if cell.label.contains("chunk ") {
        name.push_str(&format!(" and chunk {}", id.chunk));
    }
    name
}

/// What tells a cell from the others of its group: `threads`, or `threads with 2 workers`.
pub(crate) fn short_name(cell: &CellSummary<'_>) -> String {
    let label = &cell.label;
    if label.contains(" worker") { label.replacen(", ", " with ", 1) } else { label.clone() }
}

fn time(cell: &CellSummary<'_>) -> String {
    let Some(time) = cell.time else { return format::ABSENT.to_owned() };
    let cold = if time.cold { " (first samples only)" } else { "" };
    format!("{}{cold}", format::duration_within(time.ns, time.interval))
}

/// `1.93x sequential [1.88, 1.98]`.
fn against_baseline(group: &Group<'_>, speedup: Ratio) -> String {
    let interval = speedup.interval.map(|i| format!(" {}", format::interval(i)));
    let cold = if speedup.cold { " (first samples compared)" } else { "" };
    let ratio = format::ratio(speedup.estimate);
    format!("{ratio} {}{}{cold}", group.baseline_name(), interval.unwrap_or_default())
}

/// `a`, `a and b`, `a, b and c`, `a, b, c, d and 3 others`.
fn list(names: &[String]) -> String {
    let (shown, others) = names.split_at(names.len().min(NAMES));
    let mut shown = shown.to_vec();
    match others.len() {
        0 => {}
        1 => shown.push(others[0].clone()),
        more => shown.push(format!("{more} others")),
    }
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, failed, failed_by, launch, memory, record, six, timed};
    use crate::verdict::groups;
    use crate::{Bound, Cell};

    fn said(cells: Vec<Cell>) -> String {
        sentence(&groups(&record(cells))[0]).unwrap()
    }

    /// CPU time is wall time in these records; `kib` is the peak of the memory.
    fn with_memory(mut cell: Cell, kib: u64) -> Cell {
        cell.launches.push(memory(0, kib * 1024));
        cell
    }

    #[test]
    fn a_clear_winner_is_named_with_ties_ratio_and_costs() {
        let cells = vec![
            with_memory(timed("sequential", &six(1_000_000, 0)), 1_000),
            with_memory(timed("threads", &six(520_000, 1)), 1_410),
            timed("rayon", &six(523_000, 0)),
            timed("processes", &six(521_000, 0)),
            timed("async", &six(800_000, 0)),
        ];
        assert_eq!(
            said(cells),
            "primes: threads with 2 workers is fastest, 1.92x sequential [1.88, 1.96]; rayon and \
             processes tie with it (a difference of 5.2 % or more would have been seen). It takes 0.520x the CPU time and +410 KiB of memory."
        );
    }

    #[test]
    fn without_sequential_the_time_is_told() {
        let cells = vec![timed("threads", &[520_000; 6]), timed("rayon", &[800_000; 6])];
        assert_eq!(said(cells), "primes: threads with 2 workers is fastest, 520 us [520, 520].");
    }

    #[test]
    fn sequential_may_win() {
        let cells = vec![timed("sequential", &[1_000; 6]), timed("threads", &[5_000; 6])];
        let expected =
            "primes: nobody is faster than sequential, which takes 1.00 us [1.00, 1.00].";
        assert_eq!(said(cells), expected);
        let cells = vec![timed("sequential", &[1_000; 6]), timed("threads", &[1_001; 6])];
        let expected = "primes: nobody is faster than sequential, which takes 1.00 us \
                        [1.00, 1.00]; threads ties with it (a difference of 2 % or more would have \
                        been seen).";
        assert_eq!(said(cells), expected);
    }

    #[test]
    fn commands_are_told_beside_one_worker_of_their_own() {
        let mut cells =
            vec![timed("./tool {workers}", &[2_000; 6]), timed("./tool {workers}", &[1_000; 6])];
        for (cell, workers) in cells.iter_mut().zip([1, 2]) {
            cell.id.workload = crate::verdict::COMMAND.to_owned();
            cell.id.workers = workers;
        }
        let expected = "command: ./tool {workers} with 2 workers is fastest, 2.00x one worker of \
                        its own [2.00, 2.00].";
        assert!(said(cells).starts_with(expected));
    }

    #[test]
    fn a_tie_with_sequential_is_no_victory() {
        let cells = vec![
            timed("sequential", &[1_010_000; 6]),
            timed("threads", &[1_000_000; 6]),
            timed("rayon", &[1_005_000; 6]),
        ];
        assert_eq!(
            said(cells),
            "primes: nobody is faster than sequential: threads with 2 workers comes out first, but \
             it is a tie (1.01x sequential [1.01, 1.01]; a difference of 2 % or more would have \
             been seen); rayon ties with it (a difference of 2 % or more would have been seen). It \
             takes 0.990x the CPU time."
        );
    }

    #[test]
    fn too_few_rounds_tell_no_winner() {
        let cells = vec![timed("sequential", &[1_000; 3]), timed("threads", &[500; 3])];
        assert_eq!(
            said(cells),
            "primes: threads with 2 workers had the shortest time, 2.00x sequential, but 3 common \
             rounds cannot tell a winner: 6 can. It takes 0.500x the CPU time."
        );
    }

    #[test]
    fn a_cell_with_few_rounds_does_not_keep_the_others_from_being_told_apart() {
        let cells = vec![
            timed("sequential", &[1_000; 6]),
            timed("threads", &[500; 6]),
            timed("dask", &[9_000; 3]),
        ];
        assert_eq!(
            said(cells),
            "primes: threads with 2 workers is fastest, 2.00x sequential [2.00, 2.00]. It takes \
             0.500x the CPU time. dask had too few rounds to be compared."
        );
    }

    #[test]
    fn a_lone_cell_is_told_alone_and_cold_samples_are_called_so() {
        let cells = vec![cell("threads", vec![launch(0, &[2_000_000_000])])];
        assert_eq!(
            said(cells),
            "primes: threads with 2 workers takes 2.00 s (first samples only); nothing else was \
             measured."
        );
    }

    #[test]
    fn a_bound_that_explains_the_speed_is_named_and_a_broken_one_doubted() {
        let bound = |floor_ns| Some(Bound { floor_ns, reason: "the server's capacity".to_owned() });
        let mut threads = timed("threads", &[1_000_000; 6]);
        threads.bound = bound(980_000);
        assert_eq!(
            said(vec![threads.clone()]),
            "primes: threads with 2 workers takes 1.00 ms [1.00, 1.00]; nothing else was measured. \
             It is limited by the server's capacity; no executor can be faster than 980 us."
        );
        threads.bound = bound(2_000_001);
        let told = said(vec![threads.clone()]);
        assert!(told.ends_with(
            "That is doubtful: it was faster than the server's capacity permits (2.00 ms)."
        ));
        threads.bound = bound(500_000);
        assert!(said(vec![threads]).ends_with("nothing else was measured."));
    }

    #[test]
    fn failures_are_told_with_wrong_answers_first() {
        let wrong = failed_by(0, FailureKind::WrongAnswer, "7, not 8");
        let unsupported = failed_by(0, FailureKind::Unsupported, "no frontier");
        let cells = vec![
            timed("sequential", &[1_000; 6]),
            timed("threads", &[500; 6]),
            cell("rayon", vec![failed(0)]),
            cell("processes", vec![wrong]),
            cell("async", vec![unsupported.clone()]),
            cell("async:pull", vec![unsupported]),
            cell("dask", vec![]),
        ];
        let told = said(cells);
        let expected = "It takes 0.500x the CPU time. processes gave a WRONG ANSWER. rayon failed. \
                        async and async:pull are not supported here.";
        assert!(told.ends_with(expected), "{told}");
    }

    #[test]
    fn where_all_fail_nobody_finished_and_without_launches_nothing_is_said() {
        let told = said(vec![cell("threads", vec![failed(0)])]);
        assert_eq!(told, "primes: nobody finished. threads failed.");
        let told = said(vec![cell("threads", vec![memory(1, 2)])]);
        assert_eq!(told, "primes: no times were measured.");
        let record = record(vec![cell("threads", vec![])]);
        assert_eq!(sentence(&groups(&record)[0]), None);
    }

    #[test]
    fn a_run_with_a_precision_says_what_stopped_it() {
        let mut record = record(vec![
            timed("sequential", &[1_000; 8]),
            timed("threads", &[1_000, 2_000, 1_500, 900, 800, 2_100]),
            cell("rayon", vec![failed(0)]),
        ]);
        record.status = Status::OutOfTime { rounds: 6 };
        assert_eq!(stopping(&record), None);
        record.header.precision = Some(0.02);
        let said = |record: &Record| stopping(record).unwrap();
        assert_eq!(
            said(&record),
            "the time was up after 6 rounds: 1 of 2 cells are not within 2 % yet"
        );
        record.status = Status::Interrupted { rounds: 1 };
        assert_eq!(said(&record), "interrupted after 1 round: 1 of 2 cells are not within 2 % yet");
        record.cells.truncate(1);
        record.status = Status::Precise { rounds: 8 };
        assert_eq!(said(&record), "stopped after 8 rounds: every interval is within 2 %");
        record.status = Status::OutOfTime { rounds: 8 };
        assert_eq!(said(&record), "the time was up after 8 rounds: every interval is within 2 %");
    }

    #[test]
    fn outliers_are_counted_in_words() {
        let said = |cells: Vec<Cell>| outliers(&groups(&record(cells))[0].cells);
        let mut wild = six(1_000_000, 0);
        wild[3] = 5_000_000;
        let told = said(vec![timed("threads", &wild), timed("rayon", &six(1_000_000, 0))]);
        assert_eq!(
            told.as_deref(),
            Some("outliers: 1 of 12 launches (1 of them severe); all are kept")
        );
        let launches = vec![launch(0, &[9, 100, 101, 99, 100, 102])];
        let told = said(vec![cell("threads", launches)]);
        assert_eq!(told.as_deref(), Some("outliers: 0 of 5 samples; all are kept"));
        assert_eq!(said(vec![cell("threads", vec![failed(0)])]), None);
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        assert_eq!(list(&["a", "b", "c", "d", "e"].map(String::from)), "a, b, c, d and e");
        let six = ["a", "b", "c", "d", "e", "f"].map(String::from);
        assert_eq!(list(&six), "a, b, c, d and 2 others");
    }
}
