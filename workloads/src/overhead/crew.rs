//! Workers for experiments on shared state: the same code once per worker, started as each
//! executor starts its workers.

use std::sync::Arc;
use std::thread::{self, JoinHandle, available_parallelism};

use crossbeam_channel::{Receiver, Sender, bounded};
use manyhands_contract::{ProbeContext, ProbeError, TaskError};
use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Builder, Runtime};

/// What each worker does, given its number.
pub(super) type Job = Arc<dyn Fn(usize) + Send + Sync>;

/// What to do when the machine refuses another thread.
const FEWER: &str = "use fewer workers, or raise the limit on processes (ulimit -u) or on memory";

/// Why an executor has no form of an experiment on state that threads share.
pub(super) fn unsupported(executor: &str) -> Option<String> {
    let reason = match executor {
        "sequential"
        | "threads"
        | "threads:static"
        | "rayon"
        | "async"
        | "async:current-thread"
        | "async:blocking" => return None,
        "threads:spawn" => {
            "each worker has one slice of the updates, so that a thread per slice is what \
             threads:static does"
        }
        "async:pull" => {
            "each worker has one slice of the updates, so that there is nothing to pull: see async"
        }
        "processes" | "processes:fork" | "processes:shm" => {
            "worker processes share no variable: Rust's locks and channels end at the process; \
             see threads"
        }
        _ => "there is no form of this experiment for it; see threads",
    };
    Some(reason.to_owned())
}

/// Started workers.
#[derive(Debug)]
pub(super) enum Crew {
    /// The calling thread.
    Sequential,
    /// Threads that wait for jobs.
    Pool(Pool),
    /// Threads that are started for each sample.
    Scoped(usize),
    /// rayon's threads.
    Rayon(Rayon),
    /// Futures on a runtime.
    Async(Tokio),
    /// Threads of a runtime's blocking pool.
    Blocking(Tokio),
}

impl Crew {
    /// Starts the workers of the executor that `context` names.
    ///
    /// # Errors
    /// When the machine refuses a thread, or the executor has no form.
    pub(super) fn start(context: &ProbeContext<'_>) -> Result<Self, ProbeError> {
        let workers = context.workers;
        Ok(match context.executor {
            "sequential" => Self::Sequential,
            "threads" => Self::Pool(Pool::start(workers)?),
            "threads:static" => Self::Scoped(workers),
            "rayon" => Self::Rayon(Rayon::start(workers)?),
            "async" => {
                let cores = available_parallelism().map_or(1, usize::from);
                let threads = workers.min(cores);
                let mut builder = Builder::new_multi_thread();
                Self::Async(Tokio::start(builder.worker_threads(threads), workers, threads)?)
            }
            "async:current-thread" => {
                Self::Async(Tokio::start(&mut Builder::new_current_thread(), workers, 1)?)
            }
            "async:blocking" => {
                let mut builder = Builder::new_current_thread();
                Self::Blocking(Tokio::start(
                    builder.max_blocking_threads(workers),
                    workers,
                    workers,
                )?)
            }
            other => {
                let reason = unsupported(other).unwrap_or_default();
                return Err(ProbeError::Unsupported(reason));
            }
        })
    }

    /// How many workers there are: one for the sequential form, whatever was asked for.
    pub(super) fn workers(&self) -> usize {
        match self {
            Self::Sequential => 1,
            Self::Pool(pool) => pool.threads.len(),
            Self::Scoped(workers) => *workers,
            Self::Rayon(rayon) => rayon.threads.len(),
            Self::Async(tokio) | Self::Blocking(tokio) => tokio.workers,
        }
    }

    /// Threads that run the workers.
    pub(super) fn threads(&self) -> usize {
        match self {
            Self::Async(tokio) => tokio.threads,
            _ => self.workers(),
        }
    }

    /// For the fairness card.
    pub(super) fn construct(&self) -> &'static str {
        match self {
            Self::Sequential => "a loop, nothing shared",
            Self::Pool(_) => "a fixed pool of std threads, one slice a thread",
            Self::Scoped(_) => "std::thread::scope, one slice a thread",
            Self::Rayon(_) => "rayon::scope, one spawn a slice",
            Self::Async(_) => "tokio::spawn, one future a slice",
            Self::Blocking(_) => "tokio::task::spawn_blocking, one call a slice",
        }
    }

    /// Runs `job` once per worker.
    ///
    /// # Errors
    /// When a worker panicked or could not be started.
    pub(super) fn run(&self, job: &Job) -> Result<(), TaskError> {
        self.run_beside(job, || ())
    }

    /// Runs `job` once per worker and meanwhile `here` on the calling thread. Futures must not
    /// wait for what `here` does: the calling thread is what drives those of a current-thread
    /// runtime, and only afterwards ([`run_futures`](Self::run_futures) is for them).
    ///
    /// # Errors
    /// When a worker panicked or could not be started.
    pub(super) fn run_beside<T>(
        &self,
        job: &Job,
        here: impl FnOnce() -> T,
    ) -> Result<T, TaskError> {
        match self {
            Self::Sequential => {
                job(0);
                Ok(here())
            }
            Self::Pool(pool) => pool.run(job, here),
            Self::Scoped(workers) => scoped(*workers, job, here),
            Self::Rayon(rayon) => Ok(rayon.run(job, here)),
            Self::Async(tokio) => {
                let make = |worker| {
                    let job = Arc::clone(job);
                    async move { job(worker) }
                };
                tokio.run_futures(make, async { here() })
            }
            Self::Blocking(tokio) => tokio.run_blocking(job, here),
        }
    }

    /// Ends the threads and waits until they are gone.
    ///
    /// # Errors
    /// When one of them had panicked.
    pub(super) fn stop(self) -> Result<(), TaskError> {
        match self {
            Self::Sequential | Self::Scoped(_) => Ok(()),
            Self::Pool(Pool { threads }) => {
                // Closing the channels is what tells the threads to end.
                let threads: Vec<_> = threads.into_iter().map(|(_, thread)| thread).collect();
                join_all(threads)
            }
            Self::Rayon(Rayon { pool, threads }) => {
                drop(pool);
                join_all(threads)
            }
            // Waits for its threads.
            Self::Async(tokio) | Self::Blocking(tokio) => {
                drop(tokio);
                Ok(())
            }
        }
    }
}

fn refused(what: &str, error: impl std::fmt::Display) -> ProbeError {
    ProbeError::Failed(format!("cannot start {what}: {error}; {FEWER}"))
}

fn panicked() -> TaskError {
    TaskError::new("a worker panicked; its message is in the log")
}

fn join_all(threads: Vec<JoinHandle<()>>) -> Result<(), TaskError> {
    let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
    if ended.iter().all(Result::is_ok) { Ok(()) } else { Err(panicked()) }
}

/// A job and where to say that it is done.
type Order = (Job, Sender<()>);

/// Threads that wait for jobs, each at a channel of its own: at a common one a quick thread could
/// take two workers' jobs while another still wakes up.
#[derive(Debug)]
pub(super) struct Pool {
    threads: Vec<(Sender<Order>, JoinHandle<()>)>,
}

impl Pool {
    fn start(workers: usize) -> Result<Self, ProbeError> {
        let mut threads = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (give, orders) = bounded::<Order>(1);
            let thread = thread::Builder::new()
                .spawn(move || serve(worker, &orders))
                .map_err(|error| refused(&format!("thread {} of {workers}", worker + 1), error))?;
            threads.push((give, thread));
        }
        Ok(Self { threads })
    }

    fn run<T>(&self, job: &Job, here: impl FnOnce() -> T) -> Result<T, TaskError> {
        let (done, all_done) = bounded(self.threads.len());
        for (give, _) in &self.threads {
            give.send((Arc::clone(job), done.clone())).map_err(|_| panicked())?;
        }
        drop(done);
        let value = here();
        // A thread that panics drops its sender without a word.
        if all_done.iter().count() == self.threads.len() { Ok(value) } else { Err(panicked()) }
    }
}

fn serve(worker: usize, orders: &Receiver<Order>) {
    for (job, done) in orders {
        job(worker);
        // Before it is said to be done: who hears it may take the job's state apart.
        drop(job);
        // Nobody listens any more after another worker's panic.
        let _ = done.send(());
    }
}

fn scoped<T>(workers: usize, job: &Job, here: impl FnOnce() -> T) -> Result<T, TaskError> {
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(workers);
        for worker in 0..workers {
            let thread = thread::Builder::new().spawn_scoped(scope, move || job(worker));
            let name = format!("thread {} of {workers}", worker + 1);
            threads
                .push(thread.map_err(|error| {
                    TaskError(format!("cannot start {name}: {error}; {FEWER}"))
                })?);
        }
        let value = here();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        if ended.iter().all(Result::is_ok) { Ok(value) } else { Err(panicked()) }
    })
}

/// A rayon pool of our own.
#[derive(Debug)]
pub(super) struct Rayon {
    pool: ThreadPool,
    /// The pool's threads: rayon itself does not wait for them when it is dropped.
    threads: Vec<JoinHandle<()>>,
}

impl Rayon {
    fn start(workers: usize) -> Result<Self, ProbeError> {
        let mut threads = Vec::with_capacity(workers);
        let pool = ThreadPoolBuilder::new()
            .num_threads(workers)
            .spawn_handler(|rayon: ThreadBuilder| {
                threads.push(thread::Builder::new().spawn(|| rayon.run())?);
                Ok(())
            })
            .build()
            .map_err(|error| refused(&format!("a rayon pool of {workers}"), error))?;
        Ok(Self { pool, threads })
    }

    fn run<T>(&self, job: &Job, here: impl FnOnce() -> T) -> T {
        self.pool.in_place_scope(|scope| {
            for worker in 0..self.pool.current_num_threads() {
                scope.spawn(move |_| job(worker));
            }
            here()
        })
    }
}

/// A tokio runtime.
#[derive(Debug)]
pub(super) struct Tokio {
    runtime: Runtime,
    workers: usize,
    threads: usize,
}

impl Tokio {
    fn start(builder: &mut Builder, workers: usize, threads: usize) -> Result<Self, ProbeError> {
        let runtime = builder.build().map_err(|error| refused("a tokio runtime", error))?;
        Ok(Self { runtime, workers, threads })
    }

    /// Runs a future per worker and meanwhile `here`, all on the runtime.
    ///
    /// # Errors
    /// When a future panicked.
    pub(super) fn run_futures<F, T>(
        &self,
        mut make: impl FnMut(usize) -> F,
        here: impl Future<Output = T>,
    ) -> Result<T, TaskError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.runtime.block_on(async {
            let futures: Vec<_> = (0..self.workers).map(|w| tokio::spawn(make(w))).collect();
            let value = here.await;
            for future in futures {
                future.await.map_err(|_| panicked())?;
            }
            Ok(value)
        })
    }

    fn run_blocking<T>(&self, job: &Job, here: impl FnOnce() -> T) -> Result<T, TaskError> {
        let calls: Vec<_> = (0..self.workers)
            .map(|worker| {
                let job = Arc::clone(job);
                self.runtime.spawn_blocking(move || job(worker))
            })
            .collect();
        let value = here();
        self.runtime.block_on(async {
            for call in calls {
                call.await.map_err(|_| panicked())?;
            }
            Ok(value)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use manyhands_contract::{Parameters, Probe};

    use super::*;

    /// One sample of an experiment.
    pub(in super::super) struct Sample {
        pub(in super::super) answer: String,
        pub(in super::super) counters: Vec<(&'static str, f64)>,
    }

    /// The second sample of a probe under every executor that it has a form for, with 1, 2 and 3
    /// workers, named after them.
    pub(in super::super) fn sampled<P: Probe>(changes: &[(&str, &str)]) -> Vec<(String, Sample)> {
        let parameters =
            Parameters::from_texts(P::DEFINITION, changes.iter().copied()).expect("allowed");
        let mut samples = Vec::new();
        for executor in FORMS {
            if P::unsupported(executor, &parameters).is_some() {
                continue;
            }
            for workers in 1..=3 {
                let helper = Path::new("unused");
                let parameters = &parameters;
                let context = ProbeContext { parameters, seed: 0, executor, workers, helper };
                let mut experiment = P::start(&context).expect("a few threads");
                experiment.sample().expect("the first sample");
                let answer = experiment.sample().expect("the second sample").to_string();
                let counters = experiment.counters();
                experiment.stop().expect("a clean end");
                samples.push((format!("{executor} x {workers}"), Sample { answer, counters }));
            }
        }
        samples
    }

    /// Executors for which there is a form.
    const FORMS: [&str; 7] = [
        "sequential",
        "threads",
        "threads:static",
        "rayon",
        "async",
        "async:current-thread",
        "async:blocking",
    ];

    fn crew(executor: &str, workers: usize) -> Crew {
        let parameters = Parameters::default();
        let helper = Path::new("unused");
        let context = ProbeContext { parameters: &parameters, seed: 0, executor, workers, helper };
        Crew::start(&context).expect("a few threads")
    }

    #[test]
    fn every_worker_does_its_job_once_a_sample() {
        for executor in FORMS {
            assert_eq!(unsupported(executor), None);
            let crew = crew(executor, 3);
            let workers = crew.workers();
            let counts: Arc<[AtomicU64; 3]> = Arc::default();
            let shared = Arc::clone(&counts);
            let job: Job = Arc::new(move |worker| {
                shared[worker].fetch_add(1, Ordering::Relaxed);
            });
            for _ in 0..2 {
                assert_eq!(crew.run_beside(&job, || 7), Ok(7), "{executor}");
            }
            let counts: Vec<_> = counts.iter().map(|n| n.load(Ordering::Relaxed)).collect();
            let expected: Vec<_> = (0..3).map(|w| if w < workers { 2 } else { 0 }).collect();
            assert_eq!(counts, expected, "{executor}");
            crew.stop().expect("no panic");
        }
    }

    #[test]
    fn a_panic_is_an_error_and_nobody_waits_for_ever() {
        for executor in ["threads", "threads:static", "async", "async:blocking"] {
            let crew = crew(executor, 2);
            let job: Job = Arc::new(|worker| assert!(worker == 0, "on purpose"));
            assert_eq!(crew.run(&job), Err(panicked()), "{executor}");
            let _ = crew.stop();
        }
    }

    #[test]
    fn what_has_no_form_is_refused_with_a_reason() {
        for executor in ["threads:spawn", "async:pull", "processes", "python/threads"] {
            let reason = unsupported(executor).expect("no form");
            assert!(reason.contains("see") || reason.contains("threads:static"), "{reason}");
        }
    }
}
