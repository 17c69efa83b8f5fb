//! `imbalance`: chains of drawn lengths, so that equal numbers of tasks are unequal amounts of work.

use manyhands_contract::generate::Stream;
use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Parameters,
    Preset, Shape, Step, TaskError, Workload,
};
use serde::{Deserialize, Serialize};

use super::spin::chain::Chain;

/// `imbalance`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "imbalance",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Map,
    summary: "tasks of drawn lengths: equal slices against handing out and stealing",
    about: "The chain of spin, but each task's length is drawn: uniform from nothing to twice the \
            mean, exponential, or Pareto with index 2, where one task in a thousand is sixteen \
            times the mean and the longest of all may outlast the rest. A hundred tasks, so that \
            chance does not even out. Who gets equal slices (threads:static) waits for the \
            unluckiest slice; a shared queue (threads, async, processes) and stealing (rayon) \
            keep everybody busy until the last tasks, and lose only what the longest of those \
            sticks out. Nobody can end before the longest single task does: with more and more \
            workers all executors meet at that floor. Larger chunks bring back the slices' \
            trouble; `--chunk 1` is the remedy, and costs one hand-over a task.",
    task: "a chain as in spin from the task's number i, of n steps. With mean m = `steps`, the \
           bits b of value i of stream 0 and u = (floor(b / 2^11) + 1) / 2^53: uniform n = \
           floor(b (2 m + 1) / 2^64); exponential n = floor(m e + 1/2) where e is -ln(u) as \
           follows; Pareto n = floor(0.5 m / sqrt(u) + 1/2). For e let L be the bit length of \
           2^53 u, z = (2^53 u / 2^L - 1) / (2^53 u / 2^L + 1), w = z z, s = 1/23, then s = s w + \
           1/d for d = 21, 19, ..., 1; e = (53 - L) 0.6931471805599453 - 2 z s. All in IEEE \
           doubles, none of it fused: every language gets the same n",
    answer: "`tasks`; `total-steps`, those of all together; `xor` of the last x of all tasks",
    input: None,
    parameters: &[
        Parameter {
            name: "tasks",
            about: "how many chains to compute",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
            default: "100",
        },
        Parameter {
            name: "steps",
            about: "how long a chain is on average",
            unit: "steps",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
            default: "2400000",
        },
        Parameter {
            name: "distribution",
            about: "how the lengths scatter about their mean",
            unit: "",
            kind: ParameterKind::Choice(&["uniform", "exponential", "pareto"]),
            default: "exponential",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("steps", "240000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("steps", "24000000")] },
    ],
    grows: Some("tasks"),
    length: Some("steps"),
    max_chunk: None,
    simulated: false,
};

/// How lengths scatter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distribution {
    Uniform,
    Exponential,
    Pareto,
}

/// The lengths of all tasks.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    distribution: Distribution,
    mean: u64,
    stream: Stream,
}

impl Lengths {
    fn of(&self, task: usize) -> u64 {
        let (mean, task) = (self.mean as f64, task as u64);
        match self.distribution {
            Distribution::Uniform => self.stream.below(task, 2 * self.mean + 1),
            Distribution::Exponential => (mean * exponential(self.stream.bits(task)) + 0.5) as u64,
            Distribution::Pareto => {
                (0.5 * mean / positive_uniform(self.stream.bits(task)).sqrt() + 0.5) as u64
            }
        }
    }
}

/// The upper 53 bits, plus one, over 2^53: uniform in (0, 1].
fn positive_uniform(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// Minus the logarithm of [`positive_uniform`], to twelve digits, by operations that IEEE 754
/// rounds alike everywhere; libraries' logarithms differ in the last bit. With u = m 2^k and m in
/// [1/2, 1), ln m is 2 artanh((m - 1) / (m + 1)), whose series has odd powers of at most a third.
fn exponential(bits: u64) -> f64 {
    let whole = (bits >> 11) + 1;
    let length = 64 - whole.leading_zeros();
    let m = whole as f64 / (1_u64 << length) as f64;
    let z = (m - 1.0) / (m + 1.0);
    let w = z * z;
    let mut series = 1.0 / 23.0;
    for d in (1..=21).rev().step_by(2) {
        series = series * w + 1.0 / f64::from(d);
    }
    (53.0 - f64::from(length)) * std::f64::consts::LN_2 - 2.0 * z * series
}

/// The workload.
#[derive(Debug, Clone)]
pub struct Imbalance {
    tasks: usize,
    lengths: Lengths,
    chain: Chain,
}

/// What tasks come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Steps of all, modulo 2^64.
    pub steps: u64,
    /// The xor of their ends.
    pub xor: u64,
}

impl Imbalance {
    /// As the parameters of [`DEFINITION`] say.
    ///
    /// # Panics
    /// When `distribution` is none that the definition allows: a bug there.
    fn new(parameters: &Parameters, seed: u64) -> Self {
        let distribution = match parameters.text("distribution") {
            "uniform" => Distribution::Uniform,
            "exponential" => Distribution::Exponential,
            "pareto" => Distribution::Pareto,
            other => panic!("no distribution is called '{other}'"),
        };
        let (mean, stream) = (parameters.integer("steps"), Stream::new(seed, 0));
        let lengths = Lengths { distribution, mean, stream };
        Self { tasks: parameters.size("tasks"), lengths, chain: Chain::new() }
    }
}

impl Map for Imbalance {
    type Phase = ();
    /// As in `spin`: where the worker's last chain ended.
    type Local = u64;
    type Partial = Totals;

    fn local(&self) -> Result<u64, TaskError> {
        Ok(0)
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.tasks
    }

    fn empty(&self, _phase: &()) -> Totals {
        Totals::default()
    }

    #[inline]
    fn run(
        &self,
        last: &mut u64,
        _phase: &(),
        task: usize,
        into: &mut Totals,
    ) -> Result<(), TaskError> {
        let steps = self.lengths.of(task);
        into.steps = into.steps.wrapping_add(steps);
        into.xor ^= self.chain.run(task as u64, steps, last);
        Ok(())
    }

    fn merge(&self, left: &mut Totals, right: Totals) {
        left.steps = left.steps.wrapping_add(right.steps);
        left.xor ^= right.xor;
    }

    fn next(&self, (): (), totals: Totals) -> Result<Step<()>, TaskError> {
        let answer = Answer::new()
            .count("tasks", self.tasks as u64)
            .count("total-steps", totals.steps)
            .count("xor", totals.xor);
        Ok(Step::Done(answer))
    }
}

impl Workload for Imbalance {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        Ok(Self::new(context.parameters, context.seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_in_all_chunks;

    fn imbalance(distribution: &str, tasks: &str, steps: &str) -> Imbalance {
        let changes = [("distribution", distribution), ("tasks", tasks), ("steps", steps)];
        let parameters = Parameters::from_texts(&DEFINITION, changes).expect("allowed values");
        Imbalance::new(&parameters, 7)
    }

    /// Computed by Python 3 from the definition, with seed 7.
    #[test]
    fn lengths_and_answers_are_those_that_python_gives() {
        let cases = [
            ("uniform", [1901, 1760, 1803, 124], 52_718, "11458805807580680293"),
            ("exponential", [51, 128, 104, 2781], 50_340, "5093096947485691189"),
            ("pareto", [513, 533, 527, 2008], 52_966, "12494161317077908079"),
        ];
        for (distribution, first, steps, xor) in cases {
            let work = imbalance(distribution, "50", "1000");
            let lengths: [u64; 4] = std::array::from_fn(|task| work.lengths.of(task));
            assert_eq!(lengths, first, "{distribution}");
            let expected = format!(r#"{{"tasks":50,"total-steps":{steps},"xor":"{xor}"}}"#);
            assert_eq!(same_in_all_chunks(&work).to_string(), expected, "{distribution}");
        }
        let none = r#"{"tasks":0,"total-steps":0,"xor":0}"#;
        assert_eq!(same_in_all_chunks(&imbalance("pareto", "0", "9")).to_string(), none);
    }

    /// Totals of 20,000 lengths of mean a million, by the same Python: any last bit that differed
    /// in a logarithm would be likely to show in one of them.
    #[test]
    fn twenty_thousand_lengths_add_up_to_what_python_says() {
        let cases = [
            ("uniform", 20_008_322_019),
            ("exponential", 20_075_601_858),
            ("pareto", 19_983_340_155),
        ];
        for (distribution, expected) in cases {
            let work = imbalance(distribution, "20000", "1000000");
            let total: u64 = (0..20_000).map(|task| work.lengths.of(task)).sum();
            assert_eq!(total, expected, "{distribution}");
        }
    }

    /// Against the system's logarithm, which Python 3 and Rust share: twelve digits.
    #[test]
    fn the_exponential_is_a_logarithm() {
        for bits in [0, 1 << 11, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
            let (ours, theirs) = (exponential(bits), -positive_uniform(bits).ln());
            assert!((ours - theirs).abs() < 1e-12, "{bits}: {ours} {theirs}");
        }
    }
}
