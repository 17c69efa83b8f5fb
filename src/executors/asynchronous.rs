//! tokio: tasks spawned under a semaphore, futures that pull, one thread, or its blocking pool.

use std::any::TypeId;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use crossbeam_utils::CachePadded;
use manyhands_contract::limits::Need;
use manyhands_contract::{Erased, Map};
use manyhands_record::{Failure, FailureKind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::gather::{Gather, Outbox, run_chunk_async};
use super::locals::Locals;
use super::{Actual, Executor, Setup, chunk_range, failed, granted, run_chunk};

/// What the four variants share.
struct Base<M: Map> {
    work: Arc<M>,
    workers: usize,
    runtime: Runtime,
    threads: usize,
    locals: Arc<ThreadLocals<M>>,
}

impl<M: Map> Base<M> {
    /// A multi-thread runtime of min(workers, cores) threads: more could not run at once.
    fn multi_thread(setup: Setup<M>, blocking: usize) -> Result<Self, Failure> {
        let cores = available_parallelism().map_or(1, usize::from);
        let threads = setup.workers.get().min(cores);
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).max_blocking_threads(blocking.max(1));
        Self::new(setup, &mut builder, threads)
    }

    fn new(setup: Setup<M>, builder: &mut Builder, threads: usize) -> Result<Self, Failure> {
        let runtime = builder.enable_all().build().map_err(|error| {
            let reason = format!("cannot start a tokio runtime: {error}; {}", super::FEWER);
            failed(FailureKind::Error, reason)
        })?;
        let (work, workers) = (setup.work, setup.workers.get());
        Ok(Self { work, workers, runtime, threads, locals: Arc::new(ThreadLocals::new(threads)) })
    }

    fn shared(&self, phase: &M::Phase, tasks: usize, chunk: usize) -> Arc<Shared<M>> {
        let gather = Gather::new(Arc::clone(&self.work), phase.clone());
        Arc::new(Shared { gather, locals: Arc::clone(&self.locals), tasks, chunk })
    }

    fn actual(&self) -> Actual {
        Actual { threads: self.threads, processes: 1 }
    }

    /// Runs a driver on the runtime's own threads, so that what it spawns goes to a worker's
    /// local queue and not through the injection queue that outside threads must use.
    fn drive<F>(&self, driver: F) -> Result<(), Failure>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.runtime.block_on(async { tokio::spawn(driver).await }).map_err(|error| {
            failed(FailureKind::Panic, format!("the executor's own task failed: {error}"))
        })
    }

    fn stop(self) {
        // Waits for its threads; tasks are all done, or were dropped at their last await.
        drop(self.runtime);
    }
}

/// One phase as its futures see it: behind one count, because a future is made per chunk.
struct Shared<M: Map> {
    gather: Gather<M>,
    locals: Arc<ThreadLocals<M>>,
    tasks: usize,
    chunk: usize,
}

impl<M: Map> Shared<M> {
    fn chunks(&self) -> usize {
        self.tasks.div_ceil(self.chunk)
    }

    fn range(&self, index: usize) -> Range<usize> {
        chunk_range(index, self.chunk, self.tasks)
    }

    fn finish(&self) -> Result<M::Partial, Failure> {
        self.gather.finish(self.tasks)
    }
}

/// Local states that are not in use, a stack per thread.
struct ThreadLocals<M: Map>(Vec<CachePadded<Locals<M>>>);

impl<M: Map> ThreadLocals<M> {
    fn new(threads: usize) -> Self {
        Self((0..threads.next_power_of_two()).map(|_| CachePadded::new(Locals::new())).collect())
    }

    /// Those of this thread, for who does not wait: nobody else wants their lock, and there are no
    /// more of them than threads.
    fn own(&self) -> &Locals<M> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // Threads of one runtime start together, so that their numbers mostly follow on each
        // other. Two that meet share a stack. Relaxed: only the number matters.
        thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        &self.0[NUMBER.with(|number| number & (self.0.len() - 1))]
    }

    /// For who may wait, and may wake up on another thread: with a stack per thread there would
    /// be idle states on one while another makes new ones.
    fn any(&self) -> &Locals<M> {
        &self.0[0]
    }
}

/// Whether a chunk's future can be pending. Of an erased workload only it itself knows.
fn may_wait<M: Map>() -> bool {
    M::WAITS || TypeId::of::<M>() == TypeId::of::<Erased>()
}

/// A task per chunk, at most `workers` at once: the form that most async code has.
async fn spawn_chunks<M: Map>(shared: Arc<Shared<M>>, workers: usize) {
    let permits = u32::try_from(workers.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let semaphore = Arc::new(Semaphore::new(permits as usize));
    for index in 0..shared.chunks() {
        let permit = Arc::clone(&semaphore).acquire_owned().await.expect("never closed");
        if shared.gather.has_failed() {
            break;
        }
        let shared = Arc::clone(&shared);
        // tokio copies a new future a few times, so one that cannot wait is spawned without the
        // room for what an await keeps: a third of a no-op's time.
        if may_wait::<M>() {
            tokio::spawn(async move {
                spawned_chunk(&shared, index).await;
                drop(permit);
            });
        } else {
            tokio::spawn(async move {
                whole_chunk(&shared, index);
                drop(permit);
            });
        }
    }
    // All permits are back when all tasks are done. A task that panics outside the workload's
    // code gives its permit back too, and the missing chunk is then noticed by the merger.
    let _all = semaphore.acquire_many(permits).await.expect("never closed");
}

async fn spawned_chunk<M: Map>(shared: &Shared<M>, index: usize) {
    let (gather, locals) = (&shared.gather, shared.locals.any());
    let mut local = match locals.take(&gather.work) {
        Ok(local) => local,
        Err(failure) => return gather.fail(failure),
    };
    let Some(mut into) = gather.empty() else { return };
    let range = shared.range(index);
    match run_chunk_async(&*gather.work, &mut local, &gather.phase, range, &mut into).await {
        Ok(()) => {
            locals.put(local);
            gather.add(shared.range(index), into);
        }
        Err(failure) => gather.fail(failure),
    }
}

/// `async`.
pub(super) struct Spawn<M: Map>(Base<M>);

impl<M: Map> Executor<M> for Spawn<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        // Blocking threads are for what the workload's own async code sends there (files).
        Base::multi_thread(setup, 512).map(Self)
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let base = &self.0;
        let shared = base.shared(phase, tasks, chunk);
        base.drive(spawn_chunks(Arc::clone(&shared), base.workers))?;
        shared.finish()
    }

    fn actual(&self) -> Actual {
        self.0.actual()
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.stop();
        Ok(())
    }
}

/// `async:current-thread`.
pub(super) struct CurrentThread<M: Map>(Base<M>);

impl<M: Map> Executor<M> for CurrentThread<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        Base::new(setup, &mut Builder::new_current_thread(), 1).map(Self)
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let base = &self.0;
        let shared = base.shared(phase, tasks, chunk);
        base.drive(spawn_chunks(Arc::clone(&shared), base.workers))?;
        shared.finish()
    }

    fn actual(&self) -> Actual {
        self.0.actual()
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.stop();
        Ok(())
    }
}

/// `async:pull`.
pub(super) struct Pull<M: Map>(Base<M>);

impl<M: Map> Executor<M> for Pull<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        Base::multi_thread(setup, 512).map(Self)
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let base = &self.0;
        let shared = base.shared(phase, tasks, chunk);
        let next = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..base.workers.min(shared.chunks()))
            .map(|_| base.runtime.spawn(pull_chunks(Arc::clone(&shared), Arc::clone(&next))))
            .collect();
        base.runtime.block_on(async {
            for worker in workers {
                if let Err(error) = worker.await {
                    let reason = format!("the executor's own task failed: {error}");
                    shared.gather.fail(failed(FailureKind::Panic, reason));
                }
            }
        });
        shared.finish()
    }

    fn actual(&self) -> Actual {
        self.0.actual()
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.stop();
        Ok(())
    }
}

async fn pull_chunks<M: Map>(shared: Arc<Shared<M>>, next: Arc<AtomicUsize>) {
    let (gather, locals) = (&shared.gather, shared.locals.any());
    let mut local = match locals.take(&gather.work) {
        Ok(local) => local,
        Err(failure) => return gather.fail(failure),
    };
    let (mut outbox, chunks) = (Outbox::new(gather), shared.chunks());
    loop {
        // Relaxed: the counter only has to give each number once; what the tasks wrote is
        // published by the lock of the gather.
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= chunks {
            break;
        }
        let range = shared.range(index);
        let goes_on = if may_wait::<M>() {
            outbox.run_async(&mut local, range).await
        } else {
            outbox.run(&mut local, range)
        };
        if !goes_on {
            return;
        }
    }
    outbox.flush();
    locals.put(local);
}

/// `async:blocking`.
pub(super) struct Blocking<M: Map>(Base<M>);

impl<M: Map> Executor<M> for Blocking<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let workers = setup.workers.get();
        let tasks = setup.work.tasks(&setup.work.first());
        granted(Need::threads(workers.min(tasks) as u64))?;
        Base::multi_thread(setup, workers).map(Self)
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let base = &self.0;
        let shared = base.shared(phase, tasks, chunk);
        base.drive(block_chunks(Arc::clone(&shared), base.workers))?;
        shared.finish()
    }

    fn actual(&self) -> Actual {
        let tasks = self.0.work.tasks(&self.0.work.first());
        Actual { threads: self.0.workers.min(tasks.max(1)), processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.stop();
        Ok(())
    }
}

/// A blocking call per chunk, at most `workers` at once: how async code uses a blocking library.
async fn block_chunks<M: Map>(shared: Arc<Shared<M>>, workers: usize) {
    let permits = u32::try_from(workers.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let semaphore = Arc::new(Semaphore::new(permits as usize));
    for index in 0..shared.chunks() {
        let permit = Arc::clone(&semaphore).acquire_owned().await.expect("never closed");
        if shared.gather.has_failed() {
            break;
        }
        let shared = Arc::clone(&shared);
        tokio::task::spawn_blocking(move || {
            whole_chunk(&shared, index);
            drop(permit);
        });
    }
    let _all = semaphore.acquire_many(permits).await.expect("never closed");
}

/// A chunk that runs from start to end without waiting.
fn whole_chunk<M: Map>(shared: &Shared<M>, index: usize) {
    let (gather, locals) = (&shared.gather, shared.locals.own());
    let mut local = match locals.take(&gather.work) {
        Ok(local) => local,
        Err(failure) => return gather.fail(failure),
    };
    let Some(mut into) = gather.empty() else { return };
    let range = shared.range(index);
    match run_chunk(&*gather.work, &mut local, &gather.phase, range.clone(), &mut into) {
        Ok(()) => {
            locals.put(local);
            gather.add(range, into);
        }
        Err(failure) => gather.fail(failure),
    }
}
