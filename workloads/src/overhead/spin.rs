//! `spin`: a chain of arithmetic of any length, to measure what a task costs besides its work.

use manyhands_contract::{
    Answer, Definition, Kind, Map, Parameter, ParameterKind, Parameters, Preset, Shape, Step,
    TaskError,
};

pub(crate) mod chain;
mod pattern;
mod patterned;

use chain::Chain;
pub use patterned::{Ends, Patterned, Wave};

/// `spin`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "spin",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Map,
    summary: "tasks of any chosen length, to see what a task costs besides its work",
    about: "Each task multiplies and adds a chosen number of times, every step waiting for the \
            one before it: about four clock cycles a step on any machine, no memory touched, \
            nothing shared. What a run takes beyond that is the executor's own cost. With few \
            steps that cost is everything: a plain loop wins, chunks help, and processes, which \
            must send every chunk through the kernel, lose most. With many steps all executors \
            that use all cores come out alike. The number of steps at which an executor reaches \
            half of its best rate is its granularity: below it, do not share the work. With a \
            `pattern` the tasks come in phases, and each needs outputs of the phase before, as in \
            Task Bench (Slaughter et al., SC 2020); it checks them before it starts. Between two \
            phases all workers wait for the last one, for every pattern: a runtime that starts a \
            task as soon as its own inputs are there could do better. What patterns change here \
            is what must be brought to whom: nothing, for threads, which share the outputs; the \
            declared ones, for processes over sockets, so that all-to-all costs them most. A tree \
            has few tasks at first, and leaves workers idle.",
    task: "a chain of `steps` steps x <- x * 6364136223846793005 + 1442695040888963407 modulo \
           2^64; task i of phase t (from 0) starts from t * `tasks` + i. In phase t > 0 it first \
           checks the ends of these tasks of phase t - 1, as far as they exist: trivial none; \
           stencil i - 1, i, i + 1; tree floor(i / 2), where phase t has min(`tasks`, 2^t) tasks; \
           fft i - d, i, i + d with d = 2^((t - 1) mod ceil(log2(`tasks`))); all-to-all all; \
           nearest from i - floor(`radix` / 2) to i + floor((`radix` - 1) / 2); random i and \
           those j of nearest for which uniform number i * `tasks` + j of stream t is below \
           `fraction`",
    answer: "`tasks` of all phases; `steps` of each; `xor` of the last x of all tasks; unless the \
             pattern is trivial and has one phase, `phases` and `pattern`",
    input: None,
    parameters: &[
        Parameter {
            name: "tasks",
            about: "how many chains to compute, in each phase",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
            default: "30000",
        },
        Parameter {
            name: "steps",
            about: "how long each chain is; 0 is a task that does nothing",
            unit: "steps",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000_000 },
            default: "8000",
        },
        Parameter {
            name: "pattern",
            about: "which tasks of the phase before a task needs",
            unit: "",
            kind: ParameterKind::Choice(pattern::NAMES),
            default: "trivial",
        },
        Parameter {
            name: "phases",
            about: "how many phases follow on each other; 0 is 1 for trivial and 10 for the others",
            unit: "phases",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000 },
            default: "0",
        },
        Parameter {
            name: "radix",
            about: "how many tasks nearest needs, and random chooses from",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 1, max: 1_000_000_000 },
            default: "5",
        },
        Parameter {
            name: "fraction",
            about: "how likely a task of random is to need one of its neighbours",
            unit: "",
            kind: ParameterKind::Real { min: 0.0, max: 1.0 },
            default: "0.25",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("tasks", "3000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("tasks", "300000")] },
    ],
    grows: Some("tasks"),
    length: Some("steps"),
    max_chunk: None,
    simulated: false,
};

/// `spin` without dependencies, in one phase: what the costs of executors are measured with, and
/// so with nothing in its loop but the chain. [`Patterned`] is the workload's name for people, and
/// hands over to this one where it can.
#[derive(Debug, Clone)]
pub struct Spin {
    tasks: usize,
    steps: u64,
    chain: Chain,
}

impl Spin {
    /// `tasks` chains of `steps` steps.
    pub fn new(tasks: usize, steps: u64) -> Self {
        Self { tasks, steps, chain: Chain::new() }
    }

    /// What the parameters of [`DEFINITION`] ask for, when that is one phase without dependencies.
    pub fn plain(parameters: &Parameters) -> Option<Self> {
        let plain = parameters.text("pattern") == "trivial" && patterned::phases(parameters) == 1;
        plain.then(|| Self::new(parameters.size("tasks"), parameters.integer("steps")))
    }
}

impl Map for Spin {
    type Phase = ();
    /// Where the worker's last chain ended. The next one starts from it (masked to nothing), or
    /// a processor would overlap two short neighbouring chains and each would seem to cost half.
    type Local = u64;
    /// The xor of the tasks' ends.
    type Partial = u64;

    fn local(&self) -> Result<u64, TaskError> {
        Ok(0)
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.tasks
    }

    fn empty(&self, _phase: &()) -> u64 {
        0
    }

    #[inline]
    fn run(
        &self,
        last: &mut u64,
        _phase: &(),
        task: usize,
        xor: &mut u64,
    ) -> Result<(), TaskError> {
        *xor ^= self.chain.run(task as u64, self.steps, last);
        Ok(())
    }

    #[inline]
    fn merge(&self, left: &mut u64, right: u64) {
        *left ^= right;
    }

    fn next(&self, (): (), xor: u64) -> Result<Step<()>, TaskError> {
        let answer = Answer::new()
            .count("tasks", self.tasks as u64)
            .count("steps", self.steps)
            .count("xor", xor);
        Ok(Step::Done(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_in_all_chunks;

    /// The ends were computed by Python 3 from the definition:
    /// `for _ in range(n): x = (x * 6364136223846793005 + 1442695040888963407) % 2**64`.
    #[test]
    fn chains_end_where_python_says() {
        let cases = [
            (0, 5, r#"{"tasks":0,"steps":5,"xor":0}"#),
            (6, 0, r#"{"tasks":6,"steps":0,"xor":1}"#),
            (1, 1, r#"{"tasks":1,"steps":1,"xor":"1442695040888963407"}"#),
            (100, 10, XOR_100_10),
        ];
        for (tasks, steps, expected) in cases {
            assert_eq!(same_in_all_chunks(&Spin::new(tasks, steps)).to_string(), expected);
        }
    }

    const XOR_100_10: &str = r#"{"tasks":100,"steps":10,"xor":"16267247474443698656"}"#;
}
