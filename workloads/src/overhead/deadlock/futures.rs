//! Tasks of tokio that await locks of tokio. One that is stuck can be dropped where it stands.

use std::sync::Arc;
use std::thread::available_parallelism;

use manyhands_contract::{Answer, Experiment, ProbeError, TaskError};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, Mutex, MutexGuard};
use tokio::task::JoinSet;

use super::graph::{Graph, Lock, Outcome};
use super::{Plan, START, TASKS, deadlocked, transfer};

struct Bank {
    plan: Plan,
    accounts: [Mutex<u64>; 2],
    graph: Graph,
    meeting: Barrier,
}

impl Bank {
    async fn run(&self, task: usize) {
        let [first, second] = self.plan.locks(task);
        for number in 0..self.plan.transfers {
            let mut one = self.take(task, first).await;
            if number == 0 && self.plan.meets() {
                self.meeting.wait().await;
            }
            let mut other = self.take(task, second).await;
            match first {
                Lock::A => transfer(task, &mut one, &mut other),
                Lock::B => transfer(task, &mut other, &mut one),
            }
            self.graph.releases(task, second);
            drop(other);
            self.graph.releases(task, first);
            drop(one);
        }
        self.graph.ends();
    }

    async fn take(&self, task: usize, lock: Lock) -> MutexGuard<'_, u64> {
        let account = &self.accounts[lock.index()];
        let guard = match account.try_lock() {
            Ok(guard) => guard,
            Err(_) => {
                self.graph.waits(task, lock);
                account.lock().await
            }
        };
        self.graph.holds(task, lock);
        guard
    }
}

/// Starts both tasks, watches, and drops them when they are stuck.
async fn sample(plan: Plan) -> Result<(Answer, u64), TaskError> {
    let bank = Arc::new(Bank {
        plan,
        accounts: [Mutex::new(START), Mutex::new(START)],
        graph: Graph::new(TASKS, TASKS),
        meeting: Barrier::new(TASKS),
    });
    let mut tasks = JoinSet::new();
    if plan.workers < TASKS {
        let bank = Arc::clone(&bank);
        tasks.spawn(async move {
            for task in 0..TASKS {
                bank.run(task).await;
            }
        });
    } else {
        for task in 0..TASKS {
            let bank = Arc::clone(&bank);
            tasks.spawn(async move { bank.run(task).await });
        }
    }
    let outcome = bank.graph.watch_async().await;
    if let Outcome::Cycle(cycle) = outcome {
        tasks.shutdown().await;
        return Err(deadlocked(&freed(&bank, &cycle)));
    }
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(TaskError::new)?;
    }
    let (a, b) = (*bank.accounts[0].lock().await, *bank.accounts[1].lock().await);
    let done = TASKS as u64 * plan.transfers;
    Ok((plan.answer(done, [a, b]), bank.graph.contended()))
}

/// That dropping the tasks freed their locks is looked at, not taken on trust.
fn freed(bank: &Bank, cycle: &str) -> String {
    let free = bank.accounts.iter().all(|account| account.try_lock().is_ok());
    let after = if free { "both locks came free" } else { "a lock stayed taken" };
    format!("{cycle} (the two futures were dropped, and {after})")
}

/// `async` and `async:current-thread`.
pub(super) struct Futures {
    runtime: Runtime,
    threads: usize,
    plan: Plan,
    contended: u64,
}

impl Futures {
    pub(super) fn multi_thread(plan: Plan) -> Result<Self, ProbeError> {
        let threads = plan.workers.min(available_parallelism().map_or(1, usize::from));
        Self::start(Builder::new_multi_thread().worker_threads(threads), threads, plan)
    }

    pub(super) fn current_thread(plan: Plan) -> Result<Self, ProbeError> {
        Self::start(&mut Builder::new_current_thread(), 1, plan)
    }

    fn start(builder: &mut Builder, threads: usize, plan: Plan) -> Result<Self, ProbeError> {
        let failed = |error| ProbeError::Failed(format!("cannot start a tokio runtime: {error}"));
        Ok(Self { runtime: builder.build().map_err(failed)?, threads, plan, contended: 0 })
    }
}

impl Experiment for Futures {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        let (answer, contended) = self.runtime.block_on(sample(self.plan))?;
        self.contended = contended;
        Ok(answer)
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        vec![("contended-locks", self.contended as f64)]
    }

    fn actual(&self) -> (usize, usize) {
        (self.threads, 1)
    }

    fn tasks(&self) -> usize {
        TASKS
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let construct = "two tokio::sync::Mutex, a tokio task per task".to_owned();
        vec![("construct", construct), ("watchdog", "a wait-for graph, by declaration".to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.runtime);
        Ok(())
    }
}
