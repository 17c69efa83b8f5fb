//! What people read about a workload, and what the command line is checked against.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::parameters::{Parameter, ParameterError, Parameters};

/// A workload's description: stands beside its code, one constant per workload.
#[derive(Debug)]
pub struct Definition {
    /// The name on the command line.
    pub name: &'static str,
    /// Raised whenever the answer or the amount of work changes: cells of different versions are
    /// never compared.
    pub version: u32,
    /// What it spends its time on.
    pub kind: Kind,
    /// How its tasks depend on each other.
    pub shape: Shape,
    /// One line for `list`.
    pub summary: &'static str,
    /// A paragraph: what it stands for and what to expect.
    pub about: &'static str,
    /// What one task is.
    pub task: &'static str,
    /// What the answer's fields are.
    pub answer: &'static str,
    /// The files it reads; `None` when the parameters are its whole input.
    pub input: Option<&'static str>,
    /// Its parameters, each with unit, default and limits.
    pub parameters: &'static [Parameter],
    /// `quick`, `standard` and `large`, as changes to the defaults.
    pub presets: &'static [Preset],
    /// The parameter that the amount of work is proportional to, for weak scaling; `None` where
    /// there is no such one.
    pub grows: Option<&'static str>,
    /// The parameter that the length of a task is proportional to, for `--granularity`, which
    /// sweeps it from 0 or 1 upwards; the number of all tasks of a sample is then the parameter
    /// `tasks`. Where it is only the mean of lengths that are drawn, the answer counts the work of
    /// all tasks as `total-` and this name. `None` where tasks have no such length.
    pub length: Option<&'static str>,
    /// The largest chunk that `--chunk auto` hands out.
    pub max_chunk: Option<usize>,
    /// Whether its waiting is simulated, which every output then says.
    pub simulated: bool,
}

/// A named size of a workload.
#[derive(Debug)]
pub struct Preset {
    /// `quick`, `standard` or `large`.
    pub name: &'static str,
    /// Parameters that differ from their defaults.
    pub values: &'static [(&'static str, &'static str)],
}

impl Definition {
    /// The parameters of a preset with the user's changes on top.
    ///
    /// # Errors
    /// An unknown preset or parameter (with the nearest name), or a value out of its limits.
    pub fn parameters(
        &self,
        preset: &str,
        changes: &[(String, String)],
    ) -> Result<Parameters, ParameterError> {
        let preset = self.presets.iter().find(|p| p.name == preset).ok_or_else(|| {
            let names: Vec<_> = self.presets.iter().map(|p| p.name).collect();
            ParameterError(format!(
                "{} has no preset '{preset}'; it has {}",
                self.name,
                names.join(", ")
            ))
        })?;
        let presets = preset.values.iter().map(|(k, v)| (*k, *v));
        let changes = changes.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        Parameters::from_texts(self, presets.chain(changes))
    }
}

/// What a workload spends its time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Computing.
    Cpu,
    /// Waiting for the network, disks or a database.
    Io,
    /// Both in turn.
    Mixed,
    /// What a concurrency model itself costs.
    Overhead,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Cpu => "cpu",
            Kind::Io => "io",
            Kind::Mixed => "mixed",
            Kind::Overhead => "overhead",
        })
    }
}

/// How a workload's tasks depend on each other. Every executor runs every `Map`; the other
/// shapes an executor declares, and a pair that is not declared is `unsupported`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Phases of independent tasks.
    Map,
    /// A task may add tasks: a crawler.
    Frontier,
    /// Divide and conquer.
    Join,
    /// Stages joined by bounded queues.
    Stages,
    /// An experiment with one hand-written form per executor.
    Probe,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Map => "map",
            Shape::Frontier => "frontier",
            Shape::Join => "join",
            Shape::Stages => "stages",
            Shape::Probe => "probe",
        })
    }
}

/// A limit on speed that no executor can beat, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// No correct sample can be faster than this many nanoseconds.
    pub floor_ns: u64,
    /// `the server's capacity: 2 at a time`.
    pub reason: String,
}
