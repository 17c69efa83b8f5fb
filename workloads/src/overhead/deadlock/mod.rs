//! `deadlock`: two tasks, two locks, and somebody who watches who waits for whom.

mod blocking;
mod futures;
mod graph;
mod processes;

use manyhands_contract::{
    Answer, Definition, Experiment, Kind, Parameter, ParameterKind, Parameters, Preset, Probe,
    ProbeContext, ProbeError, Shape, TaskError,
};

pub(super) use processes::main;

use graph::Lock;

/// What each account holds before a sample: enough that no transfer empties one.
const START: u64 = 1 << 40;

/// The tasks of a sample: one transfers from A to B, the other from B to A.
const TASKS: usize = 2;

/// `deadlock`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "deadlock",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Probe,
    summary: "two tasks take two locks, in the same order or in opposite ones: who waits for whom",
    about: "Two tasks transfer money between two accounts, each behind a lock of its own, and a \
            transfer holds both. One task goes from A to B, the other from B to A. With \
            order=same both take lock A first, and all is well. With order=opposite each takes \
            first the account that it takes money from; they are made to meet there, each with \
            one lock in its hand, and neither can go on. Two threads in that state would wait \
            for ever in silence. Here each declares what it holds and what it waits for, and a \
            watchdog looks for a circle in these declarations: the sample ends, and the cell \
            fails with the circle as its reason. Futures in that state can be dropped, and their \
            locks come free; threads cannot, and are left behind until the process ends. Between \
            processes it is the kernel that refuses the lock that would close the circle. One \
            worker does one task after the other and cannot get into this.",
    task: "`transfers` times: take both locks, move money, release both",
    answer: "`transfers` made by both tasks; what accounts `a` and `b` hold in the end, from 2^40 \
             each: the first task moves 1 each time, the second 2",
    input: None,
    parameters: &[
        Parameter {
            name: "order",
            about: "whether both tasks take the locks in the same order",
            unit: "",
            kind: ParameterKind::Choice(&["same", "opposite"]),
            default: "same",
        },
        Parameter {
            name: "transfers",
            about: "how many each task makes",
            unit: "transfers",
            kind: ParameterKind::Integer { min: 1, max: 1_000_000_000 },
            default: "10000",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("transfers", "1000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("transfers", "100000")] },
    ],
    grows: Some("transfers"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// The experiment.
#[derive(Debug)]
pub struct Deadlock;

impl Probe for Deadlock {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn unsupported(executor: &str, _parameters: &Parameters) -> Option<String> {
        let reason = match executor {
            "sequential"
            | "threads"
            | "processes"
            | "rayon"
            | "async"
            | "async:current-thread"
            | "async:blocking" => return None,
            "threads:static" => {
                "a scope waits for its threads, and two that are stuck never end: nobody outside \
                 could end the sample; see threads"
            }
            "threads:spawn" => "threads starts a thread per task here already: see threads",
            "processes:fork" => "file locks are the same for forked processes: see processes",
            "processes:shm" => {
                "a lock in shared memory knows no owner that the kernel could follow: see \
                 processes for locks that it does"
            }
            "async:pull" => "there are no chunks to pull: see async",
            _ => return Some(format!("deadlock has no form for {executor}")),
        };
        Some(reason.to_owned())
    }

    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError> {
        if let Some(reason) = Self::unsupported(context.executor, context.parameters) {
            return Err(ProbeError::Unsupported(reason));
        }
        let order = match context.parameters.text("order") {
            "opposite" => Order::Opposite,
            _ => Order::Same,
        };
        let transfers = context.parameters.integer("transfers");
        // Two tasks cannot keep more workers busy.
        let plan = Plan { order, transfers, workers: context.workers.min(TASKS) };
        Ok(match context.executor {
            "sequential" => Box::new(blocking::Sequential(Plan { workers: 1, ..plan })),
            "threads" => Box::new(blocking::Threads::start(plan)),
            "rayon" => Box::new(blocking::Rayon::start(plan)?),
            "async:blocking" => Box::new(blocking::Blocking::start(plan)?),
            "processes" => Box::new(processes::Processes::start(context.helper, plan)?),
            "async" => Box::new(futures::Futures::multi_thread(plan)?),
            _ => Box::new(futures::Futures::current_thread(plan)?),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Same,
    Opposite,
}

/// What a sample does.
#[derive(Debug, Clone, Copy)]
struct Plan {
    order: Order,
    transfers: u64,
    /// 1 or 2 tasks at once.
    workers: usize,
}

impl Plan {
    /// The locks that a task takes, first and second.
    fn locks(&self, task: usize) -> [Lock; 2] {
        match (self.order, task) {
            (Order::Opposite, 1) => [Lock::B, Lock::A],
            _ => [Lock::A, Lock::B],
        }
    }

    /// Whether the tasks wait for each other with one lock in hand each: with locks in the same
    /// order only one of them could have it.
    fn meets(&self) -> bool {
        self.order == Order::Opposite && self.workers == TASKS
    }

    fn answer(&self, done: u64, accounts: [u64; 2]) -> Answer {
        let [a, b] = accounts;
        Answer::new().count("transfers", done).count("a", a).count("b", b)
    }
}

/// One transfer: the first task moves 1 from A to B, the second 2 from B to A, so that neither
/// undoes what the other did.
fn transfer(task: usize, a: &mut u64, b: &mut u64) {
    if task == 0 {
        (*a, *b) = (*a - 1, *b + 1);
    } else {
        (*a, *b) = (*a + 2, *b - 2);
    }
}

/// Why a sample did not end: `worker 0 holds lock A and waits for lock B; worker 1 ...`.
fn deadlocked(cycle: &str) -> TaskError {
    TaskError(format!("deadlock: {cycle}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const EXECUTORS: [&str; 6] =
        ["sequential", "threads", "rayon", "async", "async:current-thread", "async:blocking"];

    fn start(executor: &str, order: &str, workers: usize) -> Box<dyn Experiment> {
        let changes = [("order", order), ("transfers", "100")];
        let changes = changes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let parameters = DEFINITION.parameters("quick", &changes).expect("known");
        let helper = Path::new("/nonexistent");
        let context = ProbeContext { parameters: &parameters, seed: 1, executor, workers, helper };
        Deadlock::start(&context).expect("started")
    }

    const ANSWER: &str = r#"{"transfers":200,"a":1099511627876,"b":1099511627676}"#;

    #[test]
    fn locks_in_one_order_do_no_harm() {
        for executor in EXECUTORS {
            for workers in [1, 2, 3] {
                let mut experiment = start(executor, "same", workers);
                for _ in 0..3 {
                    let answer = experiment.sample().expect("no deadlock").to_json().to_string();
                    assert_eq!(answer, ANSWER, "{executor} x {workers}");
                }
                experiment.stop().expect("stopped");
            }
        }
    }

    #[test]
    fn one_worker_cannot_meet_another() {
        for executor in EXECUTORS {
            let mut experiment = start(executor, "opposite", 1);
            let answer = experiment.sample().expect("no deadlock").to_json().to_string();
            assert_eq!(answer, ANSWER, "{executor}");
            experiment.stop().expect("stopped");
        }
    }

    #[test]
    fn a_deadlock_ends_the_sample_with_who_waits_for_whom() {
        for executor in EXECUTORS.into_iter().filter(|executor| *executor != "sequential") {
            let mut experiment = start(executor, "opposite", 2);
            let error = experiment.sample().expect_err("a deadlock");
            let expected = "deadlock: worker 0 holds lock A and waits for lock B; worker 1 holds \
                            lock B and waits for lock A";
            assert!(error.0.starts_with(expected), "{executor}: {error}");
            // Whatever is stuck keeps nobody: neither a drop nor a stop waits for it.
            experiment.stop().expect("stopped");
        }
    }
}
