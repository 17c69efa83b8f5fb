//! The concurrency models: one file each; this one holds what they have in common.
//!
//! An executor's hot path is what a person would write by hand with that library. It is handed a
//! [`Setup`], starts what it needs (threads, processes, a runtime), runs phases, and stops;
//! starting and stopping are timed apart from running. A task's error or panic ends the sample
//! with its reason; no executor leaves a process or a thread behind.

mod asynchronous;
mod gather;
mod locals;
mod merge;
mod name;
mod processes;
mod rayon;
mod sequential;
#[cfg(test)]
mod tests_support;
mod threads;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use manyhands_contract::limits::Need;
use manyhands_contract::{Answer, Map, Step, Storage, TaskError};
use manyhands_record::{Chunk, Failure, FailureKind};
use serde::{Deserialize, Serialize};

use crate::measure::Usage;
use crate::trace::Oversight;

pub use name::{ExecutorName, UnknownExecutor};
pub use processes::worker_main;

/// What an executor is started with.
#[derive(Debug)]
pub struct Setup<M> {
    /// The prepared workload.
    pub work: Arc<M>,
    /// How many tasks may be in flight.
    pub workers: NonZeroUsize,
    /// The buffers of `work`.
    pub storage: Arc<Storage>,
    /// How to make the same workload in another process; only the process pools need it.
    pub recipe: Option<Recipe>,
}

/// How to make a workload again in a worker process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The program that answers to `PROGRAM __manyhands worker ...`.
    pub program: PathBuf,
    /// The workload's name in that program's catalogue.
    pub workload: String,
    /// Canonical texts of its parameters.
    pub parameters: std::collections::BTreeMap<String, String>,
    /// Seeds everything that is drawn.
    pub seed: u64,
    /// The input's files and folders.
    pub input: Vec<PathBuf>,
    /// What the first process prepared.
    pub handover: manyhands_contract::Handover,
    /// How its tasks are watched, if they are.
    pub watch: Option<Oversight>,
}

/// One concurrency model, started for one workload.
pub trait Executor<M: Map>: Sized {
    /// Starts threads, processes or a runtime.
    ///
    /// # Errors
    /// When the machine refuses: which limit stands in the way.
    fn start(setup: Setup<M>) -> Result<Self, Failure>;

    /// Runs the tasks `0..tasks` of a phase, `chunk` at a time, and merges their partials in
    /// task order.
    ///
    /// # Errors
    /// The first task that failed, or the worker that died. The executor is then spent: it can
    /// only be stopped.
    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure>;

    /// Before each sample, untimed. Executors whose workers hold copies of the workload reset
    /// those too.
    ///
    /// # Errors
    /// When the workload cannot be reset.
    fn reset(&mut self, work: &M) -> Result<(), Failure> {
        work.reset().map_err(|error| failed(FailureKind::Error, error))
    }

    /// CPU time and switches so far of workers in other processes, by their own `getrusage`.
    ///
    /// # Errors
    /// When a worker died.
    fn workers_usage(&mut self) -> Result<Usage, Failure> {
        Ok(Usage::default())
    }

    /// Threads and processes that run tasks.
    fn actual(&self) -> Actual;

    /// Ends threads, processes and runtime, and waits until they are gone.
    ///
    /// # Errors
    /// When a worker did not end as it should.
    fn stop(self) -> Result<(), Failure>;
}

/// What an executor really used: the part of the fairness card that only it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actual {
    /// Threads that ran tasks, over all processes.
    pub threads: usize,
    /// Processes that ran tasks.
    pub processes: usize,
}

/// An executor with its workload, whatever their types: what a cell drives.
pub trait Running {
    /// Prepares the next sample, untimed.
    ///
    /// # Errors
    /// As [`Executor::reset`].
    fn reset(&mut self) -> Result<(), Failure>;

    /// Executes the workload once, completely: the timed region.
    ///
    /// # Errors
    /// As [`Executor::phase`].
    fn sample(&mut self) -> Result<Answer, Failure>;

    /// What the last sample counted beside its answer.
    fn counters(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// As [`Executor::workers_usage`].
    ///
    /// # Errors
    /// When a worker died.
    fn workers_usage(&mut self) -> Result<Usage, Failure>;

    /// As [`Executor::actual`].
    fn actual(&self) -> Actual;

    /// Tasks of the first phase, and how many of them are handed out at once.
    fn tasks_and_chunk(&self) -> (usize, usize);

    /// As [`Executor::stop`].
    ///
    /// # Errors
    /// When a worker did not end as it should.
    fn stop(self: Box<Self>) -> Result<(), Failure>;
}

struct Started<M, E> {
    executor: E,
    work: Arc<M>,
    workers: NonZeroUsize,
    chunk: Chunk,
    max_chunk: Option<usize>,
}

impl<M: Map, E: Executor<M>> Started<M, E> {
    fn chunk_of(&self, tasks: usize) -> usize {
        chunk_size(self.chunk, tasks, self.workers, self.max_chunk)
    }
}

impl<M: Map, E: Executor<M>> Running for Started<M, E> {
    fn reset(&mut self) -> Result<(), Failure> {
        self.executor.reset(&self.work)
    }

    fn sample(&mut self) -> Result<Answer, Failure> {
        let mut phase = self.work.first();
        loop {
            let tasks = self.work.tasks(&phase);
            let chunk = self.chunk_of(tasks);
            let merged = if tasks == 0 {
                self.work.empty(&phase)
            } else {
                self.executor.phase(&phase, tasks, chunk)?
            };
            // Between phases the workload's own code runs here, so its panics are ours to catch.
            match caught(|| self.work.next(phase, merged))? {
                Step::Continue(next) => phase = next,
                Step::Done(answer) => return Ok(answer),
            }
        }
    }

    fn workers_usage(&mut self) -> Result<Usage, Failure> {
        self.executor.workers_usage()
    }

    fn actual(&self) -> Actual {
        self.executor.actual()
    }

    fn tasks_and_chunk(&self) -> (usize, usize) {
        let tasks = self.work.tasks(&self.work.first());
        (tasks, self.chunk_of(tasks))
    }

    fn stop(self: Box<Self>) -> Result<(), Failure> {
        self.executor.stop()
    }
}

/// Starts an executor by name.
///
/// # Errors
/// As [`Executor::start`].
pub fn start<M: Map>(
    name: ExecutorName,
    setup: Setup<M>,
    chunk: Chunk,
    max_chunk: Option<usize>,
) -> Result<Box<dyn Running>, Failure> {
    use ExecutorName as Name;
    let options = (chunk, max_chunk);
    match name {
        Name::Sequential => boxed::<M, sequential::Sequential<M>>(setup, options),
        Name::Threads => boxed::<M, threads::Pool<M>>(setup, options),
        Name::ThreadsStatic => boxed::<M, threads::Static<M>>(setup, options),
        Name::ThreadsSpawn => boxed::<M, threads::Spawn<M>>(setup, options),
        Name::Processes => boxed::<M, processes::Spawn<M>>(setup, options),
        Name::ProcessesFork => boxed::<M, processes::Fork<M>>(setup, options),
        Name::ProcessesShm => boxed::<M, processes::Shm<M>>(setup, options),
        Name::Rayon => boxed::<M, rayon::Rayon<M>>(setup, options),
        Name::Async => boxed::<M, asynchronous::Spawn<M>>(setup, options),
        Name::AsyncPull => boxed::<M, asynchronous::Pull<M>>(setup, options),
        Name::AsyncCurrentThread => boxed::<M, asynchronous::CurrentThread<M>>(setup, options),
        Name::AsyncBlocking => boxed::<M, asynchronous::Blocking<M>>(setup, options),
    }
}

fn boxed<M: Map, E: Executor<M> + 'static>(
    setup: Setup<M>,
    (chunk, max_chunk): (Chunk, Option<usize>),
) -> Result<Box<dyn Running>, Failure> {
    let (work, workers) = (Arc::clone(&setup.work), setup.workers);
    let executor = E::start(setup)?;
    Ok(Box::new(Started { executor, work, workers, chunk, max_chunk }))
}

/// Tasks handed out at once: as asked, or ceil(tasks / (8 x workers)), capped by the workload's
/// definition. Eight chunks a worker leave at most about an eighth of a worker's share to wait
/// for at the end, and cost eight hand-overs.
pub fn chunk_size(
    chunk: Chunk,
    tasks: usize,
    workers: NonZeroUsize,
    max_chunk: Option<usize>,
) -> usize {
    match chunk {
        Chunk::Tasks(n) => usize::try_from(n).unwrap_or(usize::MAX),
        Chunk::Auto => {
            let chunk = tasks.div_ceil(workers.get().saturating_mul(8));
            chunk.min(max_chunk.unwrap_or(usize::MAX))
        }
    }
    .clamp(1, tasks.max(1))
}

/// Chunk number `index` as a range of tasks.
#[inline]
fn chunk_range(index: usize, chunk: usize, tasks: usize) -> std::ops::Range<usize> {
    let start = index * chunk;
    start..tasks.min(start + chunk)
}

/// What to do when the machine refuses another thread or process.
const FEWER: &str = "use fewer workers, or raise the limit on processes (ulimit -u) or on memory";

/// Below so many nobody needs to ask: a machine that could not grant them could not run us.
const FEW: u64 = 512;

/// Refuses, by the name of the limit, what the machine cannot grant. Asked before the first thread
/// or process is started: the last one would not be refused, it would end us.
fn granted(need: Need) -> Result<(), Failure> {
    let refusal = if need.count < FEW { None } else { need.refusal() };
    refusal.map_or(Ok(()), |reason| Err(failed(FailureKind::Unsupported, reason)))
}

fn failed(kind: FailureKind, reason: impl std::fmt::Display) -> Failure {
    Failure { kind, reason: reason.to_string(), log: None }
}

/// Runs the workload's code; its error or panic becomes a failure.
fn caught<T>(run: impl FnOnce() -> Result<T, TaskError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| failed(FailureKind::Error, error)),
        Err(panic) => Err(failed(FailureKind::Panic, panic_message(&*panic))),
    }
}

/// Runs a chunk; a task's error or panic becomes a failure that names the task or the chunk.
#[inline]
fn run_chunk<M: Map>(
    work: &M,
    local: &mut M::Local,
    phase: &M::Phase,
    tasks: std::ops::Range<usize>,
    into: &mut M::Partial,
) -> Result<(), Failure> {
    // A panic leaves `local` and `into` in any state; both are dropped with the failed sample.
    match catch_unwind(AssertUnwindSafe(|| work.run_chunk(local, phase, tasks.clone(), into))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => Err(failed(FailureKind::Error, failure)),
        Err(panic) => Err(panicked(&*panic, &tasks)),
    }
}

#[cold]
fn panicked(panic: &(dyn std::any::Any + Send), tasks: &std::ops::Range<usize>) -> Failure {
    let message = panic_message(panic);
    let reason = if tasks.len() == 1 {
        format!("task {} panicked: {message}", tasks.start)
    } else {
        format!("a task of {}..{} panicked: {message}", tasks.start, tasks.end)
    };
    failed(FailureKind::Panic, reason)
}

/// What a panic said, when it said it in words.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).expect("tests use positive numbers")
    }

    #[test]
    fn automatic_chunks_are_an_eighth_of_a_workers_share_within_the_cap() {
        assert_eq!(chunk_size(Chunk::Auto, 1000, workers(2), None), 63);
        assert_eq!(chunk_size(Chunk::Auto, 1000, workers(2), Some(4)), 4);
        assert_eq!(chunk_size(Chunk::Auto, 3, workers(2), None), 1);
        assert_eq!(chunk_size(Chunk::Auto, 0, workers(2), None), 1);
        assert_eq!(chunk_size(Chunk::Auto, 10, workers(usize::MAX), None), 1);
    }

    #[test]
    fn a_chunk_that_was_asked_for_is_never_more_than_all_tasks() {
        assert_eq!(chunk_size(Chunk::Tasks(7), 100, workers(2), Some(1)), 7);
        assert_eq!(chunk_size(Chunk::Tasks(u64::MAX), 100, workers(2), None), 100);
    }
}
