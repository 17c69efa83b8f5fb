//! OS threads: a fixed pool, equal slices, or a thread per chunk.

use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use manyhands_contract::Map;
use manyhands_contract::limits::Need;
use manyhands_record::{Failure, FailureKind};

use super::gather::{Gather, Outbox};
use super::locals::{Locals, new_local};
use super::{Actual, Executor, FEWER, Setup, chunk_range, failed, granted};

/// Chunks that wait in the channel: enough that workers seldom find it empty while the feeding
/// thread is off its core, few enough to stay in the cache.
const WAITING: usize = 256;

/// `threads`: a fixed pool fed through a bounded channel.
pub(super) struct Pool<M: Map> {
    work: Arc<M>,
    threads: Vec<PoolThread<M>>,
    finished: Receiver<()>,
}

/// One thread and the channel on which it learns of phases. A channel each, because a shared
/// one could hand two phases to one thread and none to another.
struct PoolThread<M: Map> {
    phases: Sender<PoolPhase<M>>,
    handle: JoinHandle<()>,
}

struct PoolPhase<M: Map> {
    gather: Arc<Gather<M>>,
    chunks: Receiver<Range<usize>>,
}

impl<M: Map> Executor<M> for Pool<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let workers = setup.workers.get();
        granted(Need::threads(workers as u64))?;
        let (finish, finished) = bounded(workers);
        let mut threads = Vec::with_capacity(workers);
        for index in 0..workers {
            let local = new_local(&*setup.work)?;
            let (phases, receiver) = bounded(1);
            let finish = finish.clone();
            let handle = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || serve(&receiver, &finish, local))
                .map_err(|error| refused(index, workers, &error))?;
            threads.push(PoolThread { phases, handle });
        }
        Ok(Self { work: setup.work, threads, finished })
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let gather = Arc::new(Gather::new(Arc::clone(&self.work), phase.clone()));
        let (feed, chunks) = bounded(WAITING);
        for thread in &self.threads {
            let phase = PoolPhase { gather: Arc::clone(&gather), chunks: chunks.clone() };
            thread.phases.send(phase).expect("pool threads live until stop");
        }
        drop(chunks); // the workers' ends alone keep the channel open
        for index in 0..tasks.div_ceil(chunk) {
            // Fails only when every worker has stopped after a failure.
            if feed.send(chunk_range(index, chunk, tasks)).is_err() {
                break;
            }
        }
        drop(feed); // tells the workers that there are no more chunks
        for _ in &self.threads {
            self.finished.recv().expect("pool threads live until stop");
        }
        gather.finish(tasks)
    }

    fn actual(&self) -> Actual {
        Actual { threads: self.threads.len(), processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        for PoolThread { phases, handle } in self.threads {
            drop(phases); // the thread sees its channel closed and ends
            handle
                .join()
                .map_err(|panic| failed(FailureKind::Panic, super::panic_message(&*panic)))?;
        }
        Ok(())
    }
}

/// A pool thread's life.
fn serve<M: Map>(phases: &Receiver<PoolPhase<M>>, finish: &Sender<()>, mut local: M::Local) {
    for PoolPhase { gather, chunks } in phases {
        let mut outbox = Outbox::new(&gather);
        for range in &chunks {
            if !outbox.run(&mut local, range) {
                break;
            }
        }
        outbox.flush();
        drop(chunks); // before we say so: the feeding thread may be waiting for room
        if finish.send(()).is_err() {
            return;
        }
    }
}

/// `threads:static`: scoped threads, each with an equal slice.
pub(super) struct Static<M: Map> {
    work: Arc<M>,
    workers: usize,
    locals: Locals<M>,
}

impl<M: Map> Executor<M> for Static<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let workers = alive(&*setup.work, setup.workers.get())?;
        Ok(Self { work: setup.work, workers, locals: Locals::new() })
    }

    /// A slice is one chunk, whatever chunk was asked for: that is the variant.
    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        _chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let gather = Gather::new(Arc::clone(&self.work), phase.clone());
        let workers = self.workers.min(tasks);
        thread::scope(|scope| {
            for index in 0..workers {
                let slice = slice(index, workers, tasks);
                let (gather, locals) = (&gather, &self.locals);
                let run = move || run_once(gather, locals, slice);
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, run) {
                    gather.fail(refused(index, workers, &error));
                    break;
                }
            }
        });
        gather.finish(tasks)
    }

    fn actual(&self) -> Actual {
        let tasks = self.work.tasks(&self.work.first());
        Actual { threads: self.workers.min(tasks), processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Slice `index` of `workers`; their sizes differ by at most one.
fn slice(index: usize, workers: usize, tasks: usize) -> Range<usize> {
    let cut = |i: usize| (i as u128 * tasks as u128 / workers as u128) as usize;
    cut(index)..cut(index + 1)
}

/// `threads:spawn`: a thread per chunk.
pub(super) struct Spawn<M: Map> {
    work: Arc<M>,
    workers: usize,
    locals: Locals<M>,
}

impl<M: Map> Executor<M> for Spawn<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let workers = alive(&*setup.work, setup.workers.get())?;
        Ok(Self { work: setup.work, workers, locals: Locals::new() })
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let gather = Gather::new(Arc::clone(&self.work), phase.clone());
        // A channel of as many places as workers is the semaphore: a place is taken before a
        // thread is spawned and given back as the thread's last act.
        let (take, give_back) = bounded(self.workers.min(tasks.div_ceil(chunk)));
        thread::scope(|scope| {
            for index in 0..tasks.div_ceil(chunk) {
                take.send(()).expect("its receiver is in this function");
                let (gather, locals, give_back) = (&gather, &self.locals, &give_back);
                if gather.has_failed() {
                    break;
                }
                let range = chunk_range(index, chunk, tasks);
                let first = range.start;
                let run = move || {
                    let _place = Place(give_back);
                    run_once(gather, locals, range);
                };
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, run) {
                    let reason =
                        format!("cannot start a thread for task {first}: {error}; {FEWER}");
                    gather.fail(failed(FailureKind::Error, reason));
                    break;
                }
            }
        });
        gather.finish(tasks)
    }

    fn actual(&self) -> Actual {
        let tasks = self.work.tasks(&self.work.first());
        Actual { threads: self.workers.min(tasks), processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A place of `threads:spawn`, given back however its thread ends: the feeding thread waits for it.
struct Place<'a>(&'a Receiver<()>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _own = self.0.try_recv();
    }
}

/// A short-lived thread's life: one range of tasks.
fn run_once<M: Map>(gather: &Gather<M>, locals: &Locals<M>, range: Range<usize>) {
    let mut local = match locals.take(&gather.work) {
        Ok(local) => local,
        Err(failure) => return gather.fail(failure),
    };
    let mut outbox = Outbox::new(gather);
    if outbox.run(&mut local, range) {
        locals.put(local);
    }
    outbox.flush();
}

/// Checks that as many threads can live as will be alive at once, at most one a task.
fn alive<M: Map>(work: &M, workers: usize) -> Result<usize, Failure> {
    let tasks = work.tasks(&work.first());
    granted(Need::threads(workers.min(tasks) as u64))?;
    Ok(workers)
}

fn refused(index: usize, workers: usize, error: &std::io::Error) -> Failure {
    let reason = format!("cannot start thread {} of {workers}: {error}; {FEWER}", index + 1);
    failed(FailureKind::Error, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_all_tasks_and_differ_by_at_most_one() {
        for (workers, tasks) in [(1, 1), (3, 10), (7, 7), (4, 1_000_003)] {
            let slices: Vec<_> = (0..workers).map(|i| slice(i, workers, tasks)).collect();
            assert_eq!((slices[0].start, slices[workers - 1].end), (0, tasks));
            assert!(slices.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes: Vec<_> = slices.iter().map(Range::len).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }
}
