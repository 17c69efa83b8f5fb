//! A run: the plan, the references, the rounds, the record.

pub mod commands;
mod header;
pub mod input;
mod journal;
pub mod launch;
pub mod options;
pub mod order;
pub mod plan;
mod resume;
mod template;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use manyhands_contract::{Answer, Catalogue};
use manyhands_record::journal::{Line, Planned, complete_rounds};
use manyhands_record::{Failure, FailureKind, Launch, Machine, Mode, Record, Reference, Status};

use crate::error::{Error, Exit};
use crate::executors::ExecutorName;
use crate::signals::Interrupt;

use journal::Journal;
pub use journal::write_whole;
use launch::{Interrupted, Launched, Launcher, MOST_SAMPLES, Order};
use options::{BASELINE_TIMEOUT, Options, SHORTEST_TIMEOUT, TIMEOUT_FACTOR};
use plan::{Plan, PlannedCell};
pub use resume::Resumed;

/// The record's name in the folder of its run.
pub const RECORD_FILE: &str = "record.json";

/// Where generated input lies in the folder of a run; removed when the run is complete.
const SCRATCH: &str = "input";

/// The share of the budget that launches plan with: the rest is for some of them to be late.
const SLICED: f64 = 0.85;

/// What a launch costs besides its samples, until one has been seen: two processes started.
const LAUNCH_COST: Duration = Duration::from_millis(50);

/// What a run tells while it goes on. Called between launches only: nothing is drawn while a
/// sample is timed.
pub trait Observer {
    /// `done` of `total` launches are over; next comes `what`.
    fn launching(&mut self, done: usize, total: usize, what: &str);
    /// Something that the user should know.
    fn note(&mut self, text: &str);
}

/// Where and with what a run takes place.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The workloads that there are.
    pub catalogue: &'a Catalogue,
    /// The program that answers to `PROGRAM __manyhands ...`.
    pub program: &'a Path,
    /// The machine, examined.
    pub machine: Machine,
    /// The folder of the run.
    pub folder: PathBuf,
    /// How a user stops the run.
    pub interrupt: &'a Interrupt,
}

/// Measures what was asked and writes `record.json` and `journal.ndjson`.
///
/// # Errors
/// What was asked and cannot be done. What fails later is in the record.
pub fn run(
    setting: &Setting<'_>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Record, Error> {
    let began = Instant::now();
    let scratch = setting.folder.join(SCRATCH);
    let cores = setting.machine.usable_cores;
    let plan = Plan::new(setting.catalogue, options, cores, &scratch)?;
    let header = header::header(setting, options, &plan);
    let start = Line::Start { header: Box::new(header), cells: planned(&plan) };
    let journal = Journal::create(&setting.folder, vec![start])?;
    go(setting, options, plan, journal, began, observer)
}

/// Goes on with a run that was interrupted.
///
/// # Errors
/// As [`run`], and when the journal is damaged or was made elsewhere.
pub fn resume(
    setting: &Setting<'_>,
    options: &Options,
    resumed: Resumed,
    observer: &mut dyn Observer,
) -> Result<Record, Error> {
    let began = Instant::now();
    let scratch = setting.folder.join(SCRATCH);
    let cores = setting.machine.usable_cores;
    let plan = Plan::new(setting.catalogue, options, cores, &scratch)?;
    let (lines, notes) = resumed.carry_over(&plan, planned(&plan));
    notes.iter().for_each(|note| observer.note(note));
    let journal = Journal::create(&setting.folder, lines)?;
    go(setting, options, plan, journal, began, observer)
}

fn planned(plan: &Plan) -> Vec<Planned> {
    let bound = |cell: &PlannedCell| {
        plan.groups[cell.group].bound.as_ref().map(|bound| manyhands_record::Bound {
            floor_ns: bound.floor_ns,
            reason: bound.reason.clone(),
        })
    };
    plan.cells.iter().map(|cell| Planned { id: cell.id.clone(), bound: bound(cell) }).collect()
}

fn go(
    setting: &Setting<'_>,
    options: &Options,
    plan: Plan,
    journal: Journal,
    began: Instant,
    observer: &mut dyn Observer,
) -> Result<Record, Error> {
    let _alone = alone_in(&setting.folder)?;
    let launcher =
        Launcher { program: setting.program, seed: options.seed, interrupt: setting.interrupt };
    let total = plan.groups.len() + plan.cells.len() * (options.rounds() as usize + 1);
    let mut run = Run {
        launcher,
        options,
        plan,
        journal,
        began,
        observer,
        done: 0,
        total,
        sequence: 0,
        taken: HashSet::new(),
        failed: HashSet::new(),
        least: Vec::new(),
    };
    let status = match run.measure() {
        Ok(status) => status,
        Err(Stop::Interrupted) => Status::Interrupted { rounds: run.complete_rounds()? },
        Err(Stop::Error(error)) => return Err(error),
    };
    let complete = !matches!(status, Status::Interrupted { .. });
    run.journal.append(Line::End { status })?;
    let record = run.record()?;
    write_whole(&setting.folder.join(RECORD_FILE), record.to_json().as_bytes())?;
    if complete {
        // An interrupted run keeps its input for the one that goes on with it.
        let _ = std::fs::remove_dir_all(setting.folder.join(SCRATCH));
    }
    Ok(record)
}

/// Keeps a second run out of the folder for as long as what it gives lives: two would write one
/// journal. The kernel gives the lock back however this process ends.
fn alone_in(folder: &Path) -> Result<std::fs::File, Error> {
    use rustix::fs::{FlockOperation, flock};
    let open = std::fs::File::open(folder);
    let locked = open.and_then(|file| {
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file)
    });
    locked.map_err(|error| {
        let folder = folder.display();
        Error::usage(format!("cannot lock {folder}: {error}; another run may be going on in it"))
    })
}

enum Stop {
    Interrupted,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Interrupted> for Stop {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// A group's reference answer, and how long the sequential form takes.
struct Baseline {
    answer: Option<Answer>,
    wall: Option<Duration>,
    /// How long it took to load the input and start.
    start: Duration,
    /// Why there is no answer.
    failure: Option<Failure>,
}

struct Run<'a> {
    launcher: Launcher<'a>,
    options: &'a Options,
    plan: Plan,
    journal: Journal,
    began: Instant,
    observer: &'a mut dyn Observer,
    done: usize,
    total: usize,
    /// The next launch's place among all launches.
    sequence: u32,
    /// Launches that an earlier part of the run took: cell, whether for memory, round.
    taken: HashSet<(usize, bool, u32)>,
    /// Cells that have failed.
    failed: HashSet<usize>,
    /// The time of a launch with a cold and a warm sample, by cell.
    least: Vec<Duration>,
}

impl Run<'_> {
    fn measure(&mut self) -> Result<Status, Stop> {
        self.recall();
        let baselines = self.baselines()?;
        self.guess_least(&baselines);
        let rounds = self.options.rounds();
        for round in 0..rounds {
            let round_began = Instant::now();
            self.round(round, Mode::Time, &baselines)?;
            let took = round_began.elapsed();
            if round == 0 {
                self.round(0, Mode::Memory, &baselines)?;
            }
            if round + 1 < rounds && self.is_out_of_time(took) {
                let rounds = self.complete_rounds()?;
                return Ok(Status::OutOfTime { rounds });
            }
        }
        Ok(Status::Complete)
    }

    /// Whether another round like the last one would end after the budget.
    fn is_out_of_time(&self, last_round: Duration) -> bool {
        self.options.budget().is_some_and(|budget| self.began.elapsed() + last_round > budget)
    }

    /// The sequential form of each group, for the answers that all others are checked against.
    /// It is run even where `sequential` is not compared: an answer is never taken on trust.
    fn baselines(&mut self) -> Result<Vec<Baseline>, Stop> {
        (0..self.plan.groups.len()).map(|group| self.baseline(group)).collect()
    }

    fn baseline(&mut self, number: usize) -> Result<Baseline, Stop> {
        if !self.options.commands.is_empty() {
            return self.command_baseline(number);
        }
        let group = &self.plan.groups[number];
        let one = std::num::NonZeroU32::MIN;
        let id = group.cell_id(ExecutorName::Sequential, one, self.options.chunk);
        let what = format!("{}: the reference answer", id.workload);
        let executor = ExecutorName::Sequential.into();
        let cell = PlannedCell { group: number, executor, workers: one, id };
        self.observer.launching(self.done, self.total, &what);
        let order = Order {
            group,
            cell: &cell,
            mode: Mode::Time,
            reference: None,
            timeout: self.options.timeout.unwrap_or(BASELINE_TIMEOUT),
            start_timeout: BASELINE_TIMEOUT,
            slice: Duration::ZERO,
            samples: 0,
        };
        let launched = self.launcher.launch(&order)?;
        self.done += 1;
        if let Some(answer) = &launched.answer {
            self.journal.append(Line::Reference(Reference {
                workload: cell.id.workload,
                parameters: cell.id.parameters,
                input: cell.id.input,
                answer: answer.to_json(),
            }))?;
        }
        let Launch { samples, prepare_ns, startup_ns, .. } = &launched.launch;
        let sample = samples.first();
        let start = prepare_ns.unwrap_or(0) + startup_ns.unwrap_or(0);
        Ok(Baseline {
            start: Duration::from_nanos(start),
            wall: sample.map(|sample| Duration::from_nanos(sample.wall_ns)),
            answer: launched.answer,
            failure: launched.launch.failure,
        })
    }

    fn round(&mut self, round: u32, mode: Mode, baselines: &[Baseline]) -> Result<(), Stop> {
        for index in order::round(&self.plan, self.options.seed, round) {
            if !self.is_settled(index, mode, round) {
                let launched =
                    self.launch(index, mode, &baselines[self.plan.cells[index].group])?;
                self.keep(index, round, launched)?;
            }
            self.done += 1;
        }
        Ok(())
    }

    /// A cell that has failed is not tried again, and a resumed run has launches already.
    fn is_settled(&self, index: usize, mode: Mode, round: u32) -> bool {
        let has_failed = self.failed.contains(&index);
        has_failed || self.taken.contains(&(index, mode == Mode::Memory, round))
    }

    /// What a resumed run need not do again.
    fn recall(&mut self) {
        for line in self.journal.lines() {
            if let Line::Launch { cell, launch } = line {
                self.taken.insert((*cell, launch.mode == Mode::Memory, launch.round));
                self.sequence = self.sequence.max(launch.sequence + 1);
                if launch.failure.is_some() {
                    self.failed.insert(*cell);
                }
            }
        }
    }

    fn launch(&mut self, index: usize, mode: Mode, baseline: &Baseline) -> Result<Launched, Stop> {
        let cell = &self.plan.cells[index];
        if let Some(failure) = baseline.failure.as_ref().filter(|f| f.kind == FailureKind::Input) {
            // Input that cannot be loaded fails every executor alike.
            return Ok(Launched::failed(mode, failure.clone()));
        }
        let group = &self.plan.groups[cell.group];
        if let Some(reason) = group.entry.unsupported(cell.executor.as_str(), &group.parameters) {
            let kind = FailureKind::Unsupported;
            return Ok(Launched::failed(mode, Failure { kind, reason, log: None }));
        }
        let what = format!("{} {} x {}", cell.id.workload, cell.executor, cell.workers);
        self.observer.launching(self.done, self.total, &what);
        let order = Order {
            group: &self.plan.groups[cell.group],
            cell,
            mode,
            reference: baseline.answer.as_ref(),
            timeout: self.timeout(baseline),
            start_timeout: self.start_timeout(baseline, cell),
            slice: self.slice(index),
            samples: MOST_SAMPLES,
        };
        let began = self.began.elapsed();
        let mut launched = self.launcher.launch(&order)?;
        launched.launch.began_ns = began.as_nanos() as u64;
        if mode == Mode::Time {
            let took = self.began.elapsed().saturating_sub(began);
            self.learn_least(index, took, &launched.launch);
        }
        if launched.launch.failure.is_none() && baseline.answer.is_none() {
            // It came through where the sequential form did not: nobody can say if it is right.
            launched.launch.failure = Some(unverified(baseline));
        }
        Ok(launched)
    }

    fn keep(&mut self, cell: usize, round: u32, launched: Launched) -> Result<(), Stop> {
        let launch = Launch { round, sequence: self.sequence, ..launched.launch };
        self.sequence += 1;
        if launch.failure.is_some() {
            self.failed.insert(cell);
        }
        self.journal.append(Line::Launch { cell, launch: Box::new(launch) })?;
        Ok(())
    }

    /// The larger of 10 s and 20 times the sequential time, unless told otherwise.
    fn timeout(&self, baseline: &Baseline) -> Duration {
        self.options.timeout.unwrap_or_else(|| {
            let sequential = baseline.wall.unwrap_or_default();
            sequential.saturating_mul(TIMEOUT_FACTOR).max(SHORTEST_TIMEOUT)
        })
    }

    /// The larger of 10 s and 20 times what the sequential form took to load its input and start:
    /// of the workers of a process pool each loads it again.
    fn start_timeout(&self, baseline: &Baseline, cell: &PlannedCell) -> Duration {
        let copies = if cell.executor.is_process_pool() { cell.workers.get() + 1 } else { 1 };
        let start = baseline.start.saturating_mul(copies).saturating_mul(TIMEOUT_FACTOR);
        start.max(SHORTEST_TIMEOUT)
    }

    /// Time for a launch: what a cold and a warm sample of its cell take, and an equal share of
    /// what is left of the budget when all launches to come get as much. So slow cells cost fast
    /// ones samples, but nobody a round.
    fn slice(&self, index: usize) -> Duration {
        let Some(budget) = self.options.budget() else { return Duration::from_millis(500) };
        let to_come = (self.total - self.done).max(1) as u32;
        let least: Duration = self.least.iter().sum();
        let least = least.mul_f64(f64::from(to_come) / self.least.len() as f64);
        let left = budget.mul_f64(SLICED).saturating_sub(self.began.elapsed());
        self.least[index] + left.saturating_sub(least) / to_come
    }

    /// What the least launch of each cell may take, before any has been seen: the sequential time
    /// twice, which is too much for all that scale and is corrected by their first launch.
    fn guess_least(&mut self, baselines: &[Baseline]) {
        let guess = |cell: &PlannedCell| {
            let baseline = &baselines[cell.group];
            LAUNCH_COST + baseline.start + 2 * baseline.wall.unwrap_or_default()
        };
        self.least = self.plan.cells.iter().map(guess).collect();
    }

    /// Learns from a launch: all of its time but for the samples beyond the first two.
    fn learn_least(&mut self, index: usize, took: Duration, launch: &Launch) {
        let beyond = launch.samples.iter().skip(2).map(|sample| sample.wall_ns).sum();
        self.least[index] = took.saturating_sub(Duration::from_nanos(beyond));
    }

    fn record(&self) -> Result<Record, Error> {
        manyhands_record::journal::record(self.journal.lines()).map_err(Error::failed)
    }

    fn complete_rounds(&self) -> Result<u32, Error> {
        Ok(complete_rounds(&self.record()?.cells))
    }
}

fn unverified(baseline: &Baseline) -> Failure {
    let why = baseline.failure.as_ref().map_or("it gave no answer", |failure| &failure.reason);
    let reason = format!("no reference answer to check against: sequentially, {why}");
    Failure { kind: FailureKind::Error, reason, log: None }
}

/// The one reason for which every cell failed, where there is one: it is better told once than in
/// a row for each.
pub fn common_failure(record: &Record) -> Option<&Failure> {
    let mut failures = record.cells.iter().map(|cell| cell.failure());
    let first = failures.next()??;
    let same = |failure: Option<&Failure>| failure.is_some_and(|f| f.reason == first.reason);
    (record.cells.len() > 1 && failures.all(same)).then_some(first)
}

/// The exit code that a record calls for.
pub fn exit_of(record: &Record) -> Exit {
    if matches!(record.status, Status::Interrupted { .. }) {
        return Exit::Interrupted;
    }
    let failures: Vec<_> =
        record.cells.iter().filter_map(|cell| cell.failure()).map(|failure| failure.kind).collect();
    if failures.contains(&FailureKind::WrongAnswer) {
        Exit::WrongAnswer
    } else if failures.iter().any(|kind| *kind != FailureKind::Unsupported) {
        Exit::Failed
    } else if !record.cells.is_empty() && failures.len() == record.cells.len() {
        Exit::Unsupported
    } else {
        Exit::Ok
    }
}

/// What the header of a record says of now.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// Now, as part of a folder's name: no colons, which some systems and tools do not like there.
pub(crate) fn now_in_a_name() -> String {
    now().replace(':', "-")
}
