//! The messages of the cell protocol, one JSON object a line: see README.md beside this file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use manyhands_contract::Answer;
use manyhands_contract::answer::Tolerance;
use manyhands_record::{Card, Chunk, FailureKind, Hardware, Mode, Trace};
use serde::{Deserialize, Serialize};
use serde_json::{Map as Object, Value as Json};

/// Raised when an old cell could misunderstand a new parent, or the other way round.
pub const PROTOCOL: u32 = 1;

/// From the parent to the cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ToCell {
    /// Load the input and start the executor. Answered by `ready`.
    Prepare(Box<WirePrepare>),
    /// Execute the workload once. Answered by `result`.
    Sample {
        /// Whether to attach counters, which disturbs: the time of such a sample is not used.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        counted: bool,
    },
    /// Stop the executor and end. Answered by `bye`.
    Finish,
}

/// What a cell is to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WirePrepare {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The workload's name.
    pub workload: String,
    /// Its version: a cell that knows another refuses.
    pub version: u32,
    /// Canonical texts of all parameters.
    pub parameters: BTreeMap<String, String>,
    /// A decimal string: it may be beyond 2^53.
    pub seed: String,
    /// The input's files and folders.
    pub input: Vec<PathBuf>,
    /// The executor's name.
    pub executor: String,
    /// How many tasks may be in flight.
    pub workers: u32,
    /// `"auto"` or `{"tasks": n}`.
    pub chunk: Chunk,
    /// What the launch is for.
    pub mode: Mode,
    /// Tasks that fall due per second; absent where a task starts as soon as a worker is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// In trace mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<WireTrace>,
}

/// What becomes of the tasks that are seen in trace mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireTrace {
    /// The launch's place in the run: the first part of every task's correlation id.
    pub launch: u32,
    /// The file to write events to; absent where there is no place for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Events to keep, at most: those of the first tasks to end.
    pub cap: u64,
}

/// From the cell to the parent; `ended` comes from the cell's supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromCell {
    /// The workload is prepared and the executor runs.
    Ready(Box<WireReady>),
    /// One sample.
    Result(Box<WireResult>),
    /// The executor has stopped; the process ends.
    Bye {
        /// Time to stop the executor.
        teardown_ns: u64,
    },
    /// Something went wrong; the process ends.
    Failed {
        /// What sort of failure.
        kind: FailureKind,
        /// One line.
        reason: String,
    },
    /// The cell's process and all its descendants are gone.
    Ended(WireEnded),
}

/// The cell is ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WireReady {
    /// The version of the program behind the cell. A guest without one is refused.
    pub version: String,
    /// What the cell really uses.
    pub card: Card,
    /// Time to prepare the workload.
    pub prepare_ns: u64,
    /// Time to start the executor.
    pub startup_ns: u64,
    /// In memory mode: PSS of the process before its input is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_bytes: Option<u64>,
    /// In memory mode: PSS of the process with its input loaded and no executor yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_bytes: Option<u64>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WireResult {
    /// Wall time.
    pub wall_ns: u64,
    /// CPU time in user mode, of all workers.
    #[serde(default)]
    pub user_ns: Option<u64>,
    /// CPU time in the kernel, of all workers.
    #[serde(default)]
    pub system_ns: Option<u64>,
    /// Voluntary context switches, of all workers.
    #[serde(default)]
    pub voluntary: Option<u64>,
    /// Involuntary context switches, of all workers.
    #[serde(default)]
    pub involuntary: Option<u64>,
    /// Migrations between processors, of all workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations: Option<u64>,
    /// Hardware counters, of all workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// What the workload counts beside its answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, f64>,
    /// In trace mode, but for the first sample: what its tasks did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// The answer's fields.
    pub answer: Object<String, Json>,
    /// How far its real numbers may be off, by JSON pointer. Guests need not know.
    #[serde(default)]
    pub tolerances: BTreeMap<String, Tolerance>,
}

impl WireResult {
    /// The answer with its tolerances.
    pub fn answer(&self) -> Answer {
        Answer::from_parts(self.answer.clone(), self.tolerances.clone())
    }
}

/// How the cell's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireEnded {
    /// Its exit code, if it exited.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal that killed it, if one did.
    #[serde(default)]
    pub signal: Option<i32>,
    /// How many descendants it left behind, which were then killed.
    pub left: u32,
    /// Whether it was killed because the parent asked or was gone.
    pub killed: bool,
}

/// One line, with its newline.
pub fn encode<T: Serialize>(message: &T) -> String {
    let mut line = serde_json::to_string(message).expect("messages have no maps with odd keys");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_look_as_the_readme_shows_them() {
        let sample = encode(&ToCell::Sample { counted: false });
        assert_eq!(sample, "{\"type\":\"sample\"}\n");
        let bye = encode(&FromCell::Bye { teardown_ns: 12 });
        assert_eq!(bye, "{\"type\":\"bye\",\"teardown_ns\":12}\n");
    }

    #[test]
    fn every_line_of_the_readme_is_a_message() {
        let readme = include_str!("README.md");
        let lines: Vec<_> = readme
            .lines()
            .filter_map(|line| {
                line.strip_prefix("> ")
                    .map(|l| (true, l))
                    .or(line.strip_prefix("< ").map(|l| (false, l)))
            })
            .collect();
        assert!(lines.len() >= 7, "the exchange is shown in full");
        for (to_cell, line) in lines {
            if to_cell {
                serde_json::from_str::<ToCell>(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            } else {
                serde_json::from_str::<FromCell>(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            }
        }
    }
}
