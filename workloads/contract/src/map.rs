//! The `map` shape: phases of independent tasks, folded in task order.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Answer, Bound, Definition, Parameters, Storage};

/// Phases of independent tasks: the shape that every executor runs.
///
/// A phase has tasks `0..tasks(phase)`. An executor hands out *chunks* (ranges of tasks) to
/// workers; a worker folds its chunk into a [`Partial`](Map::Partial) that starts as
/// [`empty`](Map::empty); partials are [`merge`](Map::merge)d in task order, whatever the order in
/// which they were finished; [`next`](Map::next) turns the merged partial into the next phase or
/// the answer. Nothing keeps a value per task, so memory stays flat however many tasks there are.
pub trait Map: Send + Sync + Sized + 'static {
    /// What the tasks of a phase need to know of earlier ones. Small: a step number, centroids.
    type Phase: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// A worker's own: a connection, scratch memory. Made once per worker, reused by its tasks.
    type Local: Send + 'static;
    /// What a chunk folds its tasks into.
    type Partial: Serialize + DeserializeOwned + Send + 'static;

    /// Whether [`run_async`](Map::run_async) is written by hand. Where it is not, a chunk runs as
    /// one poll: awaiting each task of a loop of nanoseconds would cost more than the tasks.
    const WAITS: bool = false;

    /// Makes one worker's local state.
    fn local(&self) -> Result<Self::Local, TaskError>;

    /// The first phase.
    fn first(&self) -> Self::Phase;

    /// How many tasks a phase has. Zero is allowed: the phase's partial is then `empty`.
    fn tasks(&self, phase: &Self::Phase) -> usize;

    /// The partial of no tasks: the identity of [`merge`](Map::merge).
    fn empty(&self, phase: &Self::Phase) -> Self::Partial;

    /// Runs one task and folds its result into `into`. Tasks reach one `into` in ascending order.
    fn run(
        &self,
        local: &mut Self::Local,
        phase: &Self::Phase,
        task: usize,
        into: &mut Self::Partial,
    ) -> Result<(), TaskError>;

    /// The async form of [`run`](Map::run), for I/O; who writes it sets [`WAITS`](Map::WAITS). By
    /// default the work happens when the future is polled, not when it is created.
    fn run_async<'a>(
        &'a self,
        local: &'a mut Self::Local,
        phase: &'a Self::Phase,
        task: usize,
        into: &'a mut Self::Partial,
    ) -> impl Future<Output = Result<(), TaskError>> + Send + 'a {
        async move { self.run(local, phase, task, into) }
    }

    /// Appends `right`, the partial of the tasks just after those of `left`. Associative, but
    /// need not be commutative.
    fn merge(&self, left: &mut Self::Partial, right: Self::Partial);

    /// What follows a finished phase.
    fn next(
        &self,
        phase: Self::Phase,
        merged: Self::Partial,
    ) -> Result<Step<Self::Phase>, TaskError>;

    /// Before each sample, untimed: drops caches, clears outputs.
    fn reset(&self) -> Result<(), TaskError> {
        Ok(())
    }

    /// The parts of *output* buffers, written in earlier phases, that `tasks` read. Inputs need
    /// no declaration: every worker has them. Only declared regions cross a process boundary.
    fn reads(&self, _phase: &Self::Phase, _tasks: Range<usize>) -> Vec<Region> {
        Vec::new()
    }

    /// The parts of output buffers that `tasks` write.
    fn writes(&self, _phase: &Self::Phase, _tasks: Range<usize>) -> Vec<Region> {
        Vec::new()
    }

    /// Runs a whole chunk. Executors call this, so that a workload behind one indirection
    /// ([`Erased`](crate::Erased)) pays it per chunk, not per task.
    #[inline]
    fn run_chunk(
        &self,
        local: &mut Self::Local,
        phase: &Self::Phase,
        tasks: Range<usize>,
        into: &mut Self::Partial,
    ) -> Result<(), TaskFailure> {
        for task in tasks {
            self.run(local, phase, task, into).map_err(|error| TaskFailure { task, error })?;
        }
        Ok(())
    }

    /// The async form of [`run_chunk`](Map::run_chunk): the chunk's tasks one after the other.
    fn run_chunk_async<'a>(
        &'a self,
        local: &'a mut Self::Local,
        phase: &'a Self::Phase,
        tasks: Range<usize>,
        into: &'a mut Self::Partial,
    ) -> impl Future<Output = Result<(), TaskFailure>> + Send + 'a {
        async move {
            if !Self::WAITS {
                return self.run_chunk(local, phase, tasks, into);
            }
            for task in tasks {
                self.run_async(local, phase, task, into)
                    .await
                    .map_err(|error| TaskFailure { task, error })?;
            }
            Ok(())
        }
    }
}

/// A [`Map`] that people can name: its definition, its input, how to prepare it.
pub trait Workload: Map {
    /// What `list` and `describe` print and what the command line is checked against.
    const DEFINITION: &'static Definition;

    /// Writes the generated input into an empty folder, exactly as WORKLOADS documents it.
    /// A workload whose parameters are its whole input writes nothing here.
    ///
    /// # Errors
    /// When the folder cannot be written.
    fn generate(_parameters: &Parameters, _seed: u64, _folder: &Path) -> Result<(), InputError> {
        Ok(())
    }

    /// Makes the workload ready to run, in the cell's process or in a worker's. No threads may
    /// be left behind: `processes:fork` forks after this returns.
    ///
    /// # Errors
    /// When the input is missing or wrong: the file, the line and the remedy.
    fn prepare(context: &Context<'_>) -> Result<Self, InputError>;

    /// What worker processes must know of what this process prepared, such as the address of a
    /// server that it started.
    fn handover(&self) -> Handover {
        Handover::new()
    }

    /// What the fairness card says of this workload: `("client", "ureq")`, `("kernel", "sha2")`.
    /// A value that is a crate's name has its version added.
    fn card(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// A limit on speed that no executor can beat, such as a server's capacity.
    fn bound(_parameters: &Parameters, _seed: u64) -> Option<Bound> {
        None
    }
}

/// Facts that a prepared workload hands to the processes that work for it.
pub type Handover = BTreeMap<String, String>;

/// What [`Workload::prepare`] is given.
#[derive(Debug)]
pub struct Context<'a> {
    /// Checked against the definition.
    pub parameters: &'a Parameters,
    /// Seeds everything that is drawn.
    pub seed: u64,
    /// The user's files and folders, or the one folder that `generate` wrote. Empty for
    /// workloads whose parameters are their whole input.
    pub input: &'a [PathBuf],
    /// Where bulk data lives.
    pub storage: &'a Storage,
    /// The program to start a server role with: `HELPER __manyhands serve ...`.
    pub helper: &'a Path,
    /// In a worker process, what the first process handed over; there, start no servers.
    pub handover: Option<&'a Handover>,
}

/// What follows a finished phase.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<P> {
    /// Another phase.
    Continue(P),
    /// The workload is done.
    Done(Answer),
}

/// A range of bytes of one output buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Which buffer: [`Output::id`](crate::Output::id).
    pub buffer: u32,
    /// Which bytes of it.
    pub bytes: Range<usize>,
}

/// Why a task failed, in words for people: what failed, on what, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError(pub String);

impl TaskError {
    /// An error from anything that can be shown.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TaskError {}

/// A task that failed, and which one it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// The task's number.
    pub task: usize,
    /// Why it failed.
    pub error: TaskError,
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} failed: {}", self.task, self.error)
    }
}

/// Why input could not be used: one line with the file, the line in it and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputError(pub String);

impl InputError {
    /// An error from anything that can be shown.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    /// `cannot read PATH: reason`.
    pub fn read(path: &Path, reason: impl fmt::Display) -> Self {
        Self(format!("cannot read {}: {reason}", path.display()))
    }

    /// `cannot write PATH: reason`.
    pub fn write(path: &Path, reason: impl fmt::Display) -> Self {
        Self(format!("cannot write {}: {reason}", path.display()))
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InputError {}
