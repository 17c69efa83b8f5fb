//! std threads: a pool fed through crossbeam, equal slices, a thread per task.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use manyhands::contract::Map;
use manyhands_workloads::overhead::spin::Spin;

use super::{Stopped, Twin, refused, run_task};

/// Tasks that wait in the channel: as many as in ours.
const WAITING: usize = 256;

/// Threads that live as long as the pool and are given a channel of tasks per run.
pub(super) struct Pool {
    spin: Arc<Spin>,
    threads: Vec<(Sender<Run>, JoinHandle<()>)>,
    results: Receiver<Result<u64, Stopped>>,
}

/// One run, as a thread learns of it.
struct Run {
    tasks: Receiver<usize>,
    /// Set by the first failure. Relaxed: it carries nothing, it only saves work.
    failed: Arc<AtomicBool>,
}

impl Pool {
    pub(super) fn start(spin: Arc<Spin>, workers: usize) -> Result<Self, Stopped> {
        let (send_result, results) = bounded(workers);
        let threads = (0..workers)
            .map(|_| {
                let (runs, receiver) = bounded(1);
                let (spin, send_result) = (Arc::clone(&spin), send_result.clone());
                let serve = move || serve(&spin, &receiver, &send_result);
                thread::Builder::new().spawn(serve).map(|handle| (runs, handle))
            })
            .collect::<Result<_, _>>()
            .map_err(refused)?;
        Ok(Self { spin, threads, results })
    }
}

fn serve(spin: &Spin, runs: &Receiver<Run>, results: &Sender<Result<u64, Stopped>>) {
    for run in runs {
        let result = drain(spin, &run);
        // Dropping the run's channel first lets the feeding thread go should it wait for room.
        drop(run);
        if results.send(result).is_err() {
            return;
        }
    }
}

fn drain(spin: &Spin, run: &Run) -> Result<u64, Stopped> {
    let (mut last, mut xor) = (0, 0);
    for task in &run.tasks {
        if run.failed.load(Ordering::Relaxed) {
            break;
        }
        run_task(spin, &mut last, task, &mut xor)
            .inspect_err(|_| run.failed.store(true, Ordering::Relaxed))?;
    }
    Ok(xor)
}

impl Twin for Pool {
    fn run(&mut self) -> Result<u64, Stopped> {
        let (feed, tasks) = bounded(WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        for (runs, _) in &self.threads {
            let run = Run { tasks: tasks.clone(), failed: Arc::clone(&failed) };
            runs.send(run).map_err(refused)?;
        }
        drop(tasks);
        for task in 0..self.spin.tasks(&()) {
            if feed.send(task).is_err() {
                break; // every thread has stopped; the results say why
            }
        }
        drop(feed);
        let results: Vec<_> = self.results.iter().take(self.threads.len()).collect();
        results.into_iter().try_fold(0, |xor, result| Ok(xor ^ result?))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (runs, handle) in self.threads.drain(..) {
            drop(runs);
            let _ = handle.join(); // its panic was printed; there is nothing left to stop
        }
    }
}

/// A scoped thread per equal slice.
pub(super) struct Static {
    spin: Arc<Spin>,
    workers: usize,
}

impl Static {
    pub(super) fn new(spin: Arc<Spin>, workers: usize) -> Self {
        Self { spin, workers }
    }
}

impl Twin for Static {
    fn run(&mut self) -> Result<u64, Stopped> {
        let tasks = self.spin.tasks(&());
        let size = tasks.div_ceil(self.workers).max(1);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..tasks)
                .step_by(size)
                .map(|start| start..tasks.min(start + size))
                .map(|slice| scope.spawn(|| run_slice(&self.spin, slice)))
                .collect();
            threads.into_iter().try_fold(0, |xor, thread| {
                let result = thread.join().map_err(Stopped::Panic)?;
                Ok(xor ^ result?)
            })
        })
    }
}

/// A panic in here ends the thread and reaches whoever joins it, so nothing needs to catch it.
fn run_slice(spin: &Spin, slice: Range<usize>) -> Result<u64, Stopped> {
    let (mut last, mut xor) = (0, 0);
    for task in slice {
        spin.run(&mut last, &(), task, &mut xor).map_err(Stopped::Error)?;
    }
    Ok(xor)
}

/// A scoped thread per task, at most `workers` at once.
pub(super) struct Spawn {
    spin: Arc<Spin>,
    workers: usize,
}

impl Spawn {
    pub(super) fn new(spin: Arc<Spin>, workers: usize) -> Self {
        Self { spin, workers }
    }
}

impl Twin for Spawn {
    fn run(&mut self) -> Result<u64, Stopped> {
        let merged = Mutex::new(Ok(0));
        // std has no semaphore; a channel with a place per worker is one.
        let (take, give_back) = bounded(self.workers);
        thread::scope(|scope| {
            for task in 0..self.spin.tasks(&()) {
                take.send(()).map_err(refused)?;
                let (spin, merged, give_back) = (&self.spin, &merged, &give_back);
                let run = move || {
                    let (mut last, mut xor) = (0, 0);
                    let result = run_task(spin, &mut last, task, &mut xor);
                    add(merged, result.map(|()| xor));
                    let _own_place = give_back.recv();
                };
                thread::Builder::new().spawn_scoped(scope, run).map_err(refused)?;
            }
            Ok(())
        })?;
        merged.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Folds one task's result in; the first failure stays.
fn add(merged: &Mutex<Result<u64, Stopped>>, result: Result<u64, Stopped>) {
    let mut merged = merged.lock().unwrap_or_else(PoisonError::into_inner);
    match (&mut *merged, result) {
        (Ok(xor), Ok(one)) => *xor ^= one,
        (Ok(_), failure) => *merged = failure,
        (Err(_), _) => {}
    }
}
