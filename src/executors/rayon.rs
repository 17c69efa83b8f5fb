//! The rayon pool.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

use crossbeam_utils::CachePadded;
use manyhands_contract::Map;
use manyhands_contract::limits::Need;
use manyhands_record::{Failure, FailureKind};
use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

use super::locals::new_local;
use super::{Actual, Executor, FEWER, Setup, chunk_range, failed, granted, run_chunk};

/// A pool of its own, so that `workers` means the same as elsewhere and nothing else runs on it.
pub(super) struct Rayon<M: Map> {
    work: Arc<M>,
    pool: ThreadPool,
    /// The pool's threads: rayon itself does not wait for them when it is dropped.
    threads: Vec<JoinHandle<()>>,
    /// One per thread. The lock is there for the type system's sake and never waits: only its
    /// own thread takes it. Padded, so that neighbours do not share a cache line.
    locals: Vec<CachePadded<Mutex<Option<M::Local>>>>,
}

/// One phase, as it is split.
struct Splitting<'a, M: Map> {
    pool: &'a Rayon<M>,
    phase: &'a M::Phase,
    tasks: usize,
    chunk: usize,
    /// The first one. It is kept here and not returned because results are moved at every merge,
    /// and a failure is several times the size of most partials.
    failure: OnceLock<Failure>,
}

/// There is a failure, so that further work is for nothing.
struct Stopped;

impl<M: Map> Splitting<'_, M> {
    /// Halves a range of chunks until one is left; an idle thread steals the largest half that it
    /// finds. This is what a parallel iterator does inside. But chunks are ours to choose, and an
    /// iterator that is told so, `with_max_len(1)`, costs twice as much per chunk: it splits a
    /// producer and a consumer along with the range.
    fn run(&self, chunks: Range<usize>) -> Result<M::Partial, Stopped> {
        if chunks.len() == 1 {
            return self.run_one(chunks.start);
        }
        let middle = chunks.start + chunks.len() / 2;
        let (left, right) =
            rayon::join(|| self.run(chunks.start..middle), || self.run(middle..chunks.end));
        let (mut left, right) = (left?, right?);
        self.pool.work.merge(&mut left, right);
        Ok(left)
    }

    fn run_one(&self, index: usize) -> Result<M::Partial, Stopped> {
        if self.failure.get().is_some() {
            return Err(Stopped);
        }
        let range = chunk_range(index, self.chunk, self.tasks);
        self.pool.run(self.phase, range).map_err(|failure| {
            let _first_stays = self.failure.set(failure);
            Stopped
        })
    }
}

impl<M: Map> Rayon<M> {
    fn run(&self, phase: &M::Phase, range: Range<usize>) -> Result<M::Partial, Failure> {
        let mut into = self.work.empty(phase);
        let slot = rayon::current_thread_index().and_then(|i| self.locals[i].try_lock().ok());
        match slot {
            Some(mut slot) => {
                if slot.is_none() {
                    *slot = Some(new_local(&*self.work)?);
                }
                let local = slot.as_mut().expect("just filled");
                run_chunk(&*self.work, local, phase, range, &mut into)
            }
            // A task that itself uses rayon can be stolen into while it waits: the thread's own
            // state is then in use further up its stack.
            None => run_chunk(&*self.work, &mut new_local(&*self.work)?, phase, range, &mut into),
        }
        .map(|()| into)
    }
}

impl<M: Map> Executor<M> for Rayon<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let workers = setup.workers.get();
        let most = rayon::max_num_threads();
        if workers > most {
            let reason = format!(
                "{workers} workers are more than the {most} threads that rayon can have; use at \
                 most {most}"
            );
            return Err(failed(FailureKind::Unsupported, reason));
        }
        granted(Need::threads(workers as u64))?;
        let mut threads = Vec::with_capacity(workers);
        let spawn = |thread: ThreadBuilder| {
            threads.push(thread::Builder::new().spawn(move || thread.run())?);
            Ok(())
        };
        let builder = ThreadPoolBuilder::new().num_threads(workers).spawn_handler(spawn);
        let pool = builder.build().map_err(|error| {
            let reason = format!("cannot start {workers} rayon threads: {error}; {FEWER}");
            failed(FailureKind::Error, reason)
        })?;
        let locals = (0..workers).map(|_| CachePadded::new(Mutex::new(None))).collect();
        let this = Self { work: setup.work, pool, threads, locals };
        // A scoped broadcast also waits until every thread runs.
        for local in this.pool.broadcast(|_| new_local(&*this.work)).into_iter().enumerate() {
            let (index, local) = local;
            *this.locals[index].try_lock().expect("the pool is idle") = Some(local?);
        }
        Ok(this)
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let splitting = Splitting { pool: self, phase, tasks, chunk, failure: OnceLock::new() };
        let merged = self.pool.install(|| splitting.run(0..tasks.div_ceil(chunk)));
        merged.map_err(|Stopped| splitting.failure.into_inner().expect("who stops says why"))
    }

    fn actual(&self) -> Actual {
        Actual { threads: self.pool.current_num_threads(), processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        drop(self.pool); // tells its threads to end
        for thread in self.threads {
            thread
                .join()
                .map_err(|panic| failed(FailureKind::Panic, super::panic_message(&*panic)))?;
        }
        Ok(())
    }
}
