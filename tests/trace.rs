//! Trace mode and open loop, by launches and by the whole program.

mod common;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use common::{manyhands, run_in};
use manyhands::Interrupt;
use manyhands::executors::ExecutorName;
use manyhands::run::launch::{Launcher, Order};
use manyhands::run::options::Options;
use manyhands::run::plan::{Group, PlannedCell};
use manyhands_record::trace::{Event, read};
use manyhands_record::{Cell, Chunk, Launch, Mode, Record, Shares, Trace};

/// A workload with its parameters.
type Work<'a> = (&'a str, &'a [(&'a str, &'a str)]);

const SLEEP: Work<'_> = ("sleep", &[("tasks", "40"), ("delay", "2ms")]);
const FETCH: Work<'_> = ("fetch", &[("requests", "24"), ("delay", "3ms")]);
const PRIMES: Work<'_> = ("primes", &[("limit", "400000"), ("block", "10000")]);

/// Launches a cell in trace mode, its files in `folder`.
fn launch(
    folder: &Path,
    (workload, changes): Work<'_>,
    (executor, workers): (ExecutorName, u32),
    rate: Option<u32>,
) -> Launch {
    let catalogue = manyhands::catalogue();
    let entry = *catalogue.get(workload).expect("known");
    let texts: Vec<_> = changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let parameters = entry.definition.parameters("quick", &texts).expect("known parameters");
    let options = Options { preset: "quick".to_owned(), seed: 7, ..Options::default() };
    let group =
        Group::new(entry, parameters, &options, &folder.join("input")).expect("generated input");
    let workers = NonZeroU32::new(workers).expect("positive");
    let mut id = group.cell_id(executor, workers, Chunk::Auto);
    id.rate = rate;
    let cell = PlannedCell { group: 0, executor: executor.into(), workers, id };
    let interrupt = Interrupt::install().expect("signal handlers");
    let program = manyhands();
    let launcher = Launcher { program: &program, seed: 7, interrupt: &interrupt };
    let order = Order {
        group: &group,
        cell: &cell,
        mode: Mode::Trace,
        reference: None,
        timeout: Duration::from_secs(60),
        start_timeout: Duration::from_secs(60),
        slice: Duration::ZERO,
        samples: 1,
        hurried: false,
        sequence: 42,
        folder: Some(folder),
    };
    let launched = launcher.launch(&order).expect("not interrupted").launch;
    if let Some(failure) = &launched.failure {
        panic!("{workload} {executor}: {}\n{:?}", failure.reason, failure.log);
    }
    launched
}

/// The trace and the events of a launch.
fn traced(
    work: Work<'_>,
    on: (ExecutorName, u32),
    rate: Option<u32>,
) -> (Launch, Trace, Vec<Event>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let launch = launch(folder.path(), work, on, rate);
    let trace = launch.trace.clone().expect("a traced launch");
    assert_eq!(trace.file.as_deref(), Some("traces/0042.ndjson.gz"));
    let events = read(folder.path(), &trace).expect("a sound file");
    (launch, trace, events)
}

#[track_caller]
fn adds_up(shares: &Shares) {
    let parts = [
        shares.computing_ns,
        shares.waiting_ns,
        shares.dispatch_ns,
        shares.imbalance_ns,
        shares.idle_ns,
    ];
    let sum = parts.iter().sum::<u64>() as i64 + shares.residual_ns;
    assert_eq!(sum, shares.wall_ns as i64, "{shares:?}");
    // Tasks run inside the sample, so little more than nothing can be negative.
    assert!(shares.residual_ns > -(shares.wall_ns as i64) / 100, "{shares:?}");
}

/// What must hold of every trace: each task once, inside the sample, one at a time on its lane.
#[track_caller]
fn is_sound(tasks: u64, launch: &Launch, trace: &Trace, events: &[Event]) {
    assert_eq!((trace.tasks, trace.kept, events.len() as u64), (tasks, tasks, tasks));
    assert_eq!((trace.latency.count(), trace.queue.count()), (tasks, tasks));
    let wall_ns = launch.samples[1].wall_ns;
    assert_eq!((launch.samples.len(), trace.shares.wall_ns), (2, wall_ns));
    let numbers: HashSet<_> = events.iter().map(|event| (event.phase, event.task)).collect();
    assert_eq!(numbers.len() as u64, tasks);
    let mut lanes: HashMap<u32, u64> = HashMap::new();
    for event in events {
        assert!(event.queued_ns <= event.start_ns && event.start_ns <= event.end_ns, "{event:?}");
        assert!(event.end_ns <= wall_ns && event.cpu_ns <= event.ran_ns(), "{event:?}");
        let free_ns = lanes.insert(event.lane, event.end_ns).unwrap_or(0);
        assert!(event.start_ns >= free_ns, "{event:?} on a lane that is taken until {free_ns}");
    }
    assert!(lanes.len() as u32 <= trace.shares.lanes, "{lanes:?} {:?}", trace.shares);
    adds_up(&trace.shares);
}

#[test]
fn every_task_is_seen_once_under_every_executor() {
    for (work, tasks) in [(SLEEP, 40), (FETCH, 24), (PRIMES, 40)] {
        for executor in ExecutorName::ALL {
            let workers = if executor == ExecutorName::Sequential { 1 } else { 3 };
            let (launch, trace, events) = traced(work, (executor, workers), None);
            is_sound(tasks, &launch, &trace, &events);
            assert_eq!(trace.shares.lanes, workers, "{} {executor}", work.0);
            let processes: HashSet<_> = events.iter().map(|event| event.process).collect();
            let pool = executor.is_process_pool();
            assert!(pool || processes.len() == 1, "{executor}: {processes:?}");
        }
    }
}

/// CPU time and delays, which are the same however busy the machine is.
#[test]
fn computing_is_the_cpu_time_of_primes_and_waiting_the_delays_of_sleep() {
    use ExecutorName as Name;
    for executor in [Name::Threads, Name::Async, Name::Processes] {
        let (launch, trace, _) = traced(PRIMES, (executor, 1), None);
        let (used_ns, shares) = (launch.samples[1].cpu_ns().expect("known"), trace.shares);
        let (computing_ns, lanes) = (shares.computing_ns, u64::from(shares.lanes));
        assert!(computing_ns * lanes > used_ns / 2, "{executor}: {used_ns} {shares:?}");
        let sleep = traced(SLEEP, (executor, 1), None).1.shares;
        assert!(sleep.waiting_ns >= 40 * 2_000_000 * 9 / 10, "{executor}: {sleep:?}");
        assert!(sleep.computing_ns < sleep.waiting_ns / 2, "{executor}: {sleep:?}");
    }
}

#[test]
fn lanes_that_no_task_is_left_for_are_idle() {
    let work = ("sleep", &[("tasks", "2"), ("delay", "20ms")] as &[_]);
    let shares = traced(work, (ExecutorName::Threads, 4), None).1.shares;
    // Two of four lanes, for as long as the phase lasts.
    assert!(shares.idle_ns >= 10_000_000 && shares.lanes == 4, "{shares:?}");
}

#[test]
fn futures_overlap_on_their_thread_and_never_on_their_lane() {
    let (launch, trace, events) = traced(SLEEP, (ExecutorName::AsyncCurrentThread, 20), None);
    is_sound(40, &launch, &trace, &events);
    let threads: HashSet<_> = events.iter().map(|event| event.thread).collect();
    assert_eq!(threads.len(), 1);
    let overlap = events.windows(2).any(|pair| pair[1].start_ns < pair[0].end_ns);
    assert!(overlap, "{events:?}");
}

#[test]
fn in_an_open_loop_no_task_starts_before_it_is_due_and_none_is_left_out() {
    use ExecutorName as Name;
    for executor in [Name::Threads, Name::Async, Name::AsyncCurrentThread, Name::ProcessesShm] {
        let (launch, trace, events) = traced(SLEEP, (executor, 4), Some(1_000));
        is_sound(40, &launch, &trace, &events);
        for event in &events {
            let step = event.queued_ns.abs_diff(events[0].queued_ns + event.task * 1_000_000);
            assert!(step < 1_000_000, "{executor}: {event:?}");
        }
        let card = launch.card.expect("a sound launch has one");
        assert_eq!(card.chunk, 1);
        assert!(card.notes["arrivals"].starts_with("1000 per second"), "{card:?}");
    }
}

#[test]
fn in_an_open_loop_a_slow_server_is_paid_for_by_everybody_behind() {
    // One worker can do 100 tasks in a second, and 1000 come: the last one waits for the others.
    let work = ("sleep", &[("tasks", "30"), ("delay", "10ms")] as &[_]);
    let (_, open, _) = traced(work, (ExecutorName::Threads, 1), Some(1_000));
    let (_, closed, _) = traced(work, (ExecutorName::Threads, 1), None);
    let last = open.latency.quantile(1.0).expect("thirty tasks");
    assert!(last >= 300_000_000 - 29_000_000, "{last}");
    let median = closed.latency.quantile(0.5).expect("thirty tasks");
    assert!(median < last / 2, "a closed loop hides it: {median} {last}");
}

/// `report --format trace` of a record with one traced cell, made by hand around a real launch.
#[test]
fn a_traced_record_is_exported_for_perfetto() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let launch = launch(folder.path(), SLEEP, (ExecutorName::AsyncCurrentThread, 8), None);
    write_record(folder.path(), vec![Launch { sequence: 42, ..launch }]);
    let at = |arguments: &[&str]| run_in(folder.path(), &manyhands(), arguments);
    let shown = at(&["report", ".", "--format", "trace"]).expect(0).stdout;
    assert_eq!(shown.trim_end(), "trace  ./trace.json.gz");
    let packed = std::fs::read(folder.path().join("trace.json.gz")).expect("written");
    assert_eq!(packed[..2], [0x1f, 0x8b], "gzip");
    let text = at(&["report", ".", "--format", "trace", "--out", "-"]).expect(0).stdout;
    let document: serde_json::Value = serde_json::from_str(&text).expect("one document");
    let events = document["traceEvents"].as_array().expect("an array");
    let of = |ph: &str| events.iter().filter(|e| e["ph"] == ph).map(|e| e["id"].as_str()).collect();
    let (begins, ends): (HashSet<_>, HashSet<_>) = (of("b"), of("e"));
    assert_eq!(begins.len(), 40, "futures that wait on one thread overlap");
    assert_eq!(begins, ends);
    assert!(begins.contains(&Some("42.0.39")), "{begins:?}");
}

#[test]
fn a_record_without_traces_or_without_its_files_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_record(folder.path(), vec![]);
    let at = |arguments: &[&str]| run_in(folder.path(), &manyhands(), arguments);
    let trace = ["report", ".", "--format", "trace"];
    at(&trace).expect(2).complains_of(&["no launch of this record was traced", "run --trace"]);
    let trace_only = Trace { file: Some("traces/0001.ndjson.gz".into()), ..Trace::default() };
    let gone = Launch { mode: Mode::Trace, trace: Some(trace_only), ..Launch::default() };
    write_record(folder.path(), vec![gone]);
    at(&trace).expect(2).complains_of(&["traces/0001.ndjson.gz", "measure again"]);
    at(&["report", ".", "--format", "pdf"]).expect(2);
}

/// A record of a real run of one small cell, with these launches as a further one's.
fn write_record(folder: &Path, launches: Vec<Launch>) {
    let small = ["run", "squares", "-e", "threads", "-w", "2", "-p", "n=1000", "--rounds", "1"];
    let own = folder.join("run");
    let _ = std::fs::remove_dir_all(&own);
    let out = own.to_str().expect("a plain path");
    run_in(folder, &manyhands(), &[&small[..], &["--out", out]].concat()).expect(0);
    let mut record = Record::read(&own).expect("a record");
    let mut cell = Cell { launches, ..record.cells[0].clone() };
    cell.id.executor = "async:current-thread".to_owned();
    record.cells.push(cell);
    std::fs::write(folder.join("record.json"), record.to_json()).expect("writable");
}

#[test]
fn a_run_traces_every_cell_once_and_keeps_it_out_of_its_estimates() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let work = ["run", "sleep", "-p", "tasks=20,30", "-p", "delay=1ms", "-e", "threads,processes"];
    let how = ["-w", "2", "--rounds", "1", "--trace", "--rate", "2000", "--out", "run"];
    run_in(folder.path(), &manyhands(), &[&work[..], &how[..]].concat()).expect(0);
    let folder = folder.path().join("run");
    let record = common::record(&folder);
    assert_eq!(record.cells.len(), 4);
    for cell in &record.cells {
        let [time, memory, trace] = &cell.launches[..] else { panic!("{:?}", cell.launches) };
        assert_eq!([time.mode, memory.mode, trace.mode], [Mode::Time, Mode::Memory, Mode::Trace]);
        assert_eq!(cell.id.rate, Some(2000));
        let seen = trace.trace.as_ref().expect("traced");
        assert_eq!(read(&folder, seen).expect("a file").len().to_string(), {
            cell.id.parameters["tasks"].clone()
        });
        assert!(manyhands_record::trace::cost(cell).is_some_and(|cost| cost > 0.0));
    }
    let refused = run_in(&folder, &manyhands(), &["run", "primes", "--rate", "10"]);
    refused.expect(2).complains_of(&["--rate", "primes is of kind cpu"]);
}
