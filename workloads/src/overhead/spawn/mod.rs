//! `spawn`: start something that does nothing, and wait for its end.

mod futures;
mod pool;
mod processes;
mod threads;

use std::time::Instant;

use manyhands_contract::limits::Need;
use manyhands_contract::{
    Answer, Definition, Experiment, Kind, Parameter, ParameterKind, Parameters, Preset, Probe,
    ProbeContext, ProbeError, Shape, TaskError,
};

pub(super) use processes::main;

use super::sys::Usage;

/// `spawn`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "spawn",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Probe,
    summary: "start and join something that does nothing: what a thread, process, future costs",
    about: "A thread per request, a process per file, a future per call: each must be made before \
            it can work and waited for after. Here that is all there is, `count` times, with at \
            most `workers` alive at once; the oldest is joined first. A call costs a nanosecond \
            or two, a task of rayon or tokio tens or hundreds, a thread ten microseconds and \
            more, a process hundreds. Divide your own task's time by these: below some ten to \
            one, hand the work to something that exists already.",
    task: "start one that does nothing but count itself, and join it",
    answer: "`tasks`: how many were started, did their nothing and were joined",
    input: None,
    parameters: &[Parameter {
        name: "count",
        about: "how many to start, one after another",
        unit: "tasks",
        kind: ParameterKind::Integer { min: 1, max: 10_000_000 },
        default: "2000",
    }],
    presets: &[
        Preset { name: "quick", values: &[("count", "300")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("count", "20000")] },
    ],
    grows: Some("count"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// The experiment.
#[derive(Debug)]
pub struct Spawn;

impl Probe for Spawn {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn unsupported(executor: &str, _parameters: &Parameters) -> Option<String> {
        let reason = match executor {
            "sequential"
            | "threads"
            | "threads:static"
            | "processes"
            | "processes:fork"
            | "rayon"
            | "async"
            | "async:current-thread"
            | "async:blocking" => return None,
            "threads:spawn" => "threads starts a thread per task here already: see threads",
            "processes:shm" => "its processes are started as those of processes: see processes",
            "async:pull" => "its futures are made once and then pull: see async for what one costs",
            _ => return Some(format!("spawn has no form for {executor}")),
        };
        Some(reason.to_owned())
    }

    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError> {
        if let Some(reason) = Self::unsupported(context.executor, context.parameters) {
            return Err(ProbeError::Unsupported(reason));
        }
        let alive = context.workers;
        grant(context.executor, alive)?;
        let count = context.parameters.size("count");
        // Never more than there are to start: the fairness card says what was alive.
        let alive = alive.min(count);
        let form: Box<dyn Form> = match context.executor {
            "sequential" => Box::new(Calls),
            "threads" => Box::new(threads::Joined),
            "threads:static" => Box::new(threads::Scoped),
            "processes" => Box::new(processes::Exec(context.helper.to_owned())),
            "processes:fork" => Box::new(processes::Fork),
            "rayon" => Box::new(pool::Rayon::start(alive)?),
            "async" => Box::new(futures::Spawned::multi_thread(alive)?),
            "async:current-thread" => Box::new(futures::Spawned::current_thread()?),
            _ => Box::new(futures::Blocking::start(alive)?),
        };
        Ok(Box::new(Spawning { form, count, alive, each_ns: 0.0 }))
    }
}

fn grant(executor: &str, workers: usize) -> Result<(), ProbeError> {
    let count = workers as u64;
    let need = match executor {
        "threads" | "threads:static" | "rayon" | "async:blocking" => Need::threads(count),
        "processes" | "processes:fork" => Need::processes(count, 1),
        _ => return Ok(()),
    };
    need.refusal().map_or(Ok(()), |reason| Err(ProbeError::Unsupported(reason)))
}

/// One way of starting things.
trait Form {
    /// Starts `count`, at most `alive` at once, and joins them all: how many did their nothing.
    fn run(&mut self, count: usize, alive: usize) -> Result<usize, TaskError>;

    /// Threads and processes that take part when so many are alive at once.
    fn actual(&self, alive: usize) -> (usize, usize);

    fn construct(&self) -> &'static str;

    /// What processes have used that were started and have ended.
    fn others_usage(&self) -> Usage {
        Usage::default()
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        Ok(())
    }
}

struct Spawning {
    form: Box<dyn Form>,
    count: usize,
    alive: usize,
    each_ns: f64,
}

impl Experiment for Spawning {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        let began = Instant::now();
        let done = self.form.run(self.count, self.alive)?;
        self.each_ns = began.elapsed().as_nanos() as f64 / self.count as f64;
        Ok(Answer::new().count("tasks", done as u64))
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        vec![("nanoseconds-per-spawn", self.each_ns)]
    }

    fn others_usage(&mut self) -> Result<[u64; 4], TaskError> {
        Ok(self.form.others_usage())
    }

    fn actual(&self) -> (usize, usize) {
        self.form.actual(self.alive)
    }

    fn tasks(&self) -> usize {
        self.count
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![("construct", self.form.construct().to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        self.form.stop()
    }
}

/// `sequential`: a call that is made, and not folded into a sum by the compiler.
struct Calls;

impl Form for Calls {
    fn run(&mut self, count: usize, _alive: usize) -> Result<usize, TaskError> {
        let nothing: fn() -> usize = std::hint::black_box(nothing);
        Ok((0..count).map(|_| nothing()).sum())
    }

    fn actual(&self, _alive: usize) -> (usize, usize) {
        (1, 1)
    }

    fn construct(&self) -> &'static str {
        "a function call"
    }
}

/// What is started: it counts itself and no more, so that one that was lost is a wrong answer.
fn nothing() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_one_that_is_started_is_joined() {
        let executors = [
            "sequential",
            "threads",
            "threads:static",
            "rayon",
            "async",
            "async:current-thread",
            "async:blocking",
        ];
        let count = [("count".to_owned(), "50".to_owned())];
        let parameters = DEFINITION.parameters("quick", &count).expect("known");
        let helper = Path::new("/nonexistent");
        for executor in executors {
            for workers in [1, 3, 200] {
                let context =
                    ProbeContext { parameters: &parameters, seed: 1, executor, workers, helper };
                let mut spawn = Spawn::start(&context).expect("started");
                for _ in 0..2 {
                    let answer = spawn.sample().expect("a sample").to_json().to_string();
                    assert_eq!(answer, r#"{"tasks":50}"#, "{executor} x {workers}");
                }
                spawn.stop().expect("stopped");
            }
        }
    }
}
