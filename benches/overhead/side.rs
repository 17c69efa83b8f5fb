//! The two sides of a comparison, each a complete execution of `spin` that can be timed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use manyhands::contract::{Answer, Map, Step, Storage};
use manyhands::executors::{self, ExecutorName, Recipe, Running, Setup};
use manyhands_record::Chunk;
use manyhands_workloads::overhead::spin::{self, Spin};

use crate::twins::{self, Twin};

/// What goes wrong ends the benchmark with one line.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The length of the loops' tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// No steps at all.
    Noop,
    /// As many steps as take ten microseconds here.
    TenMicroseconds,
}

impl Length {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Noop, Self::TenMicroseconds];

    /// In tables and objects.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::TenMicroseconds => "10us",
        }
    }
}

/// `spin` with tasks of one length, in any number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loop {
    pub(crate) length: Length,
    pub(crate) steps: u64,
}

impl Loop {
    /// Finds how many steps a task of this length has on this machine.
    pub(crate) fn calibrate(length: Length) -> Self {
        let steps = match length {
            Length::Noop => 0,
            Length::TenMicroseconds => (10_000.0 / ns_per_step()) as u64,
        };
        Self { length, steps }
    }
}

/// How long a step takes on this machine, undisturbed.
pub(crate) fn ns_per_step() -> f64 {
    const STEPS: u64 = 1_000_000;
    let chain = || time(|| reference(1, STEPS)).1;
    let fastest = (0..10).map(|_| chain()).min().expect("ten is not none");
    fastest.as_nanos().max(1) as f64 / STEPS as f64
}

/// The xor of the tasks' ends, with nothing around the kernel.
fn reference(tasks: usize, steps: u64) -> u64 {
    let spin = Spin::new(tasks, black_box(steps));
    let (mut last, mut xor) = (0, 0);
    for task in 0..tasks {
        spin.run(&mut last, &(), task, &mut xor).expect("spin has no errors");
    }
    black_box(xor)
}

fn time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let output = run();
    (output, began.elapsed())
}

/// Cores that this process may use.
pub(crate) fn cores() -> u32 {
    available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Two workers, or one where there is one core.
pub(crate) fn workers() -> NonZeroU32 {
    if cores() < 2 { NonZeroU32::MIN } else { NonZeroU32::MIN.saturating_add(1) }
}

/// One side, started: run by an executor of ours, or by hand.
pub(crate) struct Side {
    kind: Kind,
    work: Arc<Spin>,
    tasks: usize,
    right: Answer,
}

enum Kind {
    Ours(Box<dyn Running>),
    Hand(Box<dyn Twin>),
}

impl Side {
    /// Our executor, at chunk 1.
    pub(crate) fn ours(name: ExecutorName, steps: u64, tasks: usize) -> Result<Self> {
        let shared = name.needs_shared_storage();
        let storage = if shared { Storage::shared() } else { Ok(Storage::private()) };
        let setup = Setup {
            work: Arc::new(Spin::new(tasks, steps)),
            workers: workers().try_into().map_err(|_| "two workers are too many")?,
            storage: Arc::new(storage.map_err(|error| format!("{name}: {error}"))?),
            recipe: name.is_process_pool().then(|| recipe(tasks, steps)),
        };
        let spin = Arc::clone(&setup.work);
        let running = executors::start(name, setup, Chunk::Tasks(1), None)
            .map_err(|failure| format!("{name}: {}", failure.reason))?;
        Ok(Self::new(Kind::Ours(running), spin, steps, tasks))
    }

    /// The loop written by hand.
    pub(crate) fn hand(name: ExecutorName, steps: u64, tasks: usize) -> Result<Self> {
        let spin = Arc::new(Spin::new(tasks, steps));
        let twin = twins::start(name, Arc::clone(&spin), workers().get())
            .map_err(|stopped| format!("{name} by hand: {stopped}"))?;
        Ok(Self::new(Kind::Hand(twin), spin, steps, tasks))
    }

    fn new(kind: Kind, spin: Arc<Spin>, steps: u64, tasks: usize) -> Self {
        let right = answer(&spin, reference(tasks, steps));
        Self { kind, work: spin, tasks, right }
    }

    /// One complete execution, its answer checked after the clock has stopped.
    pub(crate) fn sample(&mut self) -> Result<Duration> {
        let (given, elapsed) = match &mut self.kind {
            Kind::Ours(running) => {
                running.reset().map_err(|failure| failure.reason)?;
                let (given, elapsed) = time(|| running.sample());
                (given.map_err(|failure| failure.reason)?, elapsed)
            }
            Kind::Hand(twin) => {
                let (xor, elapsed) = time(|| twin.run());
                (answer(&self.work, xor.map_err(|stopped| stopped.to_string())?), elapsed)
            }
        };
        if given == self.right {
            return Ok(elapsed);
        }
        Err(format!("wrong answer: {given} instead of {}", self.right))
    }

    /// Nanoseconds per task of one sample.
    pub(crate) fn ns_per_task(&mut self) -> Result<f64> {
        Ok(self.sample()?.as_secs_f64() * 1e9 / self.tasks as f64)
    }

    /// Ends its threads and processes, which would disturb whatever is measured next.
    pub(crate) fn stop(self) -> Result<()> {
        match self.kind {
            Kind::Ours(running) => running.stop().map_err(|failure| failure.reason),
            Kind::Hand(twin) => {
                drop(twin);
                Ok(())
            }
        }
    }
}

fn answer(spin: &Spin, xor: u64) -> Answer {
    match spin.next((), xor) {
        Ok(Step::Done(answer)) => answer,
        _ => unreachable!("spin has one phase and no errors"),
    }
}

/// Worker processes are the program itself.
fn recipe(tasks: usize, steps: u64) -> Recipe {
    let texts = [("tasks", tasks.to_string()), ("steps", steps.to_string())];
    Recipe {
        program: env!("CARGO_BIN_EXE_manyhands").into(),
        workload: spin::DEFINITION.name.to_owned(),
        parameters: BTreeMap::from(texts.map(|(name, text)| (name.to_owned(), text))),
        seed: 0,
        input: Vec::new(),
        handover: BTreeMap::new(),
        watch: None,
    }
}

/// How many tasks make a sample of about `long` on the side that `start` starts.
pub(crate) fn tasks_for(
    long: Duration,
    mut start: impl FnMut(usize) -> Result<Side>,
) -> Result<usize> {
    let mut tasks = 64;
    loop {
        let mut side = start(tasks)?;
        let first = side.sample()?;
        // The second is warm, and the smaller one was disturbed less.
        let elapsed = first.min(side.sample()?);
        side.stop()?;
        if elapsed * 3 >= long {
            let scale = long.as_secs_f64() / elapsed.as_secs_f64();
            return Ok(((tasks as f64 * scale) as usize).max(1));
        }
        tasks *= 4;
    }
}
