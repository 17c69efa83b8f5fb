//! tokio: tasks spawned under a semaphore, futures that pull, one thread, or its blocking pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use manyhands_contract::Map;
use manyhands_record::{Failure, FailureKind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::gather::{Gather, Outbox, run_chunk_async};
use super::locals::Locals;
use super::{Actual, Executor, Setup, chunk_range, failed, run_chunk};

/// What the four variants share.
struct Base<M: Map> {
    work: Arc<M>,
    workers: usize,
    runtime: Runtime,
    threads: usize,
    locals: Arc<Locals<M>>,
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
            failed(FailureKind::Unsupported, format!("cannot start a tokio runtime: {error}"))
        })?;
        let (work, workers) = (setup.work, setup.workers.get());
        Ok(Self { work, workers, runtime, threads, locals: Arc::new(Locals::new()) })
    }

    fn gather(&self, phase: &M::Phase) -> Arc<Gather<M>> {
        Arc::new(Gather::new(Arc::clone(&self.work), phase.clone()))
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

/// A task per chunk, at most `workers` at once: the form that most async code has.
async fn spawn_chunks<M: Map>(
    gather: Arc<Gather<M>>,
    locals: Arc<Locals<M>>,
    workers: usize,
    tasks: usize,
    chunk: usize,
) {
    let permits = u32::try_from(workers.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let semaphore = Arc::new(Semaphore::new(permits as usize));
    for index in 0..tasks.div_ceil(chunk) {
        let permit = Arc::clone(&semaphore).acquire_owned().await.expect("never closed");
        if gather.has_failed() {
            break;
        }
        let (gather, locals) = (Arc::clone(&gather), Arc::clone(&locals));
        tokio::spawn(async move {
            spawned_chunk(&gather, &locals, chunk_range(index, chunk, tasks)).await;
            drop(permit);
        });
    }
    // All permits are back when all tasks are done. A task that panics outside the workload's
    // code gives its permit back too, and the missing chunk is then noticed by the merger.
    let _all = semaphore.acquire_many(permits).await.expect("never closed");
}

async fn spawned_chunk<M: Map>(
    gather: &Gather<M>,
    locals: &Locals<M>,
    range: std::ops::Range<usize>,
) {
    let mut local = match locals.take(&gather.work) {
        Ok(local) => local,
        Err(failure) => return gather.fail(failure),
    };
    let mut into = gather.work.empty(&gather.phase);
    let chunk = run_chunk_async(&*gather.work, &mut local, &gather.phase, range.clone(), &mut into);
    match chunk.await {
        Ok(()) => {
            locals.put(local);
            gather.add(range, into);
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
        let gather = base.gather(phase);
        let locals = Arc::clone(&base.locals);
        base.drive(spawn_chunks(Arc::clone(&gather), locals, base.workers, tasks, chunk))?;
        gather.finish(tasks)
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
        let gather = base.gather(phase);
        let locals = Arc::clone(&base.locals);
        base.drive(spawn_chunks(Arc::clone(&gather), locals, base.workers, tasks, chunk))?;
        gather.finish(tasks)
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
        let gather = base.gather(phase);
        let next = Arc::new(AtomicUsize::new(0));
        let chunks = tasks.div_ceil(chunk);
        let workers: Vec<_> = (0..base.workers.min(chunks))
            .map(|_| {
                let gather = Arc::clone(&gather);
                let (locals, next) = (Arc::clone(&base.locals), Arc::clone(&next));
                base.runtime.spawn(async move {
                    // Relaxed: the counter only has to give each number once; what the tasks
                    // wrote is published by the lock of the gather.
                    let pull = || next.fetch_add(1, Ordering::Relaxed);
                    let ranges = std::iter::repeat_with(pull)
                        .take_while(|index| *index < chunks)
                        .map(|index| chunk_range(index, chunk, tasks));
                    pull_chunks(&gather, &locals, ranges).await;
                })
            })
            .collect();
        base.runtime.block_on(async {
            for worker in workers {
                if let Err(error) = worker.await {
                    let reason = format!("the executor's own task failed: {error}");
                    gather.fail(failed(FailureKind::Panic, reason));
                }
            }
        });
        gather.finish(tasks)
    }

    fn actual(&self) -> Actual {
        self.0.actual()
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.stop();
        Ok(())
    }
}

async fn pull_chunks<M: Map>(
    gather: &Gather<M>,
    locals: &Locals<M>,
    ranges: impl Iterator<Item = std::ops::Range<usize>>,
) {
    let mut local = match locals.take(&gather.work) {
        Ok(local) => local,
        Err(failure) => return gather.fail(failure),
    };
    let mut outbox = Outbox::new(gather);
    for range in ranges {
        if !outbox.run_async(&mut local, range).await {
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
        Base::multi_thread(setup, workers).map(Self)
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let base = &self.0;
        let gather = base.gather(phase);
        let driver =
            block_chunks(Arc::clone(&gather), Arc::clone(&base.locals), base.workers, tasks, chunk);
        base.drive(driver)?;
        gather.finish(tasks)
    }

    fn actual(&self) -> Actual {
        Actual { threads: self.0.workers, processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.stop();
        Ok(())
    }
}

/// A blocking call per chunk, at most `workers` at once: how async code uses a blocking library.
async fn block_chunks<M: Map>(
    gather: Arc<Gather<M>>,
    locals: Arc<Locals<M>>,
    workers: usize,
    tasks: usize,
    chunk: usize,
) {
    let permits = u32::try_from(workers.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let semaphore = Arc::new(Semaphore::new(permits as usize));
    for index in 0..tasks.div_ceil(chunk) {
        let permit = Arc::clone(&semaphore).acquire_owned().await.expect("never closed");
        if gather.has_failed() {
            break;
        }
        let (gather, locals) = (Arc::clone(&gather), Arc::clone(&locals));
        tokio::task::spawn_blocking(move || {
            blocking_chunk(&gather, &locals, chunk_range(index, chunk, tasks));
            drop(permit);
        });
    }
    let _all = semaphore.acquire_many(permits).await.expect("never closed");
}

fn blocking_chunk<M: Map>(
    gather: &Gather<M>,
    locals: &Locals<M>,
    range: std::ops::Range<usize>,
) {
    let mut local = match locals.take(&gather.work) {
        Ok(local) => local,
        Err(failure) => return gather.fail(failure),
    };
    let mut into = gather.work.empty(&gather.phase);
    match run_chunk(&*gather.work, &mut local, &gather.phase, range.clone(), &mut into) {
        Ok(()) => {
            locals.put(local);
            gather.add(range, into);
        }
        Err(failure) => gather.fail(failure),
    }
}
