//! `false-sharing`: counters that nobody shares, on cache lines that somebody does.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use manyhands_contract::{
    Answer, Definition, Experiment, Kind, Parameter, ParameterKind, Parameters, Preset, Probe,
    ProbeContext, ProbeError, Shape, TaskError,
};

use super::crew::{self, Crew};
use super::shared::{Outcome, Shared, Updates};
use super::spin::chain::Chain;

/// `false-sharing`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "false-sharing",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Probe,
    summary: "a counter per worker, side by side or apart: cache lines",
    about: "Each worker counts in a variable of its own, so that no value is ever shared, nothing \
            can be lost and no lock is missing. But memory moves between cores in lines of 64 \
            bytes, and eight counters fit in one: packed, each core's write takes the line from \
            the others', and all wait for it. Padded to lines of their own, the same counters \
            cost what they cost alone, and the run is shorter with every core. One worker, and \
            futures on one thread, cannot tell the two apart. Two hardware threads of one core \
            share its first cache, and see less of it than two cores do. Nothing in what the \
            program says shows the difference, only where its variables lie.",
    task: "one worker's slice of the updates: update k, from 0, adds k to the worker's counter by \
           a load and a store",
    answer: "`updates`; `sum` of all counters: that of 0..`updates` modulo 2^64",
    input: None,
    parameters: &[
        Parameter {
            name: "updates",
            about: "how many updates there are, over all workers",
            unit: "updates",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000_000 },
            default: "200000000",
        },
        Parameter {
            name: "layout",
            about: "counters side by side, or each on cache lines of its own",
            unit: "",
            kind: ParameterKind::Choice(&["packed", "padded"]),
            default: "packed",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("updates", "20000000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("updates", "2000000000")] },
    ],
    grows: Some("updates"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// Counters side by side. Each line begins where a cache line does, or chance would decide whether
/// two counters share one.
struct Packed(Vec<Line>);

/// As many counters as a cache line has room for.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; 8]);

/// Counters apart: 128 bytes each on x86-64, which fetches lines in pairs.
struct Padded(Vec<CachePadded<AtomicU64>>);

/// Adds to a counter that no other worker writes, so that nothing can be lost in between. Relaxed:
/// it is read by others only after the workers have been waited for.
#[inline]
fn add_to_own(counter: &AtomicU64, amount: u64) {
    let value = counter.load(Ordering::Relaxed);
    counter.store(value.wrapping_add(amount), Ordering::Relaxed);
}

fn sum<'a>(counters: impl Iterator<Item = &'a AtomicU64>) -> u64 {
    counters.map(|counter| counter.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
}

impl Shared for Packed {
    #[inline]
    fn add(&self, worker: usize, amount: u64) {
        add_to_own(&self.0[worker / 8].0[worker % 8], amount);
    }

    fn total(&self) -> u64 {
        sum(self.0.iter().flat_map(|line| &line.0))
    }
}

impl Shared for Padded {
    #[inline]
    fn add(&self, worker: usize, amount: u64) {
        add_to_own(&self.0[worker], amount);
    }

    fn total(&self) -> u64 {
        sum(self.0.iter().map(|counter| &**counter))
    }
}

/// The workload.
#[derive(Debug)]
pub struct FalseSharing {
    crew: Crew,
    packed: bool,
    updates: Updates,
    chain: Chain,
    last: Outcome,
}

impl Probe for FalseSharing {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn unsupported(executor: &str, _parameters: &Parameters) -> Option<String> {
        crew::unsupported(executor)
    }

    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError> {
        let parameters = context.parameters;
        let count = parameters.integer("updates");
        Ok(Box::new(Self {
            crew: Crew::start(context)?,
            packed: parameters.text("layout") == "packed",
            updates: Updates { count, work: 0, numbered: true },
            chain: Chain::new(),
            last: Outcome::default(),
        }))
    }
}

impl FalseSharing {
    fn outcome(&self) -> Result<Outcome, TaskError> {
        let Self { crew, updates, chain, .. } = self;
        let workers = crew.workers();
        match (crew, self.packed) {
            (Crew::Sequential, _) => Ok(updates.alone(chain)),
            (_, true) => {
                let lines = (0..workers.div_ceil(8)).map(|_| Line::default()).collect();
                updates.split(crew, chain, Packed(lines))
            }
            (_, false) => {
                let counters = (0..workers).map(|_| CachePadded::default()).collect();
                updates.split(crew, chain, Padded(counters))
            }
        }
    }
}

impl Experiment for FalseSharing {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        self.last = self.updates.complete(self.outcome()?)?;
        Ok(Answer::new().count("updates", self.last.made).count("sum", self.last.total))
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        vec![("nanoseconds-per-update", self.last.nanoseconds_per_update())]
    }

    fn actual(&self) -> (usize, usize) {
        (self.crew.threads(), 1)
    }

    fn tasks(&self) -> usize {
        self.crew.workers()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let transport = match (&self.crew, self.packed) {
            (Crew::Sequential, _) => "none",
            (_, true) => "none but the cache line: counters 8 bytes apart",
            (_, false) => "none: counters on lines of their own",
        };
        vec![("construct", self.crew.construct().to_owned()), ("transport", transport.to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        self.crew.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overhead::crew::tests::sampled;

    /// `sum(range(10001))` in Python 3.
    #[test]
    fn every_update_is_in_some_counter() {
        let expected = r#"{"updates":10001,"sum":50005000}"#;
        for layout in ["packed", "padded"] {
            let changes = [("layout", layout), ("updates", "10001")];
            for (name, sample) in sampled::<FalseSharing>(&changes) {
                assert_eq!(sample.answer, expected, "{layout} {name}");
            }
        }
    }

    fn address(counter: &AtomicU64) -> usize {
        std::ptr::from_ref(counter).addr()
    }

    #[test]
    fn packed_counters_share_a_line_of_64_bytes_and_padded_ones_do_not() {
        let packed = Packed((0..2).map(|_| Line::default()).collect());
        let line = |n: usize| address(&packed.0[n / 8].0[n % 8]) / 64;
        assert!((1..8).all(|n| line(n) == line(0)));
        assert_eq!(line(8), line(0) + 1);
        let padded = Padded((0..3).map(|_| CachePadded::default()).collect());
        let lines: Vec<_> = padded.0.iter().map(|counter| address(counter) / 64).collect();
        assert!(lines.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
