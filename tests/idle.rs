//! What `idle` says that a waiting future weighs, against the same measured without the harness;
//! and what it refuses.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::run_in;
use manyhands_record::{Launch, Mode, Record};
use tokio::sync::Notify;

/// Enough that what a runtime and a heap cost once does not show.
const FUTURES: u64 = 100_000;

/// `VmRSS` of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has a VmRSS");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Bytes for each of so many tasks of tokio, all on one `Notify`, in this very process.
fn by_hand(count: u64) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    let event = Arc::new(Notify::new());
    let before = resident();
    for _ in 0..count {
        let event = Arc::clone(&event);
        runtime.spawn(async move { event.notified().await });
    }
    // Until nothing changes any more: all have been polled and wait.
    let mut after = 0;
    while after != resident() {
        after = resident();
        std::thread::sleep(Duration::from_millis(100));
    }
    (after - before) as f64 / count as f64
}

fn memory_launch(record: &Record) -> &Launch {
    let mut launches = record.cells[0].launches.iter();
    launches.find(|launch| launch.mode == Mode::Memory).expect("one launch for memory")
}

#[test]
#[cfg(target_os = "linux")]
fn a_waiting_future_weighs_what_it_weighs_without_the_harness() {
    let by_hand = by_hand(FUTURES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let workers = FUTURES.to_string();
    let arguments = ["run", "idle", "-e", "async", "-w", &workers, "--rounds", "1", "--json"];
    let ran = run_in(folder.path(), &common::manyhands(), &arguments).expect(0);
    let record: Record = serde_json::from_str(&ran.stdout).expect("a record");
    let launch = memory_launch(&record);
    let memory = launch.memory.as_ref().expect("memory was read");
    let (peak, before) = (memory.peak.expect("a peak"), memory.before.expect("a start"));
    let ours = (peak - before) as f64 / FUTURES as f64;
    let ratio = ours / by_hand;
    assert!((0.9..1.1).contains(&ratio), "{ours:.1} bytes a future, by hand {by_hand:.1}");
}

#[test]
fn more_than_the_experiment_carries_is_a_row_that_names_the_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["run", "idle", "-e", "processes", "-w", "1001", "--rounds", "1", "--json"];
    let ran = run_in(folder.path(), &common::manyhands(), &arguments).expect(6);
    assert!(ran.stdout.contains("idle's own limit of 1000 processes"), "{}", ran.stdout);
}

#[test]
fn rayon_says_how_many_threads_it_can_have() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["run", "squares", "-e", "rayon", "-w", "70000", "--rounds", "1", "--json"];
    let ran = run_in(folder.path(), &common::manyhands(), &arguments).expect(6);
    assert!(ran.stdout.contains("the 65535 threads that rayon can have"), "{}", ran.stdout);
}

#[test]
fn a_deadlock_fails_the_cell_with_who_waits_for_whom() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let executors = "threads,processes,rayon,async,async:current-thread,async:blocking";
    let arguments =
        ["run", "deadlock", "-p", "order=opposite", "-e", executors, "-w", "2", "--rounds", "1"];
    let arguments: Vec<_> = arguments.into_iter().chain(["--json"]).collect();
    let ran = run_in(folder.path(), &common::manyhands(), &arguments).expect(1);
    let record: Record = serde_json::from_str(&ran.stdout).expect("a record");
    assert_eq!(record.cells.len(), 6);
    for cell in &record.cells {
        let failure = cell.failure().expect("a deadlock");
        let expected = "deadlock: worker 0 holds lock A and waits for lock B; worker 1 holds lock \
                        B and waits for lock A";
        assert!(failure.reason.starts_with(expected), "{:?}: {}", cell.id, failure.reason);
    }
}
