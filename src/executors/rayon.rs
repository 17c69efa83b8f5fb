//! The rayon pool.

use std::sync::{Arc, Mutex};

use crossbeam_utils::CachePadded;
use manyhands_contract::Map;
use manyhands_record::{Failure, FailureKind};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::locals::new_local;
use super::{Actual, Executor, Setup, chunk_range, failed, run_chunk};

/// A pool of its own, so that `workers` means the same as elsewhere and nothing else runs on it.
pub(super) struct Rayon<M: Map> {
    work: Arc<M>,
    pool: ThreadPool,
    /// One per thread. The lock is there for the type system's sake and never waits: only its
    /// own thread takes it. Padded, so that neighbours do not share a cache line.
    locals: Vec<CachePadded<Mutex<Option<M::Local>>>>,
}

impl<M: Map> Rayon<M> {
    fn run(
        &self,
        phase: &M::Phase,
        range: std::ops::Range<usize>,
    ) -> Result<M::Partial, Failure> {
        let mut into = self.work.empty(phase);
        let slot = rayon::current_thread_index().and_then(|i| self.locals[i].try_lock().ok());
        match slot {
            Some(mut slot) => {
                if slot.is_none() {
                    *slot = Some(new_local(&*self.work)?);
                }
                let local = slot.as_mut().expect("just filled");
                run_chunk(&*self.work, local, phase, range, &mut into)?;
            }
            // A task that itself uses rayon can be stolen into while it waits: the thread's own
            // state is then in use further up its stack.
            None => run_chunk(&*self.work, &mut new_local(&*self.work)?, phase, range, &mut into)?,
        }
        Ok(into)
    }
}

impl<M: Map> Executor<M> for Rayon<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let workers = setup.workers.get();
        let pool = ThreadPoolBuilder::new().num_threads(workers).build().map_err(|error| {
            let reason = format!("cannot start a rayon pool of {workers} threads: {error}");
            failed(FailureKind::Unsupported, reason)
        })?;
        let locals = (0..workers).map(|_| CachePadded::new(Mutex::new(None))).collect();
        let this = Self { work: setup.work, pool, locals };
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
        let merge = |mut left, right| {
            self.work.merge(&mut left, right);
            Ok(left)
        };
        let merged = self.pool.install(|| {
            (0..tasks.div_ceil(chunk))
                .into_par_iter()
                // Chunks are ours to choose, so rayon must not make larger ones.
                .with_max_len(1)
                .map(|index| self.run(phase, chunk_range(index, chunk, tasks)))
                .try_reduce_with(merge)
        });
        merged.unwrap_or_else(|| Ok(self.work.empty(phase)))
    }

    fn actual(&self) -> Actual {
        Actual { threads: self.pool.current_num_threads(), processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        // Dropping the pool tells its threads to end but does not wait for them: a barrier in
        // the exit handler of each thread would; the cell's process ends right after.
        drop(self.pool);
        Ok(())
    }
}
