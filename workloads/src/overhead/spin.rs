//! `spin`: a chain of arithmetic of any length, to measure what a task costs besides its work.

use std::hint::black_box;

use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Preset, Shape,
    Step, TaskError, Workload,
};

/// Knuth's MMIX generator: full period modulo 2^64, and no step can be skipped.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;

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
            half of its best rate is its granularity: below it, do not share the work.",
    task: "a chain of `steps` steps x <- x * 6364136223846793005 + 1442695040888963407 modulo \
           2^64, starting from the task's number",
    answer: "`tasks`; `steps` of each; `xor` of the last x of all tasks",
    input: None,
    parameters: &[
        Parameter {
            name: "tasks",
            about: "how many chains to compute",
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

/// The workload.
#[derive(Debug, Clone)]
pub struct Spin {
    tasks: usize,
    steps: u64,
    step: OpaqueStep,
}

/// The numbers of a step, hidden from the compiler. Knowing them it would fold eight steps into
/// one, (x a + c) a + c = x a^2 + (a c + c), and the chain would be an eighth as long as it says.
#[derive(Debug, Clone)]
struct OpaqueStep {
    multiplier: u64,
    increment: u64,
    /// Is 0: what the task before left behind, masked by it, changes nothing, but the compiler
    /// and the processor must wait for it.
    zero: u64,
}

impl Spin {
    /// `tasks` chains of `steps` steps.
    pub fn new(tasks: usize, steps: u64) -> Self {
        let step = OpaqueStep {
            multiplier: black_box(MULTIPLIER),
            increment: black_box(INCREMENT),
            zero: black_box(0),
        };
        Self { tasks, steps, step }
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
        let OpaqueStep { multiplier, increment, zero } = self.step;
        let mut x = task as u64 ^ (*last & zero);
        for _ in 0..self.steps {
            x = x.wrapping_mul(multiplier).wrapping_add(increment);
        }
        *last = x;
        *xor ^= x;
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

impl Workload for Spin {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        Ok(Self::new(context.parameters.size("tasks"), context.parameters.integer("steps")))
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
