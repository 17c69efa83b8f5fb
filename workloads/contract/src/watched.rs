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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::Answer;

    /// Counts down from 3 tasks to none, a phase each; task 7 of any phase fails.
    struct Countdown;

    impl Map for Countdown {
        type Phase = usize;
        type Local = ();
        type Partial = Vec<usize>;

        const WAITS: bool = true;

        fn local(&self) -> Result<(), TaskError> {
            Ok(())
        }

        fn first(&self) -> usize {
            3
        }

        fn tasks(&self, left: &usize) -> usize {
            *left
        }

        fn empty(&self, _: &usize) -> Vec<usize> {
            Vec::new()
        }

        fn run(
            &self,
            _: &mut (),
            left: &usize,
            task: usize,
            into: &mut Vec<usize>,
        ) -> Result<(), TaskError> {
            into.push(10 * left + task);
            if task == 7 { Err(TaskError::new("seven")) } else { Ok(()) }
        }

        fn merge(&self, left: &mut Vec<usize>, right: Vec<usize>) {
            left.extend(right);
        }

        fn next(&self, left: usize, merged: Vec<usize>) -> Result<Step<usize>, TaskError> {
            let more = left > 1;
            Ok(if more {
                Step::Continue(left - 1)
            } else {
                Step::Done(Answer::new().count("merged", merged.len() as u64))
            })
        }
    }

    /// Writes down what it is told.
    #[derive(Debug, Default)]
    struct Scribe(Mutex<Vec<String>>);

    impl Scribe {
        fn note(&self, line: String) {
            self.0.lock().expect("one thread").push(line);
        }

        fn notes(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().expect("one thread"))
        }
    }

    impl Watcher for Scribe {
        fn begin(&self, phase: u32) -> Mark {
            self.note(format!("begin {phase}"));
            Mark { phase, began_ns: 0 }
        }

        fn end(&self, mark: Mark, tasks: usize) {
            self.note(format!("end {} of {tasks}", mark.phase));
        }

        fn reset(&self) {
            self.note("reset".to_owned());
        }

        fn seat(&self) -> Seat {
            Seat { lane: 5, process: 1 }
        }

        fn leave(&self, seat: Seat) {
            self.note(format!("leave {}", seat.lane));
        }

        fn paces(&self) -> bool {
            false
        }

        fn chunk(
            &self,
            seat: Seat,
            mark: Mark,
            tasks: Range<usize>,
            run: &mut dyn FnMut(usize) -> Result<(), TaskError>,
        ) -> Result<(), TaskFailure> {
            for task in tasks {
                self.note(format!("{task} of {} on {}", mark.phase, seat.lane));
                run(task).map_err(|error| TaskFailure { task, error })?;
            }
            Ok(())
        }

        fn task<'a>(
            &'a self,
            _: Seat,
            mark: Mark,
            task: usize,
            work: Pin<&'a mut TaskFuture<'a>>,
        ) -> Pin<Box<TaskFuture<'a>>> {
            self.note(format!("{task} of {}, async", mark.phase));
            Box::pin(work)
        }
    }

    #[test]
    fn phases_are_numbered_and_every_task_is_seen_with_its_place() {
        let scribe = Arc::new(Scribe::default());
        let watched = Watched::new(Countdown, Arc::clone(&scribe) as Arc<dyn Watcher>);
        let mut local = watched.local().expect("nothing to make");
        let mut phase = watched.first();
        let answer = loop {
            let (tasks, mut into) = (watched.tasks(&phase), watched.empty(&phase));
            watched.run_chunk(&mut local, &phase, 0..tasks, &mut into).expect("no task 7");
            match watched.next(phase, into).expect("no error") {
                Step::Continue(next) => phase = next,
                Step::Done(answer) => break answer,
            }
        };
        assert_eq!(answer.to_string(), r#"{"merged":1}"#);
        drop(local);
        let expected = [
            ["begin 0", "0 of 0 on 5", "1 of 0 on 5", "2 of 0 on 5", "end 0 of 3"].as_slice(),
            &["begin 1", "0 of 1 on 5", "1 of 1 on 5", "end 1 of 2"],
            &["begin 2", "0 of 2 on 5", "end 2 of 1", "leave 5"],
        ];
        assert_eq!(scribe.notes(), expected.concat());
    }

    #[test]
    fn a_task_that_fails_is_named_in_both_forms() {
        let scribe = Arc::new(Scribe::default());
        let watched = Watched::new(Countdown, Arc::clone(&scribe) as Arc<dyn Watcher>);
        let (mut local, phase) = (watched.local().expect("nothing to make"), watched.first());
        let mut into = Vec::new();
        let failure = watched.run_chunk(&mut local, &phase, 6..9, &mut into).unwrap_err();
        assert_eq!((failure.task, into.as_slice()), (7, [36, 37].as_slice()));
        let mut into = Vec::new();
        let mut chunk = pin!(watched.run_chunk_async(&mut local, &phase, 6..9, &mut into));
        let polled = chunk.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(failure)) = polled else { panic!("{polled:?}") };
        assert_eq!(failure.to_string(), "task 7 failed: seven");
        let notes = scribe.notes();
        assert_eq!(notes[1..], ["6 of 0 on 5", "7 of 0 on 5", "6 of 0, async", "7 of 0, async"]);
    }
}
