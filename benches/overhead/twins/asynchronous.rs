//! tokio: a task spawned per loop turn under a semaphore, futures that pull, its blocking pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use manyhands::contract::Map;
use manyhands_workloads::overhead::spin::Spin;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Stopped, Twin, refused, run_task};

/// What the tasks of one run share.
struct Run {
    spin: Arc<Spin>,
    merged: Mutex<Result<u64, Stopped>>,
}

impl Run {
    fn new(spin: Arc<Spin>) -> Arc<Self> {
        Arc::new(Self { spin, merged: Mutex::new(Ok(0)) })
    }

    /// One task from start to end. Its place is free again once its result is in; the first
    /// failure stays, and closing the semaphore ends the spawning loop.
    fn task(&self, task: usize, permit: OwnedSemaphorePermit) {
        let (mut last, mut xor) = (0, 0);
        let result = run_task(&self.spin, &mut last, task, &mut xor);
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *merged, result) {
            (Ok(sum), Ok(())) => *sum ^= xor,
            (Ok(_), Err(stopped)) => {
                *merged = Err(stopped);
                permit.semaphore().close();
            }
            (Err(_), _) => {}
        }
    }

    fn finish(&self) -> Result<u64, Stopped> {
        std::mem::replace(&mut *self.merged.lock().unwrap_or_else(PoisonError::into_inner), Ok(0))
    }
}

/// `tokio::spawn` per task, at most `workers` at once.
pub(super) struct Spawn {
    spin: Arc<Spin>,
    workers: u32,
    runtime: Runtime,
}

impl Spawn {
    pub(super) fn multi_thread(spin: Arc<Spin>, workers: u32) -> Result<Self, Stopped> {
        let mut builder = Builder::new_multi_thread();
        Self::on(spin, workers, builder.worker_threads(workers as usize))
    }

    pub(super) fn current_thread(spin: Arc<Spin>, workers: u32) -> Result<Self, Stopped> {
        Self::on(spin, workers, &mut Builder::new_current_thread())
    }

    fn on(spin: Arc<Spin>, workers: u32, builder: &mut Builder) -> Result<Self, Stopped> {
        let runtime = builder.enable_all().build().map_err(refused)?;
        Ok(Self { spin, workers, runtime })
    }
}

impl Twin for Spawn {
    fn run(&mut self) -> Result<u64, Stopped> {
        // A task of its own, because spawning from a runtime's thread is the cheap way.
        let driver = spawn_all(Arc::clone(&self.spin), self.workers);
        self.runtime.block_on(async { tokio::spawn(driver).await }).map_err(refused)?
    }
}

async fn spawn_all(spin: Arc<Spin>, workers: u32) -> Result<u64, Stopped> {
    let semaphore = Arc::new(Semaphore::new(workers as usize));
    let run = Run::new(spin);
    for task in 0..run.spin.tasks(&()) {
        let Ok(permit) = Arc::clone(&semaphore).acquire_owned().await else { break };
        let run = Arc::clone(&run);
        tokio::spawn(async move { run.task(task, permit) });
    }
    let _all = semaphore.acquire_many(workers).await; // an error is a failure's, not ours
    run.finish()
}

/// `spawn_blocking` per task, at most `workers` at once.
pub(super) struct Blocking {
    spin: Arc<Spin>,
    workers: u32,
    runtime: Runtime,
}

impl Blocking {
    pub(super) fn start(spin: Arc<Spin>, workers: u32) -> Result<Self, Stopped> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers as usize).max_blocking_threads(workers as usize);
        let runtime = builder.enable_all().build().map_err(refused)?;
        Ok(Self { spin, workers, runtime })
    }
}

impl Twin for Blocking {
    fn run(&mut self) -> Result<u64, Stopped> {
        let driver = block_all(Arc::clone(&self.spin), self.workers);
        self.runtime.block_on(async { tokio::spawn(driver).await }).map_err(refused)?
    }
}

async fn block_all(spin: Arc<Spin>, workers: u32) -> Result<u64, Stopped> {
    let semaphore = Arc::new(Semaphore::new(workers as usize));
    let run = Run::new(spin);
    for task in 0..run.spin.tasks(&()) {
        let Ok(permit) = Arc::clone(&semaphore).acquire_owned().await else { break };
        let run = Arc::clone(&run);
        tokio::task::spawn_blocking(move || run.task(task, permit));
    }
    let _all = semaphore.acquire_many(workers).await; // an error is a failure's, not ours
    run.finish()
}

/// As many futures as workers, pulling task numbers from a counter.
pub(super) struct Pull {
    spin: Arc<Spin>,
    workers: u32,
    runtime: Runtime,
}

impl Pull {
    pub(super) fn start(spin: Arc<Spin>, workers: u32) -> Result<Self, Stopped> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers as usize);
        let runtime = builder.enable_all().build().map_err(refused)?;
        Ok(Self { spin, workers, runtime })
    }
}

impl Twin for Pull {
    fn run(&mut self) -> Result<u64, Stopped> {
        let next = Arc::new(AtomicUsize::new(0));
        let futures: Vec<_> = (0..self.workers)
            .map(|_| self.runtime.spawn(pull(Arc::clone(&self.spin), Arc::clone(&next))))
            .collect();
        self.runtime.block_on(async {
            let mut xor = 0;
            for future in futures {
                xor ^= future.await.map_err(refused)??;
            }
            Ok(xor)
        })
    }
}

async fn pull(spin: Arc<Spin>, next: Arc<AtomicUsize>) -> Result<u64, Stopped> {
    let tasks = spin.tasks(&());
    let (mut last, mut xor) = (0, 0);
    loop {
        // Relaxed: each number must only be given once; joining the futures publishes the rest.
        let task = next.fetch_add(1, Ordering::Relaxed);
        if task >= tasks {
            return Ok(xor);
        }
        run_task(&spin, &mut last, task, &mut xor)
            .inspect_err(|_| next.store(tasks, Ordering::Relaxed))?;
    }
}
