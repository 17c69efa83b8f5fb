//! The process pools: same answers as a plain loop, deaths noticed and named, nobody left behind.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use manyhands::executors::{ExecutorName, Recipe, Running, Setup, start};
use manyhands_contract::{Answer, Code, Context, Parameters, Storage};
use manyhands_record::{Chunk, Failure, FailureKind};

const POOLS: [ExecutorName; 2] = [ExecutorName::Processes, ExecutorName::ProcessesShm];

fn storage_for(name: ExecutorName) -> Arc<Storage> {
    Arc::new(match name {
        ExecutorName::ProcessesShm => Storage::shared().expect("a memory file"),
        _ => Storage::private(),
    })
}

/// Tasks that only say that they ran.
const NO_OPS: &[(&str, &str)] = &[("delay", "0s")];

/// Rows of a picture that each take hours.
const HOURS: (&str, &[(&str, &str)]) =
    ("mandelbrot", &[("width", "100000"), ("height", "20"), ("max-iterations", "1000000000")]);

/// Starts a workload under an executor.
fn pool(
    name: ExecutorName,
    work: (&str, &[(&str, &str)]),
    workers: usize,
    chunk: Chunk,
) -> Result<Box<dyn Running>, Failure> {
    pool_of(PathBuf::from(env!("CARGO_BIN_EXE_manyhands")), name, work, workers, chunk)
}

fn pool_of(
    program: PathBuf,
    name: ExecutorName,
    (workload, changes): (&str, &[(&str, &str)]),
    workers: usize,
    chunk: Chunk,
) -> Result<Box<dyn Running>, Failure> {
    let storage = storage_for(name);
    let catalogue = manyhands::catalogue();
    let entry = catalogue.get(workload).expect("a workload of the program");
    let parameters = Parameters::from_texts(entry.definition, changes.iter().copied());
    let parameters = parameters.expect("within limits");
    let context = Context {
        parameters: &parameters,
        seed: 1,
        input: &[],
        storage: &storage,
        helper: &program,
        handover: None,
    };
    let Code::Map { prepare, .. } = entry.code else { panic!("{workload} is a list of tasks") };
    let work = prepare(&context).expect("needs no input");
    let recipe = Recipe {
        program: program.clone(),
        workload: workload.to_owned(),
        parameters: parameters.texts(),
        seed: 1,
        input: Vec::new(),
        handover: work.handover(),
        watch: None,
    };
    let workers = NonZeroUsize::new(workers).expect("positive");
    let setup = Setup { work: Arc::new(work), workers, storage, recipe: Some(recipe) };
    start(name, setup, chunk, None)
}

/// The answer to `tasks` no-ops, twice.
fn answer(name: ExecutorName, tasks: usize, workers: usize, chunk: Chunk) -> Answer {
    let tasks = tasks.to_string();
    let changes = [NO_OPS, &[("tasks", tasks.as_str())]].concat();
    let mut running = pool(name, ("sleep", &changes), workers, chunk).expect("starts");
    let first = running.sample().expect("a sound sample");
    running.reset().expect("resets");
    assert_eq!(running.sample().expect("a second sample"), first);
    running.stop().expect("ends");
    first
}

/// Ids of this process's children that are workers of a pool started by this test's thread: the
/// kernel lists children by the thread that made them.
fn children() -> Vec<i32> {
    std::fs::read_to_string("/proc/thread-self/children")
        .expect("this kernel lists children")
        .split_whitespace()
        .map(|id| id.parse().expect("a number"))
        .collect()
}

fn kill(id: i32) {
    let killed = std::process::Command::new("kill").args(["-9", &id.to_string()]).status();
    assert!(killed.expect("kill is there").success());
}

/// The failure of a sample, which must come well before the tasks could have run.
fn failure_of(running: &mut dyn Running) -> Failure {
    let began = Instant::now();
    let failure = running.sample().expect_err("a worker is dead");
    assert!(began.elapsed() < Duration::from_secs(20), "noticed at once");
    failure
}

#[test]
fn every_number_of_workers_and_every_chunk_gives_the_sequential_answer() {
    let expected = answer(ExecutorName::Sequential, 1000, 1, Chunk::Auto);
    for name in POOLS {
        for workers in [1, 2, 3, 7] {
            for chunk in [Chunk::Auto, Chunk::Tasks(1), Chunk::Tasks(999)] {
                let found = answer(name, 1000, workers, chunk);
                assert_eq!(found, expected, "{name} x {workers}, {chunk:?}");
            }
        }
    }
}

#[test]
fn fewer_tasks_than_workers_and_no_tasks_at_all_are_fine() {
    for name in POOLS {
        for tasks in [0, 1, 2] {
            let expected = answer(ExecutorName::Sequential, tasks, 1, Chunk::Auto);
            assert_eq!(answer(name, tasks, 5, Chunk::Tasks(1)), expected, "{name}, {tasks}");
        }
    }
}

#[test]
fn many_more_results_than_a_ring_or_a_socket_holds_all_arrive() {
    for name in POOLS {
        let expected = answer(ExecutorName::Sequential, 200_000, 1, Chunk::Auto);
        assert_eq!(answer(name, 200_000, 3, Chunk::Tasks(1)), expected, "{name}");
    }
}

#[test]
fn a_worker_that_is_killed_between_samples_is_named() {
    for name in POOLS {
        let mut running = pool(name, ("primes", &[]), 3, Chunk::Tasks(1)).expect("starts");
        let victim = children()[1];
        kill(victim);
        let failure = failure_of(&mut *running);
        assert_eq!(failure.kind, FailureKind::Died);
        let words = format!("worker 1 (process {victim}) was killed by signal 9 (SIGKILL)");
        assert!(failure.reason.starts_with(&words), "{name}: {}", failure.reason);
        drop(running);
        assert!(children().is_empty(), "{name} left a worker behind");
    }
}

#[test]
fn a_worker_that_is_killed_at_work_is_named_with_its_tasks() {
    for name in POOLS {
        let mut running = pool(name, HOURS, 2, Chunk::Tasks(1)).expect("starts");
        let victim = children()[0];
        let killer = std::thread::spawn(move || {
            wait_until_busy(victim);
            kill(victim);
        });
        let failure = failure_of(&mut *running);
        killer.join().expect("the killer kills");
        let words =
            format!("worker 0 (process {victim}) was killed by signal 9 (SIGKILL) with tasks");
        assert!(failure.reason.starts_with(&words), "{name}: {}", failure.reason);
        // The other worker still has hours to go and is not waited for.
        let began = Instant::now();
        running.stop().expect_err("it had to be killed");
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(children().is_empty(), "{name} left a worker behind");
    }
}

/// Until a process has used 0.2 s of CPU time, or should have long ago.
fn wait_until_busy(id: i32) {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("it lives");
        let after_name = stat.rsplit(')').next().expect("a name in parentheses");
        let user = after_name.split_whitespace().nth(11).expect("utime");
        user.parse::<u64>().expect("a number")
    };
    let (before, began) = (ticks(), Instant::now());
    while ticks() < before + 20 && began.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
}

#[test]
fn workers_report_their_own_cpu_time() {
    for name in POOLS {
        let mut running =
            pool(name, ("primes", &[("limit", "3000000")]), 2, Chunk::Auto).expect("starts");
        let before = running.workers_usage().expect("all alive");
        running.sample().expect("a sound sample");
        let used = running.workers_usage().expect("all alive").since(&before);
        // Three million numbers: a cycle for each is 0.5 ms at 6 GHz.
        assert!(used.user_ns + used.system_ns > 500_000, "{name}: {used:?}");
        running.stop().expect("ends");
    }
}

#[test]
fn a_program_that_is_no_worker_is_refused_with_its_name() {
    for name in POOLS {
        let program = PathBuf::from("/nonexistent/program");
        let failure =
            pool_of(program, name, ("sleep", NO_OPS), 2, Chunk::Auto).err().expect("not there");
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(failure.reason.contains("/nonexistent/program"), "{}", failure.reason);
        let program = PathBuf::from("/bin/true");
        let failure =
            pool_of(program, name, ("sleep", NO_OPS), 2, Chunk::Auto).err().expect("no worker");
        assert_eq!(failure.kind, FailureKind::Died);
        assert!(failure.reason.contains("worker_hook"), "{}", failure.reason);
    }
}

#[test]
fn a_process_with_threads_is_not_forked() {
    // Tests run in threads.
    let forked = pool(ExecutorName::ProcessesFork, ("sleep", NO_OPS), 2, Chunk::Auto);
    let failure = forked.err().expect("refused");
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(failure.reason.contains("more than one thread"), "{}", failure.reason);
}
