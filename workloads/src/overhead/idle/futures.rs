//! Futures that wait on a `Notify`, each a task of tokio.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use manyhands_contract::{Answer, Experiment, ProbeError, TaskError};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::{Hold, answer, counters};
use crate::overhead::helpers::refused;

/// The one event, which can happen again and again.
#[derive(Debug)]
struct Event {
    happened: Notify,
    waiters: usize,
    waiting: AtomicUsize,
    seen: AtomicUsize,
    /// All of them wait.
    settled: Notify,
}

impl Event {
    /// A waiter's life, which ends with its runtime.
    async fn wait(self: Arc<Self>) {
        loop {
            let mut happened = pin!(self.happened.notified());
            // In the queue of those who wait before it is counted as waiting: the event cannot
            // slip through between the two.
            happened.as_mut().enable();
            // Release, and acquire in the last one: who is told that all wait sees what all did.
            if self.waiting.fetch_add(1, Ordering::AcqRel) + 1 == self.waiters {
                self.settled.notify_one();
            }
            happened.await;
            // Relaxed: published by the addition above.
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets it happen: how many saw it, once all of them wait again.
    async fn happen(&self) -> usize {
        // Relaxed: all wait, and learn of this through the notification.
        self.waiting.store(0, Ordering::Relaxed);
        self.seen.store(0, Ordering::Relaxed);
        self.happened.notify_waiters();
        self.settled.notified().await;
        self.seen.load(Ordering::Relaxed)
    }
}

/// `async` and `async:current-thread`.
pub(super) struct Futures {
    event: Arc<Event>,
    runtime: Runtime,
    threads: usize,
    hold: Hold,
    release: Duration,
}

impl Futures {
    pub(super) fn multi_thread(workers: usize, hold: Hold) -> Result<Self, ProbeError> {
        let cores = available_parallelism().map_or(1, usize::from);
        let threads = workers.min(cores);
        Self::start(Builder::new_multi_thread().worker_threads(threads), threads, workers, hold)
    }

    pub(super) fn current_thread(workers: usize, hold: Hold) -> Result<Self, ProbeError> {
        Self::start(&mut Builder::new_current_thread(), 1, workers, hold)
    }

    fn start(
        builder: &mut Builder,
        threads: usize,
        workers: usize,
        hold: Hold,
    ) -> Result<Self, ProbeError> {
        let runtime = builder.build().map_err(|error| refused("thread", 0, threads, &error))?;
        let event = Arc::new(Event {
            happened: Notify::new(),
            waiters: workers,
            waiting: AtomicUsize::new(0),
            seen: AtomicUsize::new(0),
            settled: Notify::new(),
        });
        runtime.block_on(async {
            for _ in 0..workers {
                tokio::spawn(Arc::clone(&event).wait());
            }
            event.settled.notified().await;
        });
        Ok(Self { event, runtime, threads, hold, release: Duration::ZERO })
    }
}

impl Experiment for Futures {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        self.hold.pass();
        let began = Instant::now();
        let seen = self.runtime.block_on(self.event.happen());
        self.release = began.elapsed();
        Ok(answer(self.event.waiters, seen))
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        counters(self.release, self.event.waiters)
    }

    fn actual(&self) -> (usize, usize) {
        (self.threads, 1)
    }

    fn tasks(&self) -> usize {
        self.event.waiters
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![("construct", "tokio::spawn a worker, all on one tokio::sync::Notify".to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        // Waits for its threads and drops its tasks, each at its await.
        drop(self.runtime);
        Ok(())
    }
}
