//! The functions: one that computes, one that reads memory, one that divides, one that waits.
//!
//! Each is a workload of one task to manyhands and a closure to criterion; both call the same
//! compiled function.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use manyhands::contract::{
    Answer, Catalogue, Context, Definition, InputError, Kind, Map, Preset, Shape, Step, TaskError,
    Workload,
};

use crate::sides::Result;

/// Their names, in the order in which they are compared.
pub(crate) const NAMES: [&str; 4] = ["compute", "memory", "divide", "wait"];

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new()
        .with::<Measured<Compute>>()
        .with::<Measured<Memory>>()
        .with::<Measured<Divide>>()
        .with::<Measured<Wait>>()
}

/// Executions that criterion's figure rests on: as many as a block of manyhands takes warm ones.
const EXECUTIONS: usize = 60;

/// Lets criterion measure one function; its figures are in `folder`.
///
/// One execution a sample, by flat sampling and a measurement time that is over before the samples
/// are: then both medians are of single executions. By default a sample of criterion's is the mean
/// of many, and on a machine that is not alone a mean and a median are two figures.
pub(crate) fn by_criterion(name: &str, folder: &Path) -> Result<()> {
    let mut criterion = Criterion::default()
        .output_directory(folder)
        .without_plots()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(20))
        .sample_size(EXECUTIONS)
        .nresamples(1_001);
    match name {
        "compute" => iterate::<Compute>(&mut criterion),
        "memory" => iterate::<Memory>(&mut criterion),
        "divide" => iterate::<Divide>(&mut criterion),
        "wait" => iterate::<Wait>(&mut criterion),
        _ => return Err(format!("there is no function '{name}'; there are {}", NAMES.join(", "))),
    }
    Ok(())
}

/// Calls one function so many times: a command that computes.
pub(crate) fn call(name: &str, times: &str) -> Result<()> {
    let times: u32 = times.parse().map_err(|_| format!("'{times}' is no number of calls"))?;
    let function: fn() -> u64 = match name {
        "compute" => || Compute::new().call(),
        "divide" => || Divide::new().call(),
        _ => return Err(format!("'{name}' is no function to be called as a command")),
    };
    (0..times).for_each(|_| _ = black_box(function()));
    Ok(())
}

fn iterate<F: Function>(criterion: &mut Criterion) {
    let function = F::new();
    let mut group = criterion.benchmark_group(F::DEFINITION.name);
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("call", |bencher| bencher.iter(|| function.call()));
    group.finish();
}

/// Something that both sides call; takes 1 ms or more.
trait Function: Send + Sync + 'static {
    const DEFINITION: &'static Definition;

    fn new() -> Self;

    /// Never inlined: both sides call the same code.
    fn call(&self) -> u64;
}

const fn definition(name: &'static str, kind: Kind, summary: &'static str) -> Definition {
    Definition {
        name,
        version: 1,
        kind,
        shape: Shape::Map,
        summary,
        about: summary,
        task: "one call",
        answer: "what the call returns",
        input: None,
        parameters: &[],
        presets: &[Preset { name: "quick", values: &[] }],
        grows: None,
        length: None,
        max_chunk: None,
        simulated: false,
    }
}

struct Compute;

impl Function for Compute {
    const DEFINITION: &'static Definition =
        &definition("compute", Kind::Cpu, "a chain of shifts in registers");

    fn new() -> Self {
        Self
    }

    #[inline(never)]
    fn call(&self) -> u64 {
        // Marsaglia's xorshift: each step needs the one before it, and no number of steps has a
        // shorter form.
        (0..1_500_000).fold(black_box(1_u64), |x, _| {
            let x = x ^ (x >> 12);
            let x = x ^ (x << 25);
            x ^ (x >> 27)
        })
    }
}

/// Each element is the place of the next: all of them are one cycle.
struct Memory(Vec<u32>);

impl Function for Memory {
    const DEFINITION: &'static Definition =
        &definition("memory", Kind::Cpu, "a chain of 600,000 reads from 64 KiB");

    fn new() -> Self {
        // A full cycle (Hull and Dobell, Random Number Generators, 1962): the multiplier is 1 more
        // than a multiple of 4, the increment odd, the modulus a power of two.
        Self((0..PLACES).map(|place| (place * 4_005 + 1_013) % PLACES).collect())
    }

    #[inline(never)]
    fn call(&self) -> u64 {
        // Each read needs the one before it, so that a neighbour on the same core takes little
        // from it. The whole is small enough to be in a cache of the core's own from the second
        // pass on. What is larger takes more executions to settle in a shared cache than a launch
        // has, and criterion warms up for as long as it is told to: the two would not measure the
        // same.
        let places = black_box(self.0.as_slice());
        u64::from((0..600_000).fold(0, |place: u32, _| places[place as usize]))
    }
}

/// Elements of [`Memory`], four bytes each.
const PLACES: u32 = 16 << 10;

struct Divide;

impl Function for Divide {
    const DEFINITION: &'static Definition =
        &definition("divide", Kind::Cpu, "a chain of divisions and square roots");

    fn new() -> Self {
        Self
    }

    // Functions here are chains, each step waiting for the one before. What keeps a core's units
    // busy instead (sorting, allocating) has no value of its own where a neighbour may have the
    // other half of the core: on a virtual machine criterion alone gave 1.5 to 2.2 ms for one sort
    // and 2.8 to 4.1 ms for one tree of buffers, from one second to the next. No two harnesses
    // can agree to 2 % on that, nor one with itself.
    #[inline(never)]
    fn call(&self) -> u64 {
        (0..200_000).fold(black_box(1.5_f64), |x, _| 3.0 / (x + x.sqrt())).to_bits()
    }
}

struct Wait;

impl Function for Wait {
    const DEFINITION: &'static Definition = &definition("wait", Kind::Io, "a sleep of 3 ms");

    fn new() -> Self {
        Self
    }

    #[inline(never)]
    fn call(&self) -> u64 {
        std::thread::sleep(Duration::from_millis(3));
        3
    }
}

/// A function as a workload of one task.
struct Measured<F>(F);

impl<F: Function> Workload for Measured<F> {
    const DEFINITION: &'static Definition = F::DEFINITION;

    fn prepare(_: &Context<'_>) -> std::result::Result<Self, InputError> {
        Ok(Self(F::new()))
    }
}

impl<F: Function> Map for Measured<F> {
    type Phase = ();
    type Local = ();
    type Partial = u64;

    fn local(&self) -> std::result::Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        1
    }

    fn empty(&self, (): &()) -> u64 {
        0
    }

    fn run(
        &self,
        (): &mut (),
        (): &(),
        _: usize,
        into: &mut u64,
    ) -> std::result::Result<(), TaskError> {
        *into ^= black_box(self.0.call());
        Ok(())
    }

    fn merge(&self, left: &mut u64, right: u64) {
        *left ^= right;
    }

    fn next(&self, (): (), merged: u64) -> std::result::Result<Step<()>, TaskError> {
        Ok(Step::Done(Answer::new().count("result", merged)))
    }
}
