//! The same pairs as criterion benchmarks: `cargo bench`.

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, measurement::WallTime};

use crate::ratios::BY_HAND;
use crate::side::{Length, Loop, Result, Side, tasks_for};

/// One execution: enough tasks that starting and ending it is lost among them.
const SAMPLE: Duration = Duration::from_millis(2);

/// A group per executor and loop, with ours and the twin in it.
pub(crate) fn run() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for work in Length::ALL.map(Loop::calibrate) {
        for executor in BY_HAND {
            let tasks = tasks_for(SAMPLE, |tasks| Side::hand(executor, work.steps, tasks))?;
            let name = format!("{executor}/{}", work.length.name());
            let mut group = criterion.benchmark_group(name);
            group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(tasks as u64));
            bench(&mut group, "manyhands", Side::ours(executor, work.steps, tasks)?)?;
            bench(&mut group, "hand", Side::hand(executor, work.steps, tasks)?)?;
            group.finish();
        }
    }
    criterion.final_summary();
    Ok(())
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut side: Side) -> Result<()> {
    let mut failure = None;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|samples| {
            let total: Result<Duration> = (0..samples).map(|_| side.sample()).sum();
            // Criterion cannot be told of a failure: it is given a time that means nothing, and
            // the benchmark ends with the reason before anybody could believe it.
            total.unwrap_or_else(|reason| {
                failure = Some(reason);
                Duration::from_nanos(1)
            })
        });
    });
    side.stop()?;
    failure.map_or(Ok(()), Err)
}
