//! A program with a workload of its own: the whole command line of manyhands, for your work.
//!
//! ```console
//! $ cargo run --release --example own_workload -- run collatz
//! ```
//!
//! `faulty`, the second workload, does what tasks should not do, for those who want to see what
//! each executor makes of it: `run faulty -p task=7,how=panic`.

use std::process::ExitCode;

use manyhands::contract::{
    Answer, Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Preset, Shape,
    Step, TaskError, Workload,
};

fn main() -> ExitCode {
    let catalogue = || manyhands::catalogue().with::<Collatz>().with::<Faulty>();
    // First of all: a run starts this program again for its cells and their workers.
    manyhands::worker_hook_with(catalogue);
    manyhands::main_with(&catalogue())
}

/// The longest Collatz chain among the numbers of 1..=limit.
struct Collatz {
    limit: u64,
}

const BLOCK: u64 = 1000;

impl Workload for Collatz {
    const DEFINITION: &'static Definition = &Definition {
        name: "collatz",
        version: 1,
        kind: Kind::Cpu,
        shape: Shape::Map,
        summary: "the longest Collatz chain below a limit",
        about: "Chains differ in length, and nobody knows beforehand by how much: dynamic \
                scheduling should beat equal slices a little.",
        task: "the chains of 1000 numbers in a row",
        answer: "steps of the longest chain and the smallest number that has it",
        input: None,
        parameters: &[Parameter {
            name: "limit",
            about: "numbers to try",
            unit: "numbers",
            kind: ParameterKind::Integer { min: 1, max: 1 << 32 },
            default: "200000",
        }],
        presets: &[
            Preset { name: "quick", values: &[] },
            Preset { name: "standard", values: &[("limit", "2000000")] },
            Preset { name: "large", values: &[("limit", "20000000")] },
        ],
        grows: None,
        length: None,
        max_chunk: None,
        simulated: false,
    };

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        Ok(Self { limit: context.parameters.integer("limit") })
    }
}

impl Map for Collatz {
    type Phase = ();
    type Local = ();
    /// Steps and number; the number is stored negated, so that the larger pair is the one with
    /// more steps, and of equals the one with the smaller number.
    type Partial = (u64, i64);

    fn local(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        self.limit.div_ceil(BLOCK) as usize
    }

    fn empty(&self, (): &()) -> (u64, i64) {
        (0, i64::MIN)
    }

    fn run(
        &self,
        (): &mut (),
        (): &(),
        task: usize,
        into: &mut (u64, i64),
    ) -> Result<(), TaskError> {
        let first = task as u64 * BLOCK + 1;
        let last = (first + BLOCK - 1).min(self.limit);
        *into = (first..=last).map(|n| (chain(n), -(n as i64))).fold(*into, Ord::max);
        Ok(())
    }

    fn merge(&self, left: &mut (u64, i64), right: (u64, i64)) {
        *left = (*left).max(right);
    }

    fn next(&self, (): (), (steps, number): (u64, i64)) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(Answer::new().count("steps", steps).count("number", number.unsigned_abs())))
    }
}

fn chain(mut n: u64) -> u64 {
    let mut steps = 0;
    while n != 1 {
        n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}

/// Tasks that count themselves, but for one that misbehaves when it is not run sequentially.
struct Faulty {
    tasks: usize,
    task: usize,
    how: String,
    /// The first process of the cell, where the sequential form runs too.
    first_process: bool,
}

impl Workload for Faulty {
    const DEFINITION: &'static Definition = &Definition {
        name: "faulty",
        version: 1,
        kind: Kind::Overhead,
        shape: Shape::Map,
        summary: "one task fails on purpose",
        about: "A task that returns an error, panics, aborts, exits, hangs or computes nonsense; \
                `where` says whether it does so everywhere or only in worker processes.",
        task: "count one",
        answer: "the number of tasks",
        input: None,
        parameters: &[
            Parameter {
                name: "tasks",
                about: "tasks in all",
                unit: "tasks",
                kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
                default: "100",
            },
            Parameter {
                name: "task",
                about: "the one that fails",
                unit: "",
                kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
                default: "7",
            },
            Parameter {
                name: "how",
                about: "what it does",
                unit: "",
                kind: ParameterKind::Choice(&[
                    "nothing", "error", "panic", "abort", "exit", "hang", "wrong",
                ]),
                default: "nothing",
            },
            Parameter {
                name: "where",
                about: "in which processes",
                unit: "",
                kind: ParameterKind::Choice(&["everywhere", "workers"]),
                default: "everywhere",
            },
        ],
        presets: &[
            Preset { name: "quick", values: &[] },
            Preset { name: "standard", values: &[] },
            Preset { name: "large", values: &[] },
        ],
        grows: None,
        length: None,
        max_chunk: None,
        simulated: false,
    };

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let parameters = context.parameters;
        let only_workers = parameters.text("where") == "workers";
        Ok(Self {
            tasks: parameters.size("tasks"),
            task: parameters.size("task"),
            how: parameters.text("how").to_owned(),
            first_process: only_workers && context.handover.is_none(),
        })
    }
}

impl Map for Faulty {
    type Phase = ();
    type Local = ();
    type Partial = u64;

    fn local(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        self.tasks
    }

    fn empty(&self, (): &()) -> u64 {
        0
    }

    fn run(&self, (): &mut (), (): &(), task: usize, into: &mut u64) -> Result<(), TaskError> {
        *into += 1;
        if task != self.task || self.first_process {
            return Ok(());
        }
        match self.how.as_str() {
            "error" => return Err(TaskError::new("it was told to fail")),
            "panic" => panic!("it was told to panic"),
            "abort" => std::process::abort(),
            "exit" => std::process::exit(3),
            "hang" => loop {
                std::thread::park();
            },
            "wrong" => *into += 1,
            _ => {}
        }
        Ok(())
    }

    fn merge(&self, left: &mut u64, right: u64) {
        *left += right;
    }

    fn next(&self, (): (), merged: u64) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(Answer::new().count("tasks", merged)))
    }
}
