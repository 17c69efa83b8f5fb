//! One launch: a fresh process that measures one cell once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use manyhands_contract::Answer;
use manyhands_record::{Failure, FailureKind, Launch, Memory, Mode, Sample, Trace, trace};

use super::plan::{Group, PlannedCell};
use crate::cell::wire::{PROTOCOL, WirePrepare, WireResult, WireTrace};
use crate::cell::{Cell, LaunchError};
use crate::measure::memory::{self, Tree, Watch};
use crate::signals::Interrupt;

/// Samples after the cold one, at most: beyond ten in one process, more rounds say more.
pub const MOST_SAMPLES: u32 = 10;

/// In a hurry, no counted sample follows one as long as this.
const LONG_SAMPLE_NS: u64 = 100_000_000;

/// What every launch of a run has in common.
#[derive(Debug, Clone, Copy)]
pub struct Launcher<'a> {
    /// The program that answers to `PROGRAM __manyhands ...`.
    pub program: &'a Path,
    /// Seeds everything that is drawn.
    pub seed: u64,
    /// How a user stops the run.
    pub interrupt: &'a Interrupt,
}

/// What is asked of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The cell's group.
    pub group: &'a Group,
    /// The cell.
    pub cell: &'a PlannedCell,
    /// What it is for.
    pub mode: Mode,
    /// What every answer is checked against; none makes the first answer the reference.
    pub reference: Option<&'a Answer>,
    /// Time that one sample may take.
    pub timeout: Duration,
    /// Time that loading the input and starting the executor may take, and ending it.
    pub start_timeout: Duration,
    /// Time to spend on this launch, as far as two samples allow.
    pub slice: Duration,
    /// Samples after the cold one, at most.
    pub samples: u32,
    /// Whether the run has a budget that such a launch takes from.
    pub hurried: bool,
    /// The launch's place among all launches of the run: it names the tasks of a traced one, and
    /// their file.
    pub sequence: u32,
    /// The record's folder, for the tasks of a traced launch; without it they are only counted.
    pub folder: Option<&'a Path>,
}

impl Order<'_> {
    /// The file for the tasks of a traced launch, in a folder that is there. A path that JSON
    /// cannot hold has no file.
    fn trace_file(&self) -> Option<PathBuf> {
        let file = std::path::absolute(self.folder?.join(trace::file_name(self.sequence))).ok()?;
        std::fs::create_dir_all(file.parent()?).ok()?;
        file.to_str().is_some().then_some(file)
    }
}

/// What came of a launch, and the answer that it gave.
#[derive(Debug)]
pub struct Launched {
    /// Its row; round, sequence and begin are for the caller to fill in.
    pub launch: Launch,
    /// The first answer, if there was one.
    pub answer: Option<Answer>,
}

impl Launched {
    /// A launch that did not take place, and why.
    pub fn failed(mode: Mode, failure: Failure) -> Self {
        Self { launch: Launch { failure: Some(failure), ..empty_launch(mode) }, answer: None }
    }
}

/// The user asked the run to stop.
#[derive(Debug)]
pub struct Interrupted;

impl Launcher<'_> {
    /// Measures a cell once. What goes wrong is in the launch; its samples so far are kept.
    ///
    /// # Errors
    /// When the user asked the run to stop; the launch is then lost.
    pub fn launch(&self, order: &Order<'_>) -> Result<Launched, Interrupted> {
        let mut launched = Launched { launch: empty_launch(order.mode), answer: None };
        match self.measure(order, &mut launched) {
            Ok(()) => Ok(launched),
            Err(LaunchError::Interrupted) => Err(Interrupted),
            Err(LaunchError::Failed(failure)) => {
                launched.launch.failure = Some(failure);
                Ok(launched)
            }
        }
    }

    fn measure(&self, order: &Order<'_>, launched: &mut Launched) -> Result<(), LaunchError> {
        let began = Instant::now();
        let mut cell =
            Cell::launch(self.program, order.start_timeout, order.timeout, self.interrupt)?;
        let ready = cell.prepare(self.wire(order))?;
        let launch = &mut launched.launch;
        launch.prepare_ns = Some(ready.prepare_ns);
        launch.startup_ns = Some(ready.startup_ns);
        if let Some(rate) = order.cell.id.rate.filter(|rate| *rate > 0) {
            // The last task is not due before this, however fast the workers are.
            cell.allow(Duration::from_secs_f64(ready.card.tasks as f64 / f64::from(rate)));
        }
        launch.card = Some(ready.card);
        match order.mode {
            Mode::Memory => {
                let mut watched = watch(&mut cell, order, launched)?;
                // Where a sample takes long and time is short, a round is worth more.
                let last = launched.launch.samples.last().map_or(0, |sample| sample.wall_ns);
                if !order.hurried || last < LONG_SAMPLE_NS {
                    let counted = cell.counted_sample()?;
                    keep_sample(&counted, order, launched)?;
                }
                watched.empty = ready.empty_bytes;
                watched.before = ready.before_bytes;
                launched.launch.memory = Some(watched);
            }
            Mode::Trace => {
                // The first one warms up, and its tasks are not kept.
                take_sample(&mut cell, order, launched)?;
                take_sample(&mut cell, order, launched)?;
            }
            Mode::Time => {
                let mut wanted = 1;
                while wanted > 0 {
                    let asked = Instant::now();
                    take_samples(&mut cell, order, launched, wanted)?;
                    let each = asked.elapsed() / wanted;
                    wanted = wanted_more(launched, order, began, each);
                }
            }
        }
        launched.launch.teardown_ns = Some(cell.finish()?);
        Ok(())
    }

    fn wire(&self, order: &Order<'_>) -> WirePrepare {
        let id = &order.cell.id;
        WirePrepare {
            protocol: PROTOCOL,
            workload: id.workload.clone(),
            version: id.version,
            parameters: id.parameters.clone(),
            seed: self.seed.to_string(),
            input: order.group.input.clone(),
            executor: id.executor.clone(),
            workers: id.workers,
            chunk: id.chunk,
            mode: order.mode,
            rate: id.rate,
            trace: (order.mode == Mode::Trace).then(|| WireTrace {
                launch: order.sequence,
                file: order.trace_file(),
                cap: trace::CAP,
            }),
            command: order.cell.executor.command().cloned(),
        }
    }
}

/// How many more samples to ask for at once: a cold and a warm one in any case, then as many as fit
/// into the launch's share of the budget. `each`: how long one took, with all that is prepared
/// before it and cleaned up after it.
fn wanted_more(launched: &Launched, order: &Order<'_>, began: Instant, each: Duration) -> u32 {
    let warm = launched.launch.samples.len().saturating_sub(1) as u32;
    let left = order.slice.saturating_sub(began.elapsed());
    // The cast saturates: samples of no time at all are limited by their number.
    let fitting = (left.as_secs_f64() / each.as_secs_f64()) as u32;
    let least = u32::from(warm == 0);
    fitting.max(least).min(order.samples.saturating_sub(warm))
}

fn take_sample(
    cell: &mut Cell<'_>,
    order: &Order<'_>,
    launched: &mut Launched,
) -> Result<(), LaunchError> {
    take_samples(cell, order, launched, 1)
}

fn take_samples(
    cell: &mut Cell<'_>,
    order: &Order<'_>,
    launched: &mut Launched,
    count: u32,
) -> Result<(), LaunchError> {
    cell.samples(count, |result| keep_sample(&result, order, launched))
}

/// Checks a sample's answer and keeps it.
fn keep_sample(
    result: &WireResult,
    order: &Order<'_>,
    launched: &mut Launched,
) -> Result<(), LaunchError> {
    let answer = result.answer();
    if let Some(reference) = order.reference.or(launched.answer.as_ref()) {
        reference.check(&answer).map_err(|mismatch| Failure {
            kind: FailureKind::WrongAnswer,
            reason: mismatch.to_string(),
            log: None,
        })?;
    }
    launched.answer.get_or_insert(answer);
    launched.launch.samples.push(sample(result));
    launched.launch.trace = result.trace.clone().map(|seen| Trace {
        // A record can be moved: its files are named as they lie beside it.
        file: seen.file.map(|_| trace::file_name(order.sequence)),
        ..seen
    });
    Ok(())
}

/// One sample while the tree's memory is watched. Its time is kept and never used: watching
/// disturbs it.
fn watch(
    cell: &mut Cell<'_>,
    order: &Order<'_>,
    launched: &mut Launched,
) -> Result<Memory, LaunchError> {
    let mut tree = Tree::below(cell.supervisor_id());
    if order.cell.executor.command().is_some() {
        // A command's memory is its own: our process, which only waits for it, is no part of it.
        tree = tree.without(cell.process_id());
    }
    match Watch::start(tree) {
        Ok(watch) => {
            let taken = take_sample(cell, order, launched);
            let memory = watch.stop();
            taken.map(|()| memory)
        }
        Err(error) => {
            take_sample(cell, order, launched)?;
            Ok(memory::absent(&format!("no thread to watch with: {error}")))
        }
    }
}

fn sample(result: &WireResult) -> Sample {
    Sample {
        wall_ns: result.wall_ns,
        user_ns: result.user_ns,
        system_ns: result.system_ns,
        voluntary: result.voluntary,
        involuntary: result.involuntary,
        migrations: result.migrations,
        hardware: result.hardware,
        counters: result.counters.clone(),
    }
}

fn empty_launch(mode: Mode) -> Launch {
    Launch { mode, ..Launch::default() }
}
