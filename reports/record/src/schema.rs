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
}

/// Tasks handed out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chunk {
    /// ceil(tasks / (8 x workers)), capped by the workload's definition.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing else runs.
    Time,
    /// The parent samples the memory of the process tree.
    Memory,
    /// Each task's start, end and worker are kept.
    Trace,
}

/// One fresh process that measured one cell once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// What it really used; absent when it failed before it was ready.
    pub card: Option<Card>,
    /// Why it failed, if it did. Samples taken before that are kept.
    pub failure: Option<Failure>,
}

/// One complete execution of the workload inside a launch. Its answer was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Sample {
    /// CPU time in user mode and in the kernel. Saturates: a record may come from anywhere.
    pub fn cpu_ns(&self) -> Option<u64> {
        Some(self.user_ns?.saturating_add(self.system_ns?))
    }
}

/// Memory of a process tree: the cell and its workers, without its supervisor and servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Sum of PSS before the executor was started, input loaded.
    pub before: Option<u64>,
    /// The largest sampled sum of PSS.
    pub peak: Option<u64>,
    /// The shared part of PSS at the peak.
    pub shared: Option<u64>,
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
