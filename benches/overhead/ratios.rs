//! Each executor against its yardsticks, in interleaved pairs: `cargo xtask overhead`.

use std::time::Duration;

use manyhands::executors::ExecutorName;

use crate::comparison::{Against, Comparison};
use crate::python::Pool;
use crate::side::{Length, Loop, Result, Side, tasks_for};

/// One sample: long against the clock and a stray interrupt, short against the machine's moods,
/// which both samples of a pair should share.
const SAMPLE: Duration = Duration::from_millis(20);

/// Pairs per start of both sides of a comparison with a loop by hand.
const PAIRS: usize = 10;

/// How often both sides are started anew: where the scheduler happens to put a pool's threads can
/// last as long as the pool does, and make it half as fast again on either side.
const STARTS: usize = 4;

/// Pairs per comparison with Python's pool, each of whose samples takes eight times as long.
const POOL_PAIRS: usize = 16;

/// Executors that have a twin by hand, in the order of `list`.
pub(crate) const BY_HAND: [ExecutorName; 9] = [
    ExecutorName::Sequential,
    ExecutorName::Threads,
    ExecutorName::ThreadsStatic,
    ExecutorName::ThreadsSpawn,
    ExecutorName::Rayon,
    ExecutorName::Async,
    ExecutorName::AsyncPull,
    ExecutorName::AsyncCurrentThread,
    ExecutorName::AsyncBlocking,
];

/// Executors that are held against Python's pool. `processes:fork` is not: once its workers are
/// there it is `processes`.
const BY_POOL: [ExecutorName; 2] = [ExecutorName::Processes, ExecutorName::ProcessesShm];

/// Compares and hands each result to `show`; `wanted` picks among executors and loops.
///
/// One that fails does not keep the others from being measured.
pub(crate) fn compare(
    wanted: impl Fn(ExecutorName, Length) -> bool,
    show: impl Fn(&Comparison),
) -> Result<()> {
    let [noop, long] = Length::ALL.map(Loop::calibrate);
    let mut failures = 0;
    let mut report = |executor: ExecutorName, outcome: Result<Comparison>| match outcome {
        Ok(comparison) => show(&comparison),
        Err(reason) => {
            failures += 1;
            eprintln!("{executor}: {reason}");
        }
    };
    for executor in BY_HAND {
        for work in [noop, long].into_iter().filter(|work| wanted(executor, work.length)) {
            report(executor, with_hand(executor, work));
        }
    }
    let pools: Vec<_> =
        BY_POOL.into_iter().filter(|executor| wanted(*executor, noop.length)).collect();
    if !pools.is_empty() {
        match Pool::start() {
            Ok(mut python) => pools
                .into_iter()
                .for_each(|executor| report(executor, with_pool(executor, noop, &mut python))),
            Err(reason) => eprintln!(
                "not compared with Python's process pool: {reason}; install python3 for it"
            ),
        }
    }
    if failures == 0 { Ok(()) } else { Err(format!("{failures} comparisons failed")) }
}

fn with_hand(executor: ExecutorName, work: Loop) -> Result<Comparison> {
    let tasks = tasks_for(SAMPLE, |tasks| Side::hand(executor, work.steps, tasks))?;
    let mut all = Vec::with_capacity(STARTS * PAIRS);
    for _ in 0..STARTS {
        let mut ours = Side::ours(executor, work.steps, tasks)?;
        let mut hand = Side::hand(executor, work.steps, tasks)?;
        all.extend(pairs(PAIRS, || ours.ns_per_task(), || hand.ns_per_task())?);
        ours.stop()?;
        hand.stop()?;
    }
    Ok(Comparison::of(executor, work.length, Against::Hand, &all))
}

fn with_pool(executor: ExecutorName, work: Loop, python: &mut Pool) -> Result<Comparison> {
    let tasks = tasks_for(SAMPLE, |tasks| Side::ours(executor, work.steps, tasks))?;
    let mut ours = Side::ours(executor, work.steps, tasks)?;
    let pairs = pairs(POOL_PAIRS, || ours.ns_per_task(), || python.ns_per_task())?;
    ours.stop()?;
    Ok(Comparison::of(executor, work.length, Against::PythonPool, &pairs))
}

/// Samples (ours, theirs) one right after the other, the order turned around from pair to pair:
/// a machine that grows slower or faster, or a cache that the one leaves to the other, favours
/// neither. One pair before them, uncounted, warms both.
fn pairs(
    count: usize,
    mut ours: impl FnMut() -> Result<f64>,
    mut theirs: impl FnMut() -> Result<f64>,
) -> Result<Vec<(f64, f64)>> {
    ours()?;
    theirs()?;
    let pair = |index| {
        if index % 2 == 0 {
            let first = ours()?;
            Ok((first, theirs()?))
        } else {
            let first = theirs()?;
            Ok((ours()?, first))
        }
    };
    (0..count).map(pair).collect()
}
