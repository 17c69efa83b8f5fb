//! `squares`: work too small to share.

use std::hint::black_box;

use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Preset, Shape,
    Step, TaskError, Workload,
};

/// `squares`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "squares",
    version: 1,
    kind: Kind::Cpu,
    shape: Shape::Map,
    summary: "square numbers: work too small to share",
    about: "The first parallel program many people write: a pool maps a function over a list, and \
            the function does next to nothing. A task here is one multiplication, about a \
            nanosecond. Handing a task to another thread costs a hundred times that, to another \
            process ten thousand times: at chunk 1 every parallel executor is slower than the \
            plain loop. Large chunks pay the handing over once for many tasks and bring the cores \
            back into play; how large they must be is what this workload shows.",
    task: "the square of one number of 0..n",
    answer: "`count` of numbers; `sum` of i * i modulo 2^64",
    input: None,
    parameters: &[Parameter {
        name: "n",
        about: "how many numbers to square, from 0",
        unit: "tasks",
        kind: ParameterKind::Integer { min: 0, max: 1_000_000_000_000 },
        default: "400000000",
    }],
    presets: &[
        Preset { name: "quick", values: &[("n", "40000000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("n", "4000000000")] },
    ],
    grows: Some("n"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// The workload.
#[derive(Debug, Clone)]
pub struct Squares {
    n: usize,
}

impl Squares {
    /// The numbers 0..n.
    pub fn new(n: usize) -> Self {
        Self { n }
    }
}

impl Map for Squares {
    type Phase = ();
    type Local = ();
    /// The sum of the squares modulo 2^64.
    type Partial = u64;

    fn local(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.n
    }

    fn empty(&self, _phase: &()) -> u64 {
        0
    }

    #[inline]
    fn run(&self, _: &mut (), _phase: &(), task: usize, sum: &mut u64) -> Result<(), TaskError> {
        // Unseen by the compiler, which would otherwise turn the loop over a chunk into the
        // formula n (n - 1) (2 n - 1) / 6.
        let i = black_box(task as u64);
        *sum = sum.wrapping_add(i.wrapping_mul(i));
        Ok(())
    }

    #[inline]
    fn merge(&self, left: &mut u64, right: u64) {
        *left = left.wrapping_add(right);
    }

    fn next(&self, (): (), sum: u64) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(Answer::new().count("count", self.n as u64).count("sum", sum)))
    }
}

impl Workload for Squares {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        Ok(Self::new(context.parameters.size("n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, same_in_all_chunks};

    /// Sums by Python 3: `sum(i * i for i in range(n)) % 2**64`.
    #[test]
    fn sums_are_those_that_python_gives() {
        let cases = [
            (0, r#"{"count":0,"sum":0}"#),
            (1, r#"{"count":1,"sum":0}"#),
            (1000, r#"{"count":1000,"sum":332833500}"#),
        ];
        for (n, expected) in cases {
            assert_eq!(same_in_all_chunks(&Squares::new(n)).to_string(), expected);
        }
    }

    /// By the formula n (n - 1) (2 n - 1) / 6 in Python 3.
    #[test]
    fn sums_beyond_2_to_53_are_texts_and_beyond_2_to_64_wrap() {
        let expected = r#"{"count":5000000,"sum":"4773166019248396768"}"#;
        assert_eq!(answer(&Squares::new(5_000_000), 100_000).to_string(), expected);
    }
}
