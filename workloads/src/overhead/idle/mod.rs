//! `idle`: everybody waits for one event, to see what somebody who waits weighs.

mod futures;
mod processes;
mod threads;

use std::time::Duration;

use manyhands_contract::limits::Need;
use manyhands_contract::{
    Answer, Definition, Experiment, Kind, Parameter, ParameterKind, Parameters, Preset, Probe,
    ProbeContext, ProbeError, Shape, TaskError,
};

pub(super) use processes::main;

/// Nobody looks at waiting tasks for longer.
const LONGEST: Duration = Duration::from_secs(600);

/// As many as the experiment was tried with; the machine's own limits may come earlier.
const MOST_THREADS: usize = 30_000;
const MOST_PROCESSES: usize = 1_000;
const MOST_FUTURES: usize = 1_000_000;

/// `idle`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "idle",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Probe,
    summary: "wait on one event with all the others: what a waiting thread, process, future weighs",
    about: "A server with ten thousand connections has ten thousand of something that waits. Here \
            they do nothing else: `workers` threads, processes or futures wait for one event, and \
            what the run is about is the memory column: divide it by the workers. A waiting \
            future is a few hundred bytes on the heap; a waiting thread has touched two or three \
            pages of its stacks and holds a kernel stack besides; a waiting process has page \
            tables, a heap and writable data of its own. The time of a sample is that of the event: \
            from its release until every task has seen it and waits again. Futures go to \
            1,000,000, threads to 30,000, processes to 1,000; where the machine's own limits come \
            first, the row names the limit.",
    task: "wait for the event, count, wait again; they wait before the first sample begins and \
           after the last one ends, so that a reading of memory at either edge sees them all",
    answer: "`missing`: tasks that the event did not reach, which must be 0 for any number of \
             them",
    input: None,
    parameters: &[Parameter {
        name: "hold",
        about: "how long all wait before the event, for those who want to look at them with \
                another tool; it is part of the sample's time",
        unit: "",
        kind: ParameterKind::Duration { min: Duration::ZERO, max: LONGEST },
        default: "0",
    }],
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

/// The experiment.
#[derive(Debug)]
pub struct Idle;

impl Probe for Idle {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn unsupported(executor: &str, _parameters: &Parameters) -> Option<String> {
        let reason = match executor {
            "sequential"
            | "threads"
            | "processes"
            | "processes:fork"
            | "async"
            | "async:current-thread"
            | "async:blocking" => return None,
            "threads:static" | "threads:spawn" => {
                "a thread that waits weighs the same however it was started: see threads"
            }
            "processes:shm" => {
                "who waits shares no data: see processes, and processes:fork for shared pages"
            }
            "rayon" => {
                "a rayon task can wait only by keeping a thread of the pool: see threads for what \
                 such a thread weighs"
            }
            "async:pull" => "async has as many futures as workers here already: see async",
            _ => return Some(format!("idle has no form for {executor}")),
        };
        Some(reason.to_owned())
    }

    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError> {
        if let Some(reason) = Self::unsupported(context.executor, context.parameters) {
            return Err(ProbeError::Unsupported(reason));
        }
        let (workers, hold) = (context.workers, context.parameters.duration("hold"));
        grant(context.executor, workers)?;
        let hold = Hold(hold);
        Ok(match context.executor {
            "sequential" => Box::new(Alone(hold)),
            "threads" => Box::new(threads::Threads::start(workers, hold)?),
            "processes" => Box::new(processes::Processes::exec(context.helper, workers, hold)?),
            "processes:fork" => Box::new(processes::Processes::fork(workers, hold)?),
            "async" => Box::new(futures::Futures::multi_thread(workers, hold)?),
            "async:current-thread" => Box::new(futures::Futures::current_thread(workers, hold)?),
            _ => Box::new(threads::Blocking::start(workers, hold)?),
        })
    }
}

/// Refuses what neither the experiment nor the machine can carry, by the name of the limit.
fn grant(executor: &str, workers: usize) -> Result<(), ProbeError> {
    let count = workers as u64;
    let (most, need) = match executor {
        "sequential" => return Ok(()),
        "threads" | "async:blocking" => (MOST_THREADS, Need::threads(count)),
        "processes" | "processes:fork" => (MOST_PROCESSES, Need::processes(count, 0)),
        _ => (MOST_FUTURES, Need::futures(count)),
    };
    if workers > most {
        let what = need.what;
        return Err(ProbeError::Unsupported(format!(
            "{workers} {what} are more than idle's own limit of {most} {what}; use at most that \
             many workers"
        )));
    }
    need.refusal().map_or(Ok(()), |reason| Err(ProbeError::Unsupported(reason)))
}

/// The pause before the event.
#[derive(Debug, Clone, Copy)]
struct Hold(Duration);

impl Hold {
    fn pass(self) {
        if !self.0.is_zero() {
            std::thread::sleep(self.0);
        }
    }
}

/// The answer of a sample in which `seen` of `workers` tasks saw the event.
fn answer(workers: usize, seen: usize) -> Answer {
    Answer::new().count("missing", workers.abs_diff(seen) as u64)
}

/// What every form counts: the time of the event, for each of those that waited for it.
fn counters(release: Duration, workers: usize) -> Vec<(&'static str, f64)> {
    vec![("nanoseconds-per-wake", release.as_nanos() as f64 / workers as f64)]
}

/// `sequential`: the program's only thread. There is nobody to release it, so its event is a
/// timer's; what it weighs is the program itself, to be taken off everybody else.
struct Alone(Hold);

impl Experiment for Alone {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        self.0.pass();
        Ok(answer(1, 1))
    }

    fn actual(&self) -> (usize, usize) {
        (1, 1)
    }

    fn tasks(&self) -> usize {
        1
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![("construct", "the program's only thread, on a timer".to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn start(executor: &str, workers: usize) -> Result<Box<dyn Experiment>, ProbeError> {
        let parameters = DEFINITION.parameters("quick", &[]).expect("a preset");
        let helper = Path::new("/nonexistent");
        let context = ProbeContext { parameters: &parameters, seed: 1, executor, workers, helper };
        Idle::start(&context)
    }

    #[test]
    fn everybody_sees_every_event() {
        for executor in ["sequential", "threads", "async", "async:current-thread", "async:blocking"]
        {
            for workers in [1, 2, 100] {
                let mut idle = start(executor, workers).expect("started");
                for _ in 0..20 {
                    let answer = idle.sample().expect("a sample").to_json().to_string();
                    assert_eq!(answer, r#"{"missing":0}"#, "{executor} x {workers}");
                }
                idle.stop().expect("stopped");
            }
        }
    }

    fn refusal(executor: &str, workers: usize) -> String {
        match start(executor, workers) {
            Err(ProbeError::Unsupported(reason)) => reason,
            Err(ProbeError::Failed(reason)) => panic!("failed: {reason}"),
            Ok(_) => panic!("{executor} x {workers} was started"),
        }
    }

    #[test]
    fn more_than_the_experiment_carries_is_refused_by_name() {
        let reason = refusal("threads", 30_001);
        assert!(reason.contains("idle's own limit of 30000 threads"), "{reason}");
        let reason = refusal("async", 1_000_001);
        assert!(reason.contains("idle's own limit of 1000000 futures"), "{reason}");
        let reason = refusal("processes", 1_001);
        assert!(reason.contains("idle's own limit of 1000 processes"), "{reason}");
        assert!(refusal("rayon", 1).contains("keeping a thread of the pool"));
    }

    #[test]
    fn processes_whose_program_is_missing_are_refused_in_words() {
        let reason = refusal("processes", 2);
        assert!(reason.starts_with("cannot start process 1 of 2: "), "{reason}");
    }
}
