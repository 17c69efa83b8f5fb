//! `sleep`: waiting, and nothing else.

use std::time::Duration;

use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Preset, Shape,
    Step, TaskError, Workload,
};

/// Nobody waits longer for one task of a benchmark.
const LONGEST: Duration = Duration::from_secs(3600);

/// `sleep`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "sleep",
    version: 1,
    kind: Kind::Io,
    shape: Shape::Map,
    summary: "wait a while: the textbook example of I/O, simulated",
    about: "Four sources, two seconds each: one after the other they take eight seconds, at once \
            two. Waiting needs no core, so workers may far outnumber cores, and every executor \
            gets as much faster as it has workers: threads and processes until memory and \
            switching stop them, async with tens of thousands of futures on one thread, rayon \
            not beyond the size of its pool. But nothing here answers, computes or refuses: no \
            server gets slower, no bytes are copied. It shows the best case of concurrency and \
            predicts no real program's speed; `fetch` and `ingest` come nearer. Operating systems \
            wake sleepers late by some 50 us, tokio's timer by up to a millisecond.",
    task: "wait for `delay`: a blocking sleep, or a timer under async",
    answer: "`tasks` that waited",
    input: None,
    parameters: &[
        Parameter {
            name: "tasks",
            about: "how many times to wait",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
            default: "500",
        },
        Parameter {
            name: "delay",
            about: "how long each task waits",
            unit: "",
            kind: ParameterKind::Duration { min: Duration::ZERO, max: LONGEST },
            default: "20ms",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("tasks", "64"), ("delay", "5ms")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("tasks", "10000")] },
    ],
    // A chunk's tasks wait one after the other: two in a chunk already halve the concurrency.
    grows: Some("tasks"),
    length: None,
    max_chunk: Some(1),
    simulated: true,
};

/// The workload.
#[derive(Debug, Clone)]
pub struct Sleep {
    tasks: usize,
    delay: Duration,
}

impl Sleep {
    /// `tasks` waits of `delay`.
    pub fn new(tasks: usize, delay: Duration) -> Self {
        Self { tasks, delay }
    }
}

impl Map for Sleep {
    type Phase = ();
    type Local = ();
    /// How many tasks waited: counted, so that a task that was lost is a wrong answer.
    type Partial = u64;

    const WAITS: bool = true;

    fn local(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.tasks
    }

    fn empty(&self, _phase: &()) -> u64 {
        0
    }

    fn run(
        &self,
        _: &mut (),
        _phase: &(),
        _task: usize,
        waited: &mut u64,
    ) -> Result<(), TaskError> {
        std::thread::sleep(self.delay);
        *waited += 1;
        Ok(())
    }

    async fn run_async<'a>(
        &'a self,
        _: &'a mut (),
        _phase: &'a (),
        _task: usize,
        waited: &'a mut u64,
    ) -> Result<(), TaskError> {
        tokio::time::sleep(self.delay).await;
        *waited += 1;
        Ok(())
    }

    fn merge(&self, left: &mut u64, right: u64) {
        *left += right;
    }

    fn next(&self, (): (), waited: u64) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(Answer::new().count("tasks", waited)))
    }
}

impl Workload for Sleep {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let parameters = context.parameters;
        Ok(Self::new(parameters.size("tasks"), parameters.duration("delay")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_in_all_chunks;

    #[test]
    fn the_answer_counts_the_tasks_that_waited() {
        for tasks in [0, 1, 20] {
            let answer = same_in_all_chunks(&Sleep::new(tasks, Duration::ZERO));
            assert_eq!(answer.to_string(), format!(r#"{{"tasks":{tasks}}}"#));
        }
    }

    /// In tokio's paused time, where an hour passes at once, and only if the task yields to it.
    #[test]
    fn under_async_a_task_waits_on_the_runtimes_timer() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs no descriptors");
        runtime.block_on(async {
            let (work, began) = (Sleep::new(3, LONGEST), tokio::time::Instant::now());
            let mut waited = 0;
            work.run_chunk_async(&mut (), &(), 0..3, &mut waited).await.expect("sleep never fails");
            assert_eq!((waited, began.elapsed()), (3, 3 * LONGEST));
        });
    }
}
