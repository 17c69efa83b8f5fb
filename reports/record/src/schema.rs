//! `record.json`, schema `manyhands/record/1`.
//!
//! Raw integer nanoseconds and bytes, never rounded. Absent is absent (`None`), never 0.
//! Seeds are decimal strings, because other languages' JSON numbers are exact only up to 2^53.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The value of [`Header::schema`].
pub const SCHEMA: &str = "manyhands/record/1";

/// A run: its header and a row for each cell, whatever became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was run, where, when.
    #[serde(flatten)]
    pub header: Header,
    /// Whether everything planned was measured.
    pub status: Status,
    /// The reference answers, one per workload, parameters and input.
    pub references: Vec<Reference>,
    /// In the order of the plan.
    pub cells: Vec<Cell>,
}

/// What was run, where, when, by which version: known before the first launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of manyhands that measured.
    pub version: String,
    /// Start of the run, UTC, RFC 3339: `2026-01-31T12:00:00Z`.
    pub started: String,
    /// The command, word by word, without the path of the program.
    pub command: Vec<String>,
    /// Seeds the input, the order of cells and everything else that is drawn.
    #[serde(with = "decimal")]
    pub seed: u64,
    /// Rounds that were planned.
    pub rounds: u32,
    /// Samples a launch may take after the cold one, at most.
    pub samples: u32,
    /// The time that the run was asked to stay within.
    pub budget_ns: Option<u64>,
    /// Rounds beyond those planned go on until every cell's interval is narrower than this share
    /// of its time (0.02 is +-2 %) or the budget is spent; absent where the number of rounds was
    /// fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// In a run that measures weak scaling: the parameter that grows with the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak: Option<String>,
    /// In a run that measures granularity: the parameter that sets the length of a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<String>,
    /// Whether every cell was measured twice under the labels `A` and `B`, so that all
    /// differences between the two are the machine's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aa: bool,
    /// The machine as it was at the start.
    pub machine: Machine,
    /// What speaks against trusting the numbers, each with its remedy.
    pub doubts: Vec<Doubt>,
    /// The workloads that took part, in the order of the command.
    pub workloads: Vec<WorkloadText>,
    /// The executors that took part, in the order of the command.
    pub executors: Vec<ExecutorText>,
}

/// Whether everything planned was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Status {
    /// Every launch that was planned took place.
    Complete,
    /// Stopped because every cell's interval is narrower than [`Header::precision`].
    Precise {
        /// Rounds that were finished by every cell.
        rounds: u32,
    },
    /// Stopped by the budget: fewer rounds than planned.
    OutOfTime {
        /// Rounds that were finished by every cell.
        rounds: u32,
    },
    /// Stopped by a signal; what was finished is here.
    Interrupted {
        /// Rounds that were finished by every cell.
        rounds: u32,
    },
}

/// A reference answer: the sequential one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The workload's name.
    pub workload: String,
    /// Canonical texts of all its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Digest of its input files, absent where the parameters are the whole input.
    pub input: Option<String>,
    /// The answer, a JSON object.
    pub answer: serde_json::Value,
}

/// What makes a cell this cell and no other. Two measurements may be compared, and a resumed run
/// may keep a measurement, only if all of it is equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId {
    /// The workload's name.
    pub workload: String,
    /// The workload's version.
    pub version: u32,
    /// Canonical texts of all its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Digest of its input files, absent where the parameters are the whole input.
    pub input: Option<String>,
    /// The executor, with its variant: `threads:static`.
    pub executor: String,
    /// How many tasks may be in flight.
    pub workers: u32,
    /// The chunk that was asked for.
    pub chunk: Chunk,
    /// What tells cells apart that are otherwise the same: `A` and `B` of an A/A run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Tasks that fall due per second, where they come at a rate of their own (open loop)
    /// instead of whenever a worker is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

/// Tasks handed out at once.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Chunk {
    /// ceil(tasks / (8 x workers)), capped by the workload's definition.
    #[default]
    Auto,
    /// This many tasks.
    Tasks(u64),
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Tasks(n) => write!(f, "{n}"),
        }
    }
}

/// A row of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Which cell.
    #[serde(flatten)]
    pub id: CellId,
    /// A limit on speed that no executor can beat here.
    pub bound: Option<Bound>,
    /// Its launches in the order in which they took place, failed ones included.
    pub launches: Vec<Launch>,
}

impl Cell {
    /// Why the cell failed or is unsupported: the first failure among its launches.
    pub fn failure(&self) -> Option<&Failure> {
        self.launches.iter().find_map(|launch| launch.failure.as_ref())
    }

    /// Its launches of one mode that did not fail.
    pub fn sound_launches(&self, mode: Mode) -> impl Iterator<Item = &Launch> {
        self.launches.iter().filter(move |l| l.mode == mode && l.failure.is_none())
    }
}

/// A limit on speed that no executor can beat, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// No correct sample can be faster than this.
    pub floor_ns: u64,
    /// `the server's capacity: 2 at a time`.
    pub reason: String,
}

/// What a launch does; watching disturbs, so it does one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing else runs.
    #[default]
    Time,
    /// The parent samples the memory of the process tree.
    Memory,
    /// Each task's start, end and worker are kept.
    Trace,
}

/// One fresh process that measured one cell once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Launch {
    /// What it did.
    pub mode: Mode,
    /// Its round, from 0. Memory launches count their own rounds.
    pub round: u32,
    /// Its place among all launches of the run, from 0.
    pub sequence: u32,
    /// When it began, since the start of the run (of the resumed part, if it was resumed).
    pub began_ns: u64,
    /// Time to prepare the workload: read its input, start its servers.
    pub prepare_ns: Option<u64>,
    /// Time to start the executor: threads, processes, runtime.
    pub startup_ns: Option<u64>,
    /// Time to end the executor.
    pub teardown_ns: Option<u64>,
    /// The samples in order; the first is the cold one.
    pub samples: Vec<Sample>,
    /// In memory mode.
    pub memory: Option<Memory>,
    /// In trace mode: what the traced sample's tasks did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// What it really used; absent when it failed before it was ready.
    pub card: Option<Card>,
    /// Why it failed, if it did. Samples taken before that are kept.
    pub failure: Option<Failure>,
}

/// One complete execution of the workload inside a launch. Its answer was checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Wall time.
    pub wall_ns: u64,
    /// CPU time in user mode, of all workers.
    pub user_ns: Option<u64>,
    /// CPU time in the kernel, of all workers.
    pub system_ns: Option<u64>,
    /// Voluntary context switches, of all workers.
    pub voluntary: Option<u64>,
    /// Involuntary context switches, of all workers.
    pub involuntary: Option<u64>,
    /// How often a thread was moved to another processor, of all workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations: Option<u64>,
    /// Hardware counters of all workers, where the kernel gives them; else
    /// [`Machine::no_counters`] says why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// What the workload counts beside its answer: `gigabytes-per-second`, `lost-updates`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, f64>,
}

/// Hardware counters over a sample; each is absent where the processor does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hardware {
    /// Processor cycles.
    pub cycles: Option<u64>,
    /// Instructions that were completed.
    pub instructions: Option<u64>,
    /// Misses of the last level of cache.
    pub cache_misses: Option<u64>,
    /// Branches that were predicted wrongly.
    pub branch_misses: Option<u64>,
}

impl Sample {
    /// CPU time in user mode and in the kernel. Saturates: a record may come from anywhere.
    pub fn cpu_ns(&self) -> Option<u64> {
        Some(self.user_ns?.saturating_add(self.system_ns?))
    }
}

/// Memory of a process tree: the cell and its workers, without its supervisor and servers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Sum of PSS before the input was loaded: the program itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<u64>,
    /// Sum of PSS before the executor was started, input loaded: `before` - `empty` is the
    /// input's.
    pub before: Option<u64>,
    /// The largest sampled sum of PSS.
    pub peak: Option<u64>,
    /// The part of `peak` that lies in pages which several processes map, each counted once.
    pub shared: Option<u64>,
    /// The part of `peak` that lies in pages of one process alone: `peak` - `shared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<u64>,
    /// VmHWM of each process, reset after start-up; never summed.
    pub high_water: Vec<u64>,
    /// Threads x 16 KiB: derived, not measured.
    pub kernel_stacks: Option<u64>,
    /// How often the tree was sampled.
    pub readings: u32,
    /// The longest time between two readings: a shorter peak may have been missed.
    pub gap_ns: Option<u64>,
    /// Processes at the peak.
    pub processes: u32,
    /// Threads at the peak.
    pub threads: u32,
    /// Why a figure is absent.
    pub absent: Option<String>,
}

/// What the tasks of one traced sample did. Tracing disturbs: beside it stand the times of
/// launches that were not traced, and the ratio of the two is the cost of tracing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// The file of the events, relative to the record's folder; absent where it could not be
    /// written.
    pub file: Option<String>,
    /// Tasks that ran in the traced sample.
    pub tasks: u64,
    /// Tasks whose events are in the file: what is beyond the cap is counted, but not drawn.
    pub kept: u64,
    /// From a task's start (closed loop) or from when it was due (open loop) to its end.
    pub latency: Histogram,
    /// From when a task could have started (its phase began, or it was due) to its start.
    pub queue: Histogram,
    /// Where the time of the sample went.
    pub shares: Shares,
}

/// A histogram with buckets of three significant digits (Tene's HDR histogram), as `(value,
/// count)` in ascending order; a value is the highest of its bucket, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// The buckets that hold anything.
    pub buckets: Vec<(u64, u64)>,
}

/// Where the time of one sample went: the mean over its lanes (a lane is a place for one task at
/// a time: a worker). The parts and the residual add up to `wall_ns` exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shares {
    /// Lanes that the mean is over.
    pub lanes: u32,
    /// Wall time of the traced sample.
    pub wall_ns: u64,
    /// Inside tasks, on a core.
    pub computing_ns: u64,
    /// Inside tasks, off the cores: waiting for I/O, a lock, or a core.
    pub waiting_ns: u64,
    /// Between tasks, and before a lane's first one: start-up of the phase and dispatch.
    pub dispatch_ns: u64,
    /// After a lane's last task of a phase, while other lanes still ran theirs.
    pub imbalance_ns: u64,
    /// Lanes that had no task in a phase, because there were fewer tasks than lanes; in an open
    /// loop also the time until a task was due.
    pub idle_ns: u64,
    /// What is in none of them: merging, what goes on between phases, and errors of measurement.
    pub residual_ns: i64,
}

/// The fairness card: what a cell really used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Card {
    /// `std::thread pool fed through a bounded channel`.
    pub construct: String,
    /// `crossbeam-channel 0.5.15`.
    pub library: String,
    /// Threads that ran tasks, over all processes.
    pub threads: u32,
    /// Processes that ran tasks.
    pub processes: u32,
    /// Tasks of the first phase.
    pub tasks: u64,
    /// Tasks per chunk in the first phase, as handed out.
    pub chunk: u64,
    /// How data reaches the workers: `shared memory`, `postcard frames over a socket pair`.
    pub transport: String,
    /// What the workload adds: its client, its kernel.
    pub notes: BTreeMap<String, String>,
}

/// Why a launch failed, or was not possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort of failure.
    pub kind: FailureKind,
    /// One line: what failed, on what.
    pub reason: String,
    /// The end of what the cell wrote to its output and error, if it wrote anything.
    pub log: Option<String>,
}

/// What sort of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The executor cannot run this workload, or this machine cannot.
    Unsupported,
    /// The input was missing or wrong.
    Input,
    /// A task returned an error.
    Error,
    /// A task panicked.
    Panic,
    /// A process died: a signal or an exit code.
    Died,
    /// It took longer than the time-out.
    TimedOut,
    /// The answer was not the reference answer.
    WrongAnswer,
    /// The cell did not keep to the protocol.
    Protocol,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "unsupported",
            Self::Input => "bad input",
            Self::Error => "task error",
            Self::Panic => "panic",
            Self::Died => "process died",
            Self::TimedOut => "timed out",
            Self::WrongAnswer => "wrong answer",
            Self::Protocol => "protocol error",
        })
    }
}

/// The machine as far as it can be known. Nothing in it names the user or the host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`.
    pub os: String,
    /// Distribution and version.
    pub distribution: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// `x86_64`.
    pub architecture: String,
    /// The processor's name.
    pub processor: Option<String>,
    /// Logical processors of the machine.
    pub logical_cores: u32,
    /// Physical cores of the machine.
    pub physical_cores: Option<u32>,
    /// Logical processors that this process may run on.
    pub affinity: Option<u32>,
    /// CPUs that the cgroup grants.
    pub quota: Option<f64>,
    /// What `workers = cores` means here: the least of the above, at least 1.
    pub usable_cores: u32,
    /// Whether two logical processors share a core.
    pub smt: Option<bool>,
    /// The frequency governor.
    pub governor: Option<String>,
    /// Total memory.
    pub memory: Option<u64>,
    /// The cgroup's memory limit.
    pub memory_limit: Option<u64>,
    /// The one-minute load average.
    pub load: Option<f64>,
    /// The share of CPU time that the hypervisor took since boot, 0 to 1.
    pub steal: Option<f64>,
    /// Open files that a process may have.
    pub open_files: Option<u64>,
    /// Processes and threads that the user may have.
    pub processes: Option<u64>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// Why there are no hardware counters; absent where there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_counters: Option<String>,
    /// Whether a hypervisor or container was detected, and which.
    pub virtualization: Option<String>,
    /// Name and version of what was used: rustc, rayon, tokio.
    pub versions: BTreeMap<String, String>,
}

/// Something that speaks against trusting the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// A short stable name: `few-cores`, `load`, `governor`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    pub remedy: String,
}

/// How bad a doubt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Numbers may be noisy or limited.
    Warning,
    /// Numbers should not be quoted.
    Serious,
}

/// What a report says about a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadText {
    /// The name on the command line.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// `cpu`, `io`, `mixed`, `overhead`.
    pub kind: String,
    /// `map`, ...
    pub shape: String,
    /// One line.
    pub summary: String,
    /// A paragraph.
    pub about: String,
    /// What one task is.
    pub task: String,
    /// Whether its waiting is simulated.
    pub simulated: bool,
}

/// What a report says about an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorText {
    /// The name on the command line, with its variant.
    pub name: String,
    /// One line: what it is.
    pub summary: String,
    /// What `workers` counts: `threads`, `processes`, `futures`.
    pub workers: String,
}

mod decimal {
    //! A u64 as a decimal string.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(n: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(n)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
