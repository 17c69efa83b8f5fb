//! `cargo xtask truth`: do the statistics find the truth where it is known?
//!
//! Records are made whose truth was planted, and go through the same functions as those of real
//! runs: `groups`, `compare`, `aa`, `precision`. Every trial is seeded by its number, so the
//! figures are the same on any machine, however many threads share the work.

mod world;

use std::ops::AddAssign;
use std::thread;

use manyhands_record::statistics::noise::SplitMix64;
use manyhands_record::{Interval, Ratio, Record, Verdict, aa, change, groups, precision};

use world::{Kind, Scatter, TRUTH};

const TRIALS: usize = 10_000;

/// Cells of a workload: one for each of five models.
const CELLS: usize = 5;

/// Samples of a launch beside the cold one.
const SAMPLES: usize = 5;

/// Between launches and between samples, as shares.
const SPREADS: [(&str, f64, f64); 3] =
    [("launches", 0.03, 0.01), ("equal", 0.02, 0.02), ("samples", 0.003, 0.03)];

const LAUNCHES: [usize; 3] = [6, 10, 20];

/// Where 95 % intervals may cover.
const COVERAGE: (f64, f64) = (0.93, 0.97);
const MOST_FALSE_CLAIMS: f64 = 0.05;
const LEAST_POWER: f64 = 0.9;

/// Runs every simulation and prints what came of it.
///
/// # Errors
/// When a limit is not met.
pub(crate) fn truth(json: bool) -> Result<(), String> {
    let mut report = Report { json, ..Report::default() };
    grid(&mut report);
    suites(&mut report);
    changes(&mut report);
    stopping(&mut report);
    power(&mut report);
    equal_cells(&mut report);
    report.conclude()
}

/// What was found so far, and how it is shown.
struct Report {
    json: bool,
    coverage: (f64, f64),
    /// Of one workload, as rule 5 counts them.
    false_claims: f64,
    /// Of runs of five workloads: for it there is no limit.
    false_claims_five_workloads: f64,
    power: f64,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            json: false,
            coverage: (1.0, 0.0),
            false_claims: 0.0,
            false_claims_five_workloads: 0.0,
            power: 1.0,
        }
    }
}

impl Report {
    fn heading(&self, text: &str) {
        if !self.json {
            println!("\n{text}");
        }
    }

    /// A line of the table: what was simulated, and its figures.
    fn line(&self, what: &str, figures: &[(&str, f64)]) {
        if self.json {
            let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), round(*value)));
            let mut object: serde_json::Map<String, serde_json::Value> =
                [("what".to_owned(), what.into())].into_iter().collect();
            object.extend(figures.map(|(name, value)| (name, value.into())));
            println!("{}", serde_json::Value::Object(object));
        } else {
            let figures: Vec<String> = figures
                .iter()
                .map(|(name, value)| format!("{name} {:>6}", round(*value)))
                .collect();
            println!("  {what:<47} {}", figures.join("  "));
        }
    }

    fn cover(&mut self, share: f64) {
        self.coverage = (self.coverage.0.min(share), self.coverage.1.max(share));
    }

    fn claim(&mut self, share: f64) {
        self.false_claims = self.false_claims.max(share);
    }

    fn last_line(&self) -> String {
        let (low, high) = self.coverage;
        let figures = [
            ("coverage_min", low),
            ("coverage_max", high),
            ("false_claims", self.false_claims),
            ("power", self.power),
            ("false_claims_five_workloads", self.false_claims_five_workloads),
        ];
        let figures = figures.map(|(name, share)| format!("\"{name}\":{}", round(share)));
        format!("{{{}}}", figures.join(","))
    }

    fn conclude(&self) -> Result<(), String> {
        let (low, high) = self.coverage;
        self.heading(
            "Least and largest coverage; most false claims of a workload; least power; most false \
             claims of five workloads (no limit is set):",
        );
        println!("{}", self.last_line());
        let broken = [
            (low < COVERAGE.0, format!("an interval covers only {low:.4}, not {}", COVERAGE.0)),
            (high > COVERAGE.1, format!("an interval covers {high:.4}, above {}", COVERAGE.1)),
            (
                self.false_claims > MOST_FALSE_CLAIMS,
                format!("{:.4} of runs claim a difference that is not there", self.false_claims),
            ),
            (self.power < LEAST_POWER, format!("only {:.4} of slowdowns are found", self.power)),
        ];
        let broken: Vec<String> =
            broken.into_iter().filter_map(|(broken, how)| broken.then_some(how)).collect();
        if broken.is_empty() { Ok(()) } else { Err(format!("truth: {}", broken.join("; "))) }
    }
}

fn round(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

/// How often something was so, of those times that it could have been.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    so: usize,
    of: usize,
}

impl Share {
    fn note(&mut self, so: bool) {
        self.so += usize::from(so);
        self.of += 1;
    }

    fn share(self) -> f64 {
        self.so as f64 / self.of as f64
    }
}

/// What is counted in a simulation; each has its own use of it.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    time: Share,
    ratio: Share,
    claimed: Share,
    found: Share,
    rounds: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (share, more) in [
            (&mut self.time, other.time),
            (&mut self.ratio, other.ratio),
            (&mut self.claimed, other.claimed),
            (&mut self.found, other.found),
        ] {
            share.so += more.so;
            share.of += more.of;
        }
        self.rounds += other.rounds;
    }
}

/// Runs the trials of a simulation on all cores. `start` makes what a thread works with; `trial`
/// is given the trial's own random numbers.
fn simulate<W>(
    name: &str,
    trials: usize,
    start: impl Fn() -> W + Sync,
    trial: impl Fn(&mut W, &mut SplitMix64, &mut Counts) + Sync,
) -> Counts {
    let threads = thread::available_parallelism().map_or(1, |n| n.get());
    // FNV-1a: simulations of different names draw different numbers.
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let share = |first: usize| {
        let (start, trial) = (&start, &trial);
        move || {
            let (mut work, mut counts) = (start(), Counts::default());
            for number in (first..trials).step_by(threads) {
                let mut random = SplitMix64::new(seed);
                // Far apart in the sequence: each trial has numbers of its own.
                let mut random = SplitMix64::new(random.next() ^ (number as u64).rotate_left(32));
                random.next();
                trial(&mut work, &mut random, &mut counts);
            }
            counts
        }
    };
    let mut counts = Counts::default();
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|first| scope.spawn(share(first))).collect();
        for handle in handles {
            counts += handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    counts
}

fn covers(interval: Option<Interval>, truth: f64) -> bool {
    interval.is_some_and(|interval| interval.low <= truth && truth <= interval.high)
}

fn is_claim(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Faster | Verdict::Slower)
}

/// Whether any comparison of a record claims a difference.
fn claims(record: &Record) -> bool {
    let told = |ratio: Option<Ratio>| ratio.is_some_and(|ratio| is_claim(ratio.verdict));
    let groups = groups(record);
    let mut cells = groups.iter().flat_map(|group| &group.cells);
    cells.any(|cell| told(cell.speedup) || told(cell.vs_best))
}

fn measured(cells: usize, launches: usize, samples: usize) -> Record {
    let mut record = world::record(cells);
    world::make_room(&mut record, launches, samples);
    record
}

/// Equal cells under every kind of noise: coverage of times and ratios, and false claims.
fn grid(report: &mut Report) {
    report.heading(&format!(
        "{CELLS} equal cells: coverage of a time and of a ratio, runs with a false claim"
    ));
    for (dominating, launch, sample) in SPREADS {
        for kind in Kind::ALL {
            for launches in LAUNCHES {
                let scatter = Scatter { kind, launch, sample };
                let name = format!("{dominating} vary most, {}, {launches} launches", kind.name());
                let counts = simulate(
                    &name,
                    TRIALS,
                    || measured(CELLS, launches, SAMPLES),
                    |record, random, counts| equal(record, scatter, random, counts),
                );
                let figures = [counts.time, counts.ratio, counts.claimed].map(Share::share);
                report.line(
                    &name,
                    &[("time", figures[0]), ("ratio", figures[1]), ("claims", figures[2])],
                );
                if kind != Kind::Contaminated {
                    report.cover(figures[0]);
                    report.cover(figures[1]);
                }
                report.claim(figures[2]);
            }
        }
    }
}

fn equal(record: &mut Record, scatter: Scatter, random: &mut SplitMix64, counts: &mut Counts) {
    record.header.seed = random.next();
    record.cells.iter_mut().for_each(|cell| world::measure(cell, 1.0, scatter, random));
    let groups = groups(record);
    let cells = &groups[0].cells;
    counts.time.note(covers(cells[0].time.and_then(|time| time.interval), TRUTH));
    // The winner is picked by its time, so cells are taken by their place.
    counts.ratio.note(covers(cells[1].speedup.and_then(|ratio| ratio.interval), 1.0));
    let told = |ratio: Option<Ratio>| ratio.is_some_and(|ratio| is_claim(ratio.verdict));
    counts.claimed.note(cells.iter().any(|cell| told(cell.speedup) || told(cell.vs_best)));
}

/// Runs of five workloads. The limit holds for each of them, because each is a question of its
/// own; a reader of all five should know how often one of them is wrong.
fn suites(report: &mut Report) {
    report.heading("Five workloads of equal cells: a false claim in any (no limit is set)");
    for launches in LAUNCHES {
        let scatter = Scatter { kind: Kind::LogNormal, launch: 0.03, sample: 0.01 };
        let name = format!("five workloads, log-normal, {launches} launches");
        let start = || {
            let mut record = world::record(0);
            for workload in ["one", "two", "three", "four", "five"] {
                let mut more = measured(CELLS, launches, SAMPLES);
                more.cells.iter_mut().for_each(|cell| cell.id.workload = workload.to_owned());
                record.cells.extend(more.cells.into_iter().take(CELLS));
            }
            record.cells.retain(|cell| cell.id.workload != "noise");
            record
        };
        let counts = simulate(&name, TRIALS / 5, start, |record, random, counts| {
            record.header.seed = random.next();
            record.cells.iter_mut().for_each(|cell| world::measure(cell, 1.0, scatter, random));
            counts.claimed.note(claims(record));
        });
        let claimed = counts.claimed.share();
        report.line(&name, &[("claims", claimed)]);
        report.false_claims_five_workloads = report.false_claims_five_workloads.max(claimed);
    }
}

/// Two runs of the same, compared.
fn changes(report: &mut Report) {
    report.heading(&format!(
        "Two runs of {CELLS} equal cells: coverage of a change, runs with a false claim"
    ));
    for kind in Kind::ALL {
        for launches in LAUNCHES {
            let scatter = Scatter { kind, launch: 0.02, sample: 0.02 };
            let name = format!("two runs, {}, {launches} launches", kind.name());
            let start = || (measured(CELLS, launches, SAMPLES), measured(CELLS, launches, SAMPLES));
            let counts = simulate(&name, TRIALS, start, |(old, new), random, counts| {
                for record in [&mut *old, &mut *new] {
                    record.header.seed = random.next();
                    let cells = record.cells.iter_mut();
                    cells.for_each(|cell| world::measure(cell, 1.0, scatter, random));
                }
                let found = change::compare(old, new);
                let changes = || found.workloads.iter().flat_map(|workload| &workload.changes);
                let first = changes().next().and_then(|change| change.difference);
                counts.ratio.note(covers(first.and_then(|change| change.interval), 1.0));
                let mut all = changes().filter_map(|change| change.difference);
                counts.claimed.note(all.any(|change| is_claim(change.verdict)));
            });
            let (covered, claimed) = (counts.ratio.share(), counts.claimed.share());
            report.line(&name, &[("ratio", covered), ("claims", claimed)]);
            if kind != Kind::Contaminated {
                report.cover(covered);
            }
            report.claim(claimed);
        }
    }
}

/// Most rounds of a simulated run: beyond, it stops by its budget.
const MOST_ROUNDS: usize = 200;

/// Runs that stop as soon as their intervals are within 2 %.
fn stopping(report: &mut Report) {
    report.heading("Stopped once within 2 %: coverage, false claims, mean number of rounds");
    for cells in [1, 2] {
        for launch in [0.01, 0.02, 0.03, 0.04, 0.05] {
            let scatter = Scatter { kind: Kind::LogNormal, launch, sample: 0.0 };
            let cells_named = if cells == 1 { "one cell" } else { "two cells" };
            let name = format!("stopping, {cells_named}, noise of {} %", round(100.0 * launch));
            let counts = simulate(
                &name,
                TRIALS,
                || world::record(cells),
                |record, random, counts| stopped(record, scatter, random, counts),
            );
            let covered = counts.time.share();
            let rounds = counts.rounds as f64 / counts.time.of as f64;
            let mut figures = vec![("time", covered)];
            if cells > 1 {
                figures.push(("ratio", counts.ratio.share()));
                figures.push(("claims", counts.claimed.share()));
                report.cover(counts.ratio.share());
                report.claim(counts.claimed.share());
            }
            figures.push(("rounds", rounds));
            report.line(&name, &figures);
            report.cover(covered);
        }
    }
}

fn stopped(record: &mut Record, scatter: Scatter, random: &mut SplitMix64, counts: &mut Counts) {
    record.header.seed = random.next();
    record.cells.iter_mut().for_each(|cell| cell.launches.clear());
    let mut rounds = 0;
    while rounds < MOST_ROUNDS && !(rounds >= 6 && precision::reached(&record.cells, 0.02)) {
        world::measure_round(record, scatter, random);
        rounds += 1;
    }
    counts.rounds += rounds;
    let groups = groups(record);
    let cells = &groups[0].cells;
    counts.time.note(covers(cells[0].time.and_then(|time| time.interval), TRUTH));
    if let Some(ratio) = cells.get(1).and_then(|cell| cell.speedup) {
        counts.ratio.note(covers(ratio.interval, 1.0));
        counts.claimed.note(is_claim(ratio.verdict));
    }
}

/// A slowdown of 5 % under launch noise of 1.5 %, with 20 rounds.
fn power(report: &mut Report) {
    report.heading("5 % slower under launch noise of 1.5 %, 20 rounds: how often it is found");
    let scatter = Scatter { kind: Kind::LogNormal, launch: 0.015, sample: 0.01 };
    for cells in [2, CELLS] {
        let name = format!("one slower of {cells} cells");
        let start = || measured(cells, 20, SAMPLES);
        let counts = simulate(&name, TRIALS, start, |record, random, counts| {
            plant(record, 1.05, scatter, random);
            let groups = groups(record);
            let found = groups[0].cells[1].speedup.map(|ratio| ratio.verdict);
            counts.found.note(found == Some(Verdict::Slower));
        });
        report.line(&name, &[("found", counts.found.share())]);
        report.power = report.power.min(counts.found.share());
    }
    let name = format!("one slower of {CELLS} cells, in another run");
    let start = || (measured(CELLS, 20, SAMPLES), measured(CELLS, 20, SAMPLES));
    let counts = simulate(&name, TRIALS, start, |(old, new), random, counts| {
        plant(old, 1.0, scatter, random);
        plant(new, 1.05, scatter, random);
        let found = change::compare(old, new);
        let second = found.workloads[0].changes[1].difference.map(|change| change.verdict);
        counts.found.note(second == Some(Verdict::Slower));
    });
    report.line(&name, &[("found", counts.found.share())]);
    report.power = report.power.min(counts.found.share());
    detectable(report, scatter);
}

/// Does the difference that is printed beside a tie mean what it says?
fn detectable(report: &mut Report, scatter: Scatter) {
    report.heading("As much slower as is called detectable: how often it is found (80 % is meant)");
    for launches in LAUNCHES {
        let name = format!("one slower of 2 cells, {launches} launches");
        // What such a run calls detectable, in the middle of many runs.
        let mut record = measured(2, launches, SAMPLES);
        let mut random = SplitMix64::new(7);
        let mut logs: Vec<f64> = (0..1_000)
            .filter_map(|_| {
                plant(&mut record, 1.0, scatter, &mut random);
                groups(&record)[0].cells[1].speedup?.detectable
            })
            .collect();
        logs.sort_by(f64::total_cmp);
        let said = logs[logs.len() / 2];
        let start = || measured(2, launches, SAMPLES);
        let counts = simulate(&name, TRIALS, start, |record, random, counts| {
            plant(record, said, scatter, random);
            let verdict = groups(record)[0].cells[1].speedup.map(|ratio| ratio.verdict);
            counts.found.note(verdict == Some(Verdict::Slower));
        });
        report.line(&name, &[("detectable", said), ("found", counts.found.share())]);
    }
}

/// Measures a record whose second cell takes `factor` times as long as the others.
fn plant(record: &mut Record, factor: f64, scatter: Scatter, random: &mut SplitMix64) {
    record.header.seed = random.next();
    for (place, cell) in record.cells.iter_mut().enumerate() {
        world::measure(cell, if place == 1 { factor } else { 1.0 }, scatter, random);
    }
}

/// A/A runs of 100 pairs.
fn equal_cells(report: &mut Report) {
    const PAIRS: usize = 100;
    const RUNS: usize = 200;
    report.heading("A/A runs of 100 pairs: pairs claimed to differ, and if each were alone");
    for launches in LAUNCHES {
        let scatter = Scatter { kind: Kind::LogNormal, launch: 0.015, sample: 0.01 };
        let name = format!("A/A, {launches} launches");
        let start = || {
            let mut record = measured(2 * PAIRS, launches, SAMPLES);
            record.header.aa = true;
            for (place, cell) in record.cells.iter_mut().enumerate() {
                cell.id = world::id("noise", &format!("executor{}", place / 2));
                cell.id.label = Some(["A", "B"][place % 2].to_owned());
            }
            record
        };
        let counts = simulate(&name, RUNS, start, |record, random, counts| {
            record.header.seed = random.next();
            record.cells.iter_mut().for_each(|cell| world::measure(cell, 1.0, scatter, random));
            let found = aa(record).expect("the header calls it an A/A run");
            counts.claimed.so += found.claimed;
            counts.claimed.of += found.pairs.len();
            counts.ratio.so += found.claimed_alone;
            counts.ratio.of += found.pairs.len();
            counts.found.note(found.claimed_alone <= 5);
        });
        report.line(
            &name,
            &[
                ("claimed", counts.claimed.share()),
                ("alone", counts.ratio.share()),
                ("runs of at most 5 alone", counts.found.share()),
            ],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_workloads_are_named_in_the_last_line_and_have_no_limit() {
        let mut report = Report { json: true, coverage: (0.94, 0.96), ..Report::default() };
        report.claim(0.025);
        report.false_claims_five_workloads = 0.1;
        assert_eq!(
            report.last_line(),
            "{\"coverage_min\":0.94,\"coverage_max\":0.96,\"false_claims\":0.025,\"power\":1,\
             \"false_claims_five_workloads\":0.1}"
        );
        assert_eq!(report.conclude(), Ok(()));
        report.claim(0.051);
        let refused = report.conclude().expect_err("above the limit of one workload");
        assert!(refused.contains("0.0510 of runs claim"), "{refused}");
    }
}
