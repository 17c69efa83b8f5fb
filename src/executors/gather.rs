//! What the workers of one phase share: where their partials and their failures go.

use std::future::poll_fn;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use manyhands_contract::Map;
use manyhands_record::{Failure, FailureKind};

use super::merge::Merger;
use super::{failed, panicked, run_chunk};

/// Stretches that a worker keeps before it takes the lock: one lock in 64 chunks costs a chunk
/// about a nanosecond, and what is kept back stays bounded.
const KEPT: usize = 64;

/// One phase as its workers see it.
pub(super) struct Gather<M: Map> {
    pub(super) work: Arc<M>,
    pub(super) phase: M::Phase,
    merger: Mutex<Merger<M::Partial>>,
    failure: Mutex<Option<Failure>>,
    /// Set with the first failure so that workers stop early. Relaxed is enough: it carries no
    /// data, and a worker that sees it late only does a chunk for nothing.
    failed: AtomicBool,
}

impl<M: Map> Gather<M> {
    pub(super) fn new(work: Arc<M>, phase: M::Phase) -> Self {
        Self {
            work,
            phase,
            merger: Mutex::new(Merger::new()),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        }
    }

    /// Whether a task has failed, so that further work is for nothing.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Keeps the first failure.
    #[cold]
    pub(super) fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.failed.store(true, Ordering::Relaxed);
    }

    /// A partial of no tasks. It is the workload's code and may panic: that is a failure, and a
    /// pool's thread must live to tell that it is done.
    #[inline]
    pub(super) fn empty(&self) -> Option<M::Partial> {
        match catch_unwind(AssertUnwindSafe(|| self.work.empty(&self.phase))) {
            Ok(partial) => Some(partial),
            Err(panic) => {
                let message = super::panic_message(&*panic);
                self.fail(failed(FailureKind::Panic, format!("an empty partial: {message}")));
                None
            }
        }
    }

    /// Adds one finished chunk.
    pub(super) fn add(&self, tasks: Range<usize>, partial: M::Partial) {
        self.with_merger(|merger, work| merger.add(work, tasks, partial));
    }

    /// What the phase came to, once every worker is done.
    pub(super) fn finish(&self, tasks: usize) -> Result<M::Partial, Failure> {
        if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure);
        }
        let merger = std::mem::replace(
            &mut *self.merger.lock().unwrap_or_else(PoisonError::into_inner),
            Merger::new(),
        );
        Ok(merger.finish(tasks))
    }

    /// `merge` is the workload's code and may panic: that is a failure, and the merger is then
    /// never read again.
    fn with_merger(&self, add: impl FnOnce(&mut Merger<M::Partial>, &M)) {
        let mut merger = self.merger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| add(&mut merger, &self.work))) {
            let message = super::panic_message(&*panic);
            self.fail(failed(FailureKind::Panic, format!("merging panicked: {message}")));
        }
    }
}

/// A worker's finished stretches on their way to the [`Gather`].
pub(super) struct Outbox<'g, M: Map> {
    gather: &'g Gather<M>,
    kept: Vec<(Range<usize>, M::Partial)>,
}

impl<'g, M: Map> Outbox<'g, M> {
    pub(super) fn new(gather: &'g Gather<M>) -> Self {
        Self { gather, kept: Vec::with_capacity(KEPT) }
    }

    /// Runs a chunk; false when the worker should stop because something failed.
    #[inline]
    pub(super) fn run(&mut self, local: &mut M::Local, tasks: Range<usize>) -> bool {
        if self.gather.has_failed() {
            return false;
        }
        let Gather { work, phase, .. } = self.gather;
        let Some(into) = self.open(tasks.start) else { return false };
        let result = run_chunk(&**work, local, phase, tasks.clone(), into);
        self.close(tasks.end, result)
    }

    /// As [`run`](Self::run), awaiting the chunk's tasks.
    pub(super) async fn run_async(&mut self, local: &mut M::Local, tasks: Range<usize>) -> bool {
        if self.gather.has_failed() {
            return false;
        }
        let Gather { work, phase, .. } = self.gather;
        let Some(into) = self.open(tasks.start) else { return false };
        let result = run_chunk_async(&**work, local, phase, tasks.clone(), into).await;
        self.close(tasks.end, result)
    }

    /// The partial to fold a chunk into: the last one when the chunk follows on it. `None` when
    /// the workload could not make one.
    #[inline]
    fn open(&mut self, start: usize) -> Option<&mut M::Partial> {
        if self.kept.last().is_none_or(|(range, _)| range.end != start) {
            if self.kept.len() == KEPT {
                self.flush();
            }
            self.kept.push((start..start, self.gather.empty()?));
        }
        self.kept.last_mut().map(|(_, partial)| partial)
    }

    #[inline]
    fn close(&mut self, end: usize, result: Result<(), Failure>) -> bool {
        match result {
            Ok(()) => {
                self.kept.last_mut().expect("a chunk was opened").0.end = end;
                true
            }
            Err(failure) => {
                self.gather.fail(failure);
                false
            }
        }
    }

    /// Hands over what is kept.
    pub(super) fn flush(&mut self) {
        if self.gather.has_failed() {
            self.kept.clear();
        }
        let kept = self.kept.drain(..);
        self.gather.with_merger(|merger, work| {
            kept.for_each(|(range, partial)| merger.add(work, range, partial));
        });
    }
}

/// Runs a chunk's async form; a task's error or panic becomes a failure. tokio would catch a panic
/// too, but only hands it to somebody who keeps every task's handle.
///
/// The chunk's future is pinned where it is made: handed on by value, each function that passes it
/// along would keep a copy's worth of room in the future that tokio allocates per chunk.
pub(super) async fn run_chunk_async<M: Map>(
    work: &M,
    local: &mut M::Local,
    phase: &M::Phase,
    tasks: Range<usize>,
    into: &mut M::Partial,
) -> Result<(), Failure> {
    let mut chunk = pin!(work.run_chunk_async(local, phase, tasks.clone(), into));
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| chunk.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
        Ok(Poll::Ready(Err(failure))) => Poll::Ready(Err(failed(FailureKind::Error, failure))),
        Err(panic) => Poll::Ready(Err(panicked(&*panic, &tasks))),
    })
    .await
}
