//! A workload whose tasks somebody watches.
//!
//! What traces tasks, or has them come at a rate of their own, is wrapped around the workload and
//! not built into the executors: their hot path is the same whether anybody looks or not, and every
//! one of them, worker processes and futures included, is watched alike. Who watches is behind
//! [`Watcher`]: this crate knows nothing of clocks.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::map::{Map, Region, Step, TaskError, TaskFailure};

/// Sees every task of a [`Watched`] workload run, and may have it wait before.
pub trait Watcher: fmt::Debug + Send + Sync + 'static {
    /// A phase begins: asked where phases are made, in the coordinator's process.
    fn begin(&self, phase: u32) -> Mark;

    /// All tasks of a phase have run, and their partials are merged: asked where [`begin`] was.
    ///
    /// [`begin`]: Watcher::begin
    fn end(&self, mark: Mark, tasks: usize);

    /// A sample is about to begin.
    fn reset(&self);

    /// A place for one task at a time. Asked in the process whose worker will take it.
    fn seat(&self) -> Seat;

    /// The place is free again.
    fn leave(&self, seat: Seat);

    /// Whether tasks may have to wait until they are due.
    fn paces(&self) -> bool;

    /// Runs a chunk's tasks in ascending order by calling `run` with each.
    ///
    /// # Errors
    /// The first task that failed; those after it are not run.
    fn chunk(
        &self,
        seat: Seat,
        mark: Mark,
        tasks: Range<usize>,
        run: &mut dyn FnMut(usize) -> Result<(), TaskError>,
    ) -> Result<(), TaskFailure>;

    /// Runs one task in its async form.
    fn task<'a>(
        &'a self,
        seat: Seat,
        mark: Mark,
        task: usize,
        work: Pin<&'a mut TaskFuture<'a>>,
    ) -> Pin<Box<TaskFuture<'a>>>;
}

/// A task in its async form.
pub type TaskFuture<'a> = dyn Future<Output = Result<(), TaskError>> + Send + 'a;

/// A phase as a [`Watcher`] knows it. It travels with the phase, to other processes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The phase's number, from 0.
    pub phase: u32,
    /// When it began, in nanoseconds on a clock that all processes of the machine share.
    pub began_ns: u64,
}

/// A place for one task at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Its number among those of all processes, from 0.
    pub lane: u32,
    /// The process that it is in.
    pub process: u32,
}

/// A workload and who watches it: does what the workload does.
#[derive(Debug)]
pub struct Watched<W> {
    pub(crate) work: W,
    watcher: Arc<dyn Watcher>,
}

impl<W> Watched<W> {
    /// Has `watcher` see the tasks of `work`.
    pub fn new(work: W, watcher: Arc<dyn Watcher>) -> Self {
        Self { work, watcher }
    }
}

/// A phase with its mark.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Marked<P> {
    phase: P,
    mark: Mark,
}

/// A worker's own state and its place, which is given back when the state is dropped.
#[derive(Debug)]
pub struct Seated<L> {
    own: L,
    seat: Seat,
    watcher: Arc<dyn Watcher>,
}

impl<L> Drop for Seated<L> {
    fn drop(&mut self) {
        self.watcher.leave(self.seat);
    }
}

impl<W: Map> Map for Watched<W> {
    type Phase = Marked<W::Phase>;
    type Local = Seated<W::Local>;
    type Partial = W::Partial;

    const WAITS: bool = W::WAITS;

    fn local(&self) -> Result<Self::Local, TaskError> {
        let own = self.work.local()?;
        Ok(Seated { own, seat: self.watcher.seat(), watcher: Arc::clone(&self.watcher) })
    }

    fn first(&self) -> Self::Phase {
        Marked { phase: self.work.first(), mark: self.watcher.begin(0) }
    }

    fn tasks(&self, phase: &Self::Phase) -> usize {
        self.work.tasks(&phase.phase)
    }

    fn empty(&self, phase: &Self::Phase) -> W::Partial {
        self.work.empty(&phase.phase)
    }

    fn run(
        &self,
        local: &mut Self::Local,
        phase: &Self::Phase,
        task: usize,
        into: &mut W::Partial,
    ) -> Result<(), TaskError> {
        self.run_chunk(local, phase, task..task + 1, into).map_err(|failure| failure.error)
    }

    async fn run_async<'a>(
        &'a self,
        local: &'a mut Self::Local,
        phase: &'a Self::Phase,
        task: usize,
        into: &'a mut W::Partial,
    ) -> Result<(), TaskError> {
        let work = pin!(self.work.run_async(&mut local.own, &phase.phase, task, into));
        self.watcher.task(local.seat, phase.mark, task, work).await
    }

    fn merge(&self, left: &mut W::Partial, right: W::Partial) {
        self.work.merge(left, right);
    }

    fn next(&self, phase: Self::Phase, merged: W::Partial) -> Result<Step<Self::Phase>, TaskError> {
        let Marked { phase, mark } = phase;
        self.watcher.end(mark, self.work.tasks(&phase));
        Ok(match self.work.next(phase, merged)? {
            Step::Continue(phase) => {
                Step::Continue(Marked { phase, mark: self.watcher.begin(mark.phase + 1) })
            }
            Step::Done(answer) => Step::Done(answer),
        })
    }

    fn reset(&self) -> Result<(), TaskError> {
        self.watcher.reset();
        self.work.reset()
    }

    fn reads(&self, phase: &Self::Phase, tasks: Range<usize>) -> Vec<Region> {
        self.work.reads(&phase.phase, tasks)
    }

    fn writes(&self, phase: &Self::Phase, tasks: Range<usize>) -> Vec<Region> {
        self.work.writes(&phase.phase, tasks)
    }

    fn run_chunk(
        &self,
        local: &mut Self::Local,
        phase: &Self::Phase,
        tasks: Range<usize>,
        into: &mut W::Partial,
    ) -> Result<(), TaskFailure> {
        let (own, work) = (&mut local.own, &self.work);
        let mut run = |task| work.run(own, &phase.phase, task, into);
        self.watcher.chunk(local.seat, phase.mark, tasks, &mut run)
    }

    async fn run_chunk_async<'a>(
        &'a self,
        local: &'a mut Self::Local,
        phase: &'a Self::Phase,
        tasks: Range<usize>,
        into: &'a mut W::Partial,
    ) -> Result<(), TaskFailure> {
        // Work that never waits is one poll, unless it is to wait until it is due: a future must
        // not block the thread that others need.
        if !W::WAITS && !self.watcher.paces() {
            return self.run_chunk(local, phase, tasks, into);
        }
        for task in tasks {
            let ran = self.run_async(local, phase, task, into).await;
            ran.map_err(|error| TaskFailure { task, error })?;
        }
        Ok(())
    }
}
