//! What a run was asked to do: typed first, checked against the catalogue second.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use manyhands_record::{Chunk, Mode};

use crate::executors::ExecutorName;

/// What the default suite compares: work to compute, data to read, servers to wait for.
pub const SUITE: [&str; 5] = ["primes", "risk", "csv", "fetch", "ingest"];

/// What an A/A run measures twice: a kernel and a list of short tasks, so that the machine is what
/// differs.
pub const AA_SUITE: [&str; 2] = ["primes", "spin"];

/// Rounds, unless told otherwise: the fewest that give intervals.
pub const ROUNDS: u32 = 6;

/// The half-width of intervals that a run strives for, unless told otherwise: 2 %, the least
/// difference that is ever called one.
pub const PRECISION: f64 = 0.02;

/// Time for a run, unless told otherwise.
pub const BUDGET: Duration = Duration::from_secs(60);

/// The shortest time-out unless told otherwise: a cell on a busy machine is not a hung one.
pub const SHORTEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The time-out of a reference answer unless told otherwise: nothing is known yet that a shorter
/// one could follow from, and a run must end by itself.
pub const BASELINE_TIMEOUT: Duration = Duration::from_secs(900);

/// Times the sequential time that a sample may take unless told otherwise.
pub const TIMEOUT_FACTOR: u32 = 20;

/// Everything that the command line says of a run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names of workloads; none means the default suite.
    pub workloads: Vec<String>,
    /// Executors in the order given.
    pub executors: Vec<ExecutorName>,
    /// Numbers of workers; none means what suits the kind of workload.
    pub workers: Vec<NonZeroU32>,
    /// Changed parameters, each with the values to sweep.
    pub parameters: Vec<(String, Vec<String>)>,
    /// `quick`, `standard` or `large`.
    pub preset: String,
    /// Tasks handed out at once.
    pub chunk: Chunk,
    /// Rounds to measure.
    pub rounds: Option<NonZeroU32>,
    /// Time to stay within.
    pub budget: Option<Duration>,
    /// The half-width that every interval is to have, as a share of its time.
    pub precision: Option<f64>,
    /// Measure every cell under two labels.
    pub aa: bool,
    /// Let the work grow with the workers.
    pub weak: bool,
    /// Sweep the length of a task.
    pub granularity: bool,
    /// Trace each task in launches of their own.
    pub trace: bool,
    /// Tasks that fall due per second.
    pub rate: Option<NonZeroU32>,
    /// Time that one sample may take.
    pub timeout: Option<Duration>,
    /// Seeds everything that is drawn.
    pub seed: u64,
    /// The user's own files and folders.
    pub input: Vec<PathBuf>,
    /// The command as it was typed, without the program.
    pub command: Vec<String>,
}

impl Options {
    /// Rounds to measure.
    pub fn rounds(&self) -> u32 {
        self.rounds.map_or(ROUNDS, NonZeroU32::get)
    }

    /// Rounds go on beyond the least until intervals are this narrow; not where a number of
    /// rounds was asked for.
    pub fn precision(&self) -> Option<f64> {
        self.precision.or_else(|| self.rounds.is_none().then_some(PRECISION))
    }

    /// Time to stay within: as asked; else none when rounds were asked for, as they would be
    /// cut short in silence otherwise. A precision may never be reached, so it needs a budget.
    pub fn budget(&self) -> Option<Duration> {
        let open_ended = self.rounds.is_none() || self.precision.is_some();
        self.budget.or_else(|| open_ended.then_some(BUDGET))
    }

    /// What launches watch besides time, in launches of their own after the first round. A sweep
    /// of lengths asks about time alone.
    pub fn watching_modes(&self) -> impl Iterator<Item = Mode> + use<> {
        let memory = (!self.granularity).then_some(Mode::Memory);
        [memory, self.trace.then_some(Mode::Trace)].into_iter().flatten()
    }
}
