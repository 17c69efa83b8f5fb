//! Tasks that block a thread: of their own, of rayon's pool, of tokio's blocking pool.

use std::sync::{Arc, Barrier, Mutex, MutexGuard, TryLockError};
use std::thread;

use manyhands_contract::{Answer, Experiment, ProbeError, TaskError};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Builder, Runtime};

use super::graph::{Graph, Lock, Outcome};
use super::{Plan, START, TASKS, deadlocked, transfer};

/// The accounts of one sample, new for each: those of a sample that got stuck stay locked.
struct Bank {
    plan: Plan,
    accounts: [Mutex<u64>; 2],
    graph: Graph,
    /// Where the tasks meet with one lock in hand.
    meeting: Barrier,
}

impl Bank {
    fn open(plan: Plan) -> Arc<Self> {
        let accounts = [Mutex::new(START), Mutex::new(START)];
        let graph = Graph::new(TASKS, TASKS);
        Arc::new(Self { plan, accounts, graph, meeting: Barrier::new(TASKS) })
    }

    /// A whole task, whose number is also its worker's.
    fn run(&self, task: usize) {
        // Counted however the task ends: the watchdog waits for it.
        let _ended = Ended(&self.graph);
        let [first, second] = self.plan.locks(task);
        for number in 0..self.plan.transfers {
            let mut one = self.take(task, first);
            if number == 0 && self.plan.meets() {
                self.meeting.wait();
            }
            let mut other = self.take(task, second);
            match first {
                Lock::A => transfer(task, &mut one, &mut other),
                Lock::B => transfer(task, &mut other, &mut one),
            }
            self.graph.releases(task, second);
            drop(other);
            self.graph.releases(task, first);
            drop(one);
        }
    }

    fn take(&self, task: usize, lock: Lock) -> MutexGuard<'_, u64> {
        let account = &self.accounts[lock.index()];
        let guard = match account.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::WouldBlock) => {
                self.graph.waits(task, lock);
                account.lock().expect("no transfer panics")
            }
            Err(TryLockError::Poisoned(_)) => panic!("a transfer panicked"),
        };
        self.graph.holds(task, lock);
        guard
    }

    /// Watches until the tasks have ended or are stuck.
    fn watch(&self) -> Result<(Answer, u64), TaskError> {
        match self.graph.watch() {
            Outcome::Cycle(cycle) => Err(deadlocked(&cycle)),
            Outcome::Ended => {
                let [a, b] = [0, 1].map(|i| self.accounts[i].lock().map_or(0, |account| *account));
                let done = TASKS as u64 * self.plan.transfers;
                Ok((self.plan.answer(done, [a, b]), self.graph.contended()))
            }
        }
    }
}

struct Ended<'a>(&'a Graph);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ends();
    }
}

/// `sequential`: one task after the other, in either order of locks.
pub(super) struct Sequential(pub(super) Plan);

impl Experiment for Sequential {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        let bank = Bank::open(self.0);
        (0..TASKS).for_each(|task| bank.run(task));
        bank.watch().map(|(answer, _)| answer)
    }

    fn actual(&self) -> (usize, usize) {
        (1, 1)
    }

    fn tasks(&self) -> usize {
        TASKS
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![("construct", "two std::sync::Mutex, one task after the other".to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        Ok(())
    }
}

/// What the three forms with threads have in common. `start` starts a task; nobody joins it: one
/// that is stuck is left behind, and its thread ends with the process.
struct Watched {
    plan: Plan,
    contended: u64,
}

impl Watched {
    fn new(plan: Plan) -> Self {
        Self { plan, contended: 0 }
    }

    fn sample(
        &mut self,
        start: impl Fn(Job) -> Result<(), TaskError>,
    ) -> Result<Answer, TaskError> {
        let bank = Bank::open(self.plan);
        if self.plan.workers < TASKS {
            let bank = Arc::clone(&bank);
            start(Box::new(move || (0..TASKS).for_each(|task| bank.run(task))))?;
        } else {
            for task in 0..TASKS {
                let bank = Arc::clone(&bank);
                start(Box::new(move || bank.run(task)))?;
            }
        }
        let (answer, contended) = bank.watch()?;
        self.contended = contended;
        Ok(answer)
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        vec![("contended-locks", self.contended as f64)]
    }

    fn card(construct: &str) -> Vec<(&'static str, String)> {
        let construct = format!("two std::sync::Mutex, {construct}");
        vec![("construct", construct), ("watchdog", "a wait-for graph, by declaration".to_owned())]
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// `threads`: a thread per task.
pub(super) struct Threads(Watched);

impl Threads {
    pub(super) fn start(plan: Plan) -> Self {
        Self(Watched::new(plan))
    }
}

impl Experiment for Threads {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        self.0.sample(|job| {
            let started = thread::Builder::new().spawn(job);
            started.map(drop).map_err(|error| TaskError(format!("cannot start a thread: {error}")))
        })
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        self.0.counters()
    }

    fn actual(&self) -> (usize, usize) {
        (self.0.plan.workers, 1)
    }

    fn tasks(&self) -> usize {
        TASKS
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        Watched::card("a std thread per task")
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        Ok(())
    }
}

/// `rayon`: spawned on the pool and not in a scope, which would wait for tasks that are stuck.
pub(super) struct Rayon {
    watched: Watched,
    pool: ThreadPool,
}

impl Rayon {
    pub(super) fn start(plan: Plan) -> Result<Self, ProbeError> {
        let pool = ThreadPoolBuilder::new().num_threads(plan.workers).build();
        let pool = pool.map_err(|e| ProbeError::Failed(format!("cannot start a pool: {e}")))?;
        Ok(Self { watched: Watched::new(plan), pool })
    }
}

impl Experiment for Rayon {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        let pool = &self.pool;
        self.watched.sample(|job| {
            pool.spawn(job);
            Ok(())
        })
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        self.watched.counters()
    }

    fn actual(&self) -> (usize, usize) {
        (self.watched.plan.workers, 1)
    }

    fn tasks(&self) -> usize {
        TASKS
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        Watched::card("tasks spawned on a rayon pool")
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.pool); // tells its threads to end and waits for none
        Ok(())
    }
}

/// `async:blocking`.
pub(super) struct Blocking {
    watched: Watched,
    /// Taken when it ends.
    runtime: Option<Runtime>,
}

impl Blocking {
    pub(super) fn start(plan: Plan) -> Result<Self, ProbeError> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).max_blocking_threads(plan.workers).build();
        let failed = |error| ProbeError::Failed(format!("cannot start a tokio runtime: {error}"));
        Ok(Self { watched: Watched::new(plan), runtime: Some(runtime.map_err(failed)?) })
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A drop would wait for blocking threads, those that are stuck among them.
            runtime.shutdown_background();
        }
    }
}

impl Experiment for Blocking {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        let runtime = self.runtime.as_ref().expect("taken only when it ends");
        self.watched.sample(|job| {
            runtime.spawn_blocking(job);
            Ok(())
        })
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        self.watched.counters()
    }

    fn actual(&self) -> (usize, usize) {
        (self.watched.plan.workers, 1)
    }

    fn tasks(&self) -> usize {
        TASKS
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        Watched::card("tokio::task::spawn_blocking per task")
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        Ok(())
    }
}
