//! Tasks of tokio, and blocking calls on its pool.

use std::collections::VecDeque;
use std::thread::available_parallelism;

use manyhands_contract::{ProbeError, TaskError};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::{Form, nothing};

fn built(builder: &mut Builder) -> Result<Runtime, ProbeError> {
    let refused = |error| ProbeError::Failed(format!("cannot start a tokio runtime: {error}"));
    builder.build().map_err(refused)
}

/// A task of the runtime itself starts all others: what it spawns goes to its thread's own queue,
/// as in a program whose `main` is async and has spawned what it does.
fn drive(
    runtime: &Runtime,
    run: impl Future<Output = Result<usize, TaskError>> + Send + 'static,
) -> Result<usize, TaskError> {
    runtime.block_on(async { tokio::spawn(run).await }).map_err(TaskError::new)?
}

/// Starts with `start`, at most `alive` at once, and awaits them, the oldest first.
async fn start_all(
    count: usize,
    alive: usize,
    start: impl Fn() -> JoinHandle<usize>,
) -> Result<usize, TaskError> {
    let mut tasks: VecDeque<JoinHandle<usize>> = VecDeque::with_capacity(alive);
    let mut done = 0;
    for _ in 0..count {
        if tasks.len() == alive
            && let Some(oldest) = tasks.pop_front()
        {
            done += oldest.await.map_err(TaskError::new)?;
        }
        tasks.push_back(start());
    }
    for task in tasks {
        done += task.await.map_err(TaskError::new)?;
    }
    Ok(done)
}

/// `async` and `async:current-thread`: `tokio::spawn` and `await`.
pub(super) struct Spawned {
    runtime: Runtime,
    threads: usize,
}

impl Spawned {
    pub(super) fn multi_thread(alive: usize) -> Result<Self, ProbeError> {
        let threads = alive.min(available_parallelism().map_or(1, usize::from));
        let runtime = built(Builder::new_multi_thread().worker_threads(threads))?;
        Ok(Self { runtime, threads })
    }

    pub(super) fn current_thread() -> Result<Self, ProbeError> {
        Ok(Self { runtime: built(&mut Builder::new_current_thread())?, threads: 1 })
    }
}

impl Form for Spawned {
    fn run(&mut self, count: usize, alive: usize) -> Result<usize, TaskError> {
        let start = || tokio::spawn(async { nothing() });
        drive(&self.runtime, start_all(count, alive, start))
    }

    fn actual(&self, _alive: usize) -> (usize, usize) {
        (self.threads, 1)
    }

    fn construct(&self) -> &'static str {
        "tokio::spawn and await, the oldest first"
    }
}

/// `async:blocking`: `spawn_blocking` and `await`. The pool keeps its threads between calls.
pub(super) struct Blocking(Runtime);

impl Blocking {
    pub(super) fn start(alive: usize) -> Result<Self, ProbeError> {
        let mut builder = Builder::new_multi_thread();
        built(builder.worker_threads(1).max_blocking_threads(alive)).map(Self)
    }
}

impl Form for Blocking {
    fn run(&mut self, count: usize, alive: usize) -> Result<usize, TaskError> {
        let start = || tokio::task::spawn_blocking(nothing);
        drive(&self.0, start_all(count, alive, start))
    }

    fn actual(&self, alive: usize) -> (usize, usize) {
        (alive, 1)
    }

    fn construct(&self) -> &'static str {
        "tokio::task::spawn_blocking and await, on a pool that keeps its threads"
    }
}
