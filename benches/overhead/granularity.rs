//! What a task costs and how long it must be, for every executor beside the same loop written by
//! hand: `cargo xtask granularity`.
//!
//! The figures are those of `manyhands run spin --granularity`, computed by the same functions.
//! There each launch is a process of its own; here both sides run in this one, one right after
//! the other, so that what differs between them is the code and not the minute.

use std::time::Duration;

use manyhands::executors::ExecutorName;
use manyhands_record::models::granularity::{
    Best, Cost, Length, Metg, STATED, Share, cost, efficiency_at, granularity, metg,
};
use manyhands_record::statistics::Paired;
use manyhands_record::statistics::quantile::median;
use manyhands_record::statistics::ratio::paired;

use crate::ratios::BY_HAND;
use crate::side::{Result, Side, ns_per_step, tasks_for, workers};

/// Starts of every loop; intervals need six.
const ROUNDS: u32 = 6;

/// Samples of each side at each start, whose median counts.
const SAMPLES: u32 = 3;

/// One sample.
const SAMPLE: Duration = Duration::from_millis(8);

/// Lengths of work that all are measured at, in nanoseconds: the stated ones and one beyond.
const LENGTHS_NS: [f64; 4] = [1e3, 1e4, 1e5, 2e5];

/// Lengths around the one whose work is as long as its cost, as multiples of it.
const AROUND: [f64; 5] = [0.5, 0.707, 1.0, 1.414, 2.0];

/// Process pools have no twin: one by hand would be this one again.
const POOLS: [ExecutorName; 3] =
    [ExecutorName::Processes, ExecutorName::ProcessesFork, ExecutorName::ProcessesShm];

/// An executor's or a twin's curve.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) executor: ExecutorName,
    /// Written by hand.
    pub(crate) hand: bool,
    pub(crate) cost: Option<Cost>,
    pub(crate) metg: Option<Metg>,
    pub(crate) at: [Option<Share>; STATED.len()],
}

/// The rows, and how much longer `processes:shm` takes for a task without work than `threads`.
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    pub(crate) shm_by_threads: Option<Paired>,
}

/// Measures all executors for which `wanted`, in rounds.
pub(crate) fn measure(wanted: impl Fn(ExecutorName) -> bool) -> Result<Outcome> {
    let ns_per_step = ns_per_step();
    let executors = BY_HAND.into_iter().chain(POOLS).filter(|name| wanted(*name));
    let mut subjects =
        executors.map(|name| Subject::new(name, ns_per_step)).collect::<Result<Vec<_>>>()?;
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        for subject in &mut subjects {
            subject.round(round)?;
        }
    }
    Ok(outcome(&subjects))
}

/// One executor, what is measured of it, and what was.
struct Subject {
    executor: ExecutorName,
    /// Steps and tasks of each length.
    plan: Vec<(u64, usize)>,
    ours: Vec<Length>,
    /// Empty for those without a twin.
    hand: Vec<Length>,
}

impl Subject {
    /// Chooses the lengths and the number of tasks at each.
    fn new(executor: ExecutorName, ns_per_step: f64) -> Result<Self> {
        let tasks = |steps| tasks_for(SAMPLE, |tasks| Side::ours(executor, steps, tasks));
        let empty = tasks(0)?;
        let cost = SAMPLE.as_nanos() as f64 * cores(executor) / empty as f64;
        let around = AROUND.iter().map(|factor| factor * cost);
        let steps = LENGTHS_NS.into_iter().chain(around);
        let mut steps: Vec<u64> = steps.map(|ns| (ns / ns_per_step) as u64).collect();
        steps.push(0);
        steps.sort_unstable();
        // A few per cent apart is the same length again.
        steps.dedup_by(|a, b| *a as f64 <= 1.1 * *b as f64);
        let plan = steps.into_iter().map(|steps| Ok((steps, tasks(steps)?)));
        let plan = plan.collect::<Result<Vec<_>>>()?;
        let empty =
            || plan.iter().map(|(steps, _)| Length { work: *steps as f64, logs: Vec::new() });
        let hand = if BY_HAND.contains(&executor) { empty().collect() } else { Vec::new() };
        Ok(Self { executor, ours: empty().collect(), hand, plan })
    }

    /// Starts both sides at every length, and takes samples of both in turn.
    fn round(&mut self, round: u32) -> Result<()> {
        for (index, &(steps, tasks)) in self.plan.iter().enumerate() {
            let mut ours = Side::ours(self.executor, steps, tasks)?;
            let mut hand = match self.hand.is_empty() {
                true => None,
                false => Some(Side::hand(self.executor, steps, tasks)?),
            };
            let (mut our_times, mut hand_times) = (Vec::new(), Vec::new());
            // The first of each warms up.
            for sample in 0..=SAMPLES {
                let time = ours.ns_per_task()?;
                let twin = hand.as_mut().map(Side::ns_per_task).transpose()?;
                if sample > 0 {
                    our_times.push(time);
                    hand_times.extend(twin);
                }
            }
            ours.stop()?;
            hand.map_or(Ok(()), Side::stop)?;
            let cores = cores(self.executor);
            let log = |times: &[f64]| median(times).map(|ns| (round, (ns * cores).ln()));
            self.ours[index].logs.extend(log(&our_times));
            if let Some(length) = self.hand.get_mut(index) {
                length.logs.extend(log(&hand_times));
            }
        }
        Ok(())
    }

    fn row(&self, hand: bool, best: Option<&Best>) -> Option<Row> {
        let lengths = if hand { &self.hand } else { &self.ours };
        (!lengths.is_empty()).then(|| Row {
            executor: self.executor,
            hand,
            cost: cost(lengths),
            metg: best.and_then(|best| metg(lengths, best)),
            at: STATED.map(|ns| best.and_then(|best| efficiency_at(lengths, best, ns))),
        })
    }
}

/// Cores that an executor's workers use.
fn cores(executor: ExecutorName) -> f64 {
    let workers = if executor == ExecutorName::Sequential { 1 } else { workers().get() };
    granularity(1.0, workers, crate::side::cores(), 1)
}

fn outcome(subjects: &[Subject]) -> Outcome {
    let best = |subject: &Subject| {
        let peers =
            subjects.iter().filter(|other| cores(other.executor) == cores(subject.executor));
        Best::of(peers.flat_map(|peer| peer.ours.iter().chain(&peer.hand)))
    };
    let rows = subjects.iter().flat_map(|subject| {
        let best = best(subject);
        [false, true].map(|hand| subject.row(hand, best.as_ref()))
    });
    let empty = |name: ExecutorName| {
        let subject = subjects.iter().find(|subject| subject.executor == name)?;
        subject.ours.iter().find(|length| length.work == 0.0)
    };
    let (shm, threads) = (empty(ExecutorName::ProcessesShm), empty(ExecutorName::Threads));
    Outcome {
        rows: rows.flatten().collect(),
        shm_by_threads: shm.zip(threads).and_then(|(a, b)| paired(&a.logs, &b.logs)),
    }
}
