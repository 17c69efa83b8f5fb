//! The same loops, written by hand: what a good engineer would write for exactly this loop with
//! exactly that library.
//!
//! Each twin folds the tasks' results into one number, stops at the first error, catches panics,
//! hands out one task at a time, uses as many workers, and starts its pool or runtime before the
//! clock: as our executors do. What it need not do, it does not: it knows its workload, so there
//! are no phases, no worker-local state beyond a variable, no chunks, and, as `xor` does not care,
//! no merging in task order. Where a twin and an executor differ in time, that is what being
//! general costs.

mod asynchronous;
mod rayon;
mod sequential;
mod threads;

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use manyhands::contract::{Map, TaskError};
use manyhands::executors::ExecutorName;
use manyhands_workloads::overhead::spin::Spin;

/// A hand-written loop, with its pool or runtime started.
pub(crate) trait Twin {
    /// Runs all tasks once; the xor of their ends.
    fn run(&mut self) -> Result<u64, Stopped>;
}

/// What ends a loop early.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A task's own error.
    Error(TaskError),
    /// What a task panicked with.
    Panic(Box<dyn Any + Send>),
    /// The library's or the system's refusal.
    Refused(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "a task failed: {error}"),
            Self::Panic(panic) => match panic.downcast_ref::<String>() {
                Some(message) => write!(f, "a task panicked: {message}"),
                None => f.write_str("a task panicked"),
            },
            Self::Refused(error) => write!(f, "the loop could not run: {error}"),
        }
    }
}

/// Starts the twin of an executor.
pub(crate) fn start(
    name: ExecutorName,
    spin: Arc<Spin>,
    workers: u32,
) -> Result<Box<dyn Twin>, Stopped> {
    let threads = workers as usize;
    Ok(match name {
        ExecutorName::Sequential => Box::new(sequential::Loop::new(spin)),
        ExecutorName::Threads => Box::new(threads::Pool::start(spin, threads)?),
        ExecutorName::ThreadsStatic => Box::new(threads::Static::new(spin, threads)),
        ExecutorName::ThreadsSpawn => Box::new(threads::Spawn::new(spin, threads)),
        ExecutorName::Rayon => Box::new(rayon::Pool::start(spin, threads)?),
        ExecutorName::Async => Box::new(asynchronous::Spawn::multi_thread(spin, workers)?),
        ExecutorName::AsyncCurrentThread => {
            Box::new(asynchronous::Spawn::current_thread(spin, workers)?)
        }
        ExecutorName::AsyncPull => Box::new(asynchronous::Pull::start(spin, workers)?),
        ExecutorName::AsyncBlocking => Box::new(asynchronous::Blocking::start(spin, workers)?),
        ExecutorName::Processes | ExecutorName::ProcessesFork | ExecutorName::ProcessesShm => {
            return Err(refused("a process pool by hand would be this one again"));
        }
    })
}

/// The loops' body: the workload's own kernel, its error passed on and its panic caught.
#[inline]
fn run_task(spin: &Spin, last: &mut u64, task: usize, xor: &mut u64) -> Result<(), Stopped> {
    catch_unwind(AssertUnwindSafe(|| spin.run(last, &(), task, xor)))
        .map_err(Stopped::Panic)?
        .map_err(Stopped::Error)
}

/// A library's or the system's error.
fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> Stopped {
    Stopped::Refused(error.into())
}
