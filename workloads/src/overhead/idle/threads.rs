//! Threads that wait on a condition variable.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use manyhands_contract::{Answer, Experiment, ProbeError, TaskError};
use tokio::runtime::{Builder, Runtime};

use super::{Hold, answer, counters};
use crate::overhead::helpers::refused;

/// tokio does not say that it was refused a blocking thread when it has others: the task waits in
/// its queue. No thread takes as long as this to start.
const STALL: Duration = Duration::from_secs(2);

/// The one event, which can happen again and again.
#[derive(Debug)]
struct Event {
    state: Mutex<State>,
    /// The event has happened, or it is over.
    happened: Condvar,
    /// All of them wait.
    settled: Condvar,
    waiters: usize,
}

#[derive(Debug, Default)]
struct State {
    /// How many times it has happened: a waiter leaves when this changes, so that one that is
    /// late, or that the kernel woke for nothing, neither misses an event nor sees it twice.
    events: u64,
    waiting: usize,
    seen: usize,
    over: bool,
}

impl Event {
    fn new(waiters: usize) -> Self {
        let (happened, settled) = (Condvar::new(), Condvar::new());
        Self { state: Mutex::default(), happened, settled, waiters }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it locked")
    }

    /// A waiter's life. Whoever is counted as waiting has the lock and gives it back by waiting.
    fn wait_until_over(&self) {
        let mut state = self.lock();
        loop {
            state.waiting += 1;
            if state.waiting == self.waiters {
                self.settled.notify_one();
            }
            let events = state.events;
            while state.events == events && !state.over {
                state = self.happened.wait(state).expect("nobody panics with it locked");
            }
            if state.over {
                return;
            }
            state.seen += 1;
        }
    }

    /// Waits until all of them wait.
    fn settle(&self, mut state: MutexGuard<'_, State>) -> usize {
        while state.waiting < self.waiters {
            state = self.settled.wait(state).expect("nobody panics with it locked");
        }
        state.seen
    }

    /// Lets it happen: how many saw it, once all of them wait again.
    fn happen(&self) -> usize {
        let mut state = self.lock();
        (state.events, state.waiting, state.seen) = (state.events + 1, 0, 0);
        self.happened.notify_all();
        self.settle(state)
    }

    fn end(&self) {
        self.lock().over = true;
        self.happened.notify_all();
    }
}

/// Ends what waits, however its owner ends.
struct Owned(Arc<Event>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// An event and the last time that it took.
struct Sampled {
    event: Owned,
    hold: Hold,
    release: Duration,
}

impl Sampled {
    fn new(waiters: usize, hold: Hold) -> Self {
        Self { event: Owned(Arc::new(Event::new(waiters))), hold, release: Duration::ZERO }
    }

    fn waiters(&self) -> usize {
        self.event.0.waiters
    }

    fn settle(&self) {
        self.event.0.settle(self.event.0.lock());
    }

    /// As [`settle`](Self::settle); false when for a while nobody else came to wait.
    fn settle_or_stall(&self) -> bool {
        let event = &*self.event.0;
        let mut state = event.lock();
        while state.waiting < event.waiters {
            let before = state.waiting;
            let waited = event.settled.wait_timeout(state, STALL);
            state = waited.expect("nobody panics with it locked").0;
            if state.waiting == before {
                return false;
            }
        }
        true
    }

    fn sample(&mut self) -> Answer {
        self.hold.pass();
        let began = Instant::now();
        let seen = self.event.0.happen();
        self.release = began.elapsed();
        answer(self.waiters(), seen)
    }
}

/// `threads`: stacks as std makes them.
pub(super) struct Threads {
    sampled: Sampled,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn start(workers: usize, hold: Hold) -> Result<Self, ProbeError> {
        let sampled = Sampled::new(workers, hold);
        let mut threads = Vec::with_capacity(workers);
        for index in 0..workers {
            let event = Arc::clone(&sampled.event.0);
            let thread = thread::Builder::new().spawn(move || event.wait_until_over());
            threads.push(thread.map_err(|error| refused("thread", index, workers, &error))?);
        }
        sampled.settle();
        Ok(Self { sampled, threads })
    }
}

impl Experiment for Threads {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        Ok(self.sampled.sample())
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        counters(self.sampled.release, self.tasks())
    }

    fn actual(&self) -> (usize, usize) {
        (self.threads.len(), 1)
    }

    fn tasks(&self) -> usize {
        self.sampled.waiters()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![("construct", "std::thread::spawn, all on one Mutex and Condvar".to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.sampled);
        for thread in self.threads {
            thread.join().map_err(|_| TaskError::new("a waiting thread panicked"))?;
        }
        Ok(())
    }
}

/// `async:blocking`: threads of tokio's blocking pool.
pub(super) struct Blocking {
    // In this order: a runtime waits for its blocking threads, which wait for the event's end.
    sampled: Sampled,
    runtime: Runtime,
}

impl Blocking {
    pub(super) fn start(workers: usize, hold: Hold) -> Result<Self, ProbeError> {
        let sampled = Sampled::new(workers, hold);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(workers)
            .build()
            .map_err(|error| refused("thread", 0, workers, &error))?;
        for _ in 0..workers {
            let event = Arc::clone(&sampled.event.0);
            runtime.spawn_blocking(move || event.wait_until_over());
        }
        if !sampled.settle_or_stall() {
            let waiting = sampled.event.0.lock().waiting;
            let error = std::io::ErrorKind::WouldBlock.into();
            return Err(refused("thread", waiting, workers, &error));
        }
        Ok(Self { sampled, runtime })
    }
}

impl Experiment for Blocking {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        Ok(self.sampled.sample())
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        counters(self.sampled.release, self.tasks())
    }

    fn actual(&self) -> (usize, usize) {
        (self.tasks(), 1)
    }

    fn tasks(&self) -> usize {
        self.sampled.waiters()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let construct = "tokio::task::spawn_blocking, all on one std Mutex and Condvar";
        vec![("construct", construct.to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.sampled);
        drop(self.runtime);
        Ok(())
    }
}
