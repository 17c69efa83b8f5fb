//! Tasks that fail in every way: the run goes on, the cell has its reason, nothing is left behind.

mod common;

use std::time::{Duration, Instant};

use common::{own_workload, processes_with, record, run_in};
use manyhands_record::FailureKind;

/// A run of `faulty` beside a sound workload; gives every executor's failure.
fn failures(how: &str, more: &[&str]) -> Vec<(String, FailureKind, String)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let how_parameter = format!("how={how}");
    let mut arguments = vec![
        "run",
        "faulty",
        "collatz",
        "-p",
        &how_parameter,
        "-p",
        "limit=5000",
        "-w",
        "2",
        "--rounds",
        "1",
        "--timeout",
        "2s",
        "--out",
        "out",
    ];
    arguments.extend(more);
    let ran = run_in(folder.path(), &own_workload(), &arguments);
    let expected = if how == "wrong" { 3 } else { 1 };
    let ran = ran.expect(expected);
    let record = record(&folder.path().join("out"));
    for cell in record.cells.iter().filter(|cell| cell.id.workload == "collatz") {
        assert!(cell.failure().is_none(), "{}: {:?}", common::label(cell), cell.failure());
        assert_eq!(cell.launches.len(), 2, "{}: one for time, one for memory", common::label(cell));
    }
    let faulty = record.cells.iter().filter(|cell| cell.id.workload == "faulty");
    let failed: Vec<_> = faulty
        .filter_map(|cell| {
            let failure = cell.failure()?;
            assert!(ran.stdout.contains(&failure.reason[..20]), "the table shows the reason");
            Some((cell.id.executor.clone(), failure.kind, failure.reason.clone()))
        })
        .collect();
    assert!(!failed.is_empty());
    failed
}

const IN_WORKERS: [&str; 6] =
    ["-p", "where=workers", "-e", "sequential,threads,processes", "--seed", "1"];

#[test]
fn a_panic_ends_its_cell_with_its_message_in_every_executor() {
    let every = "sequential,threads,threads:static,threads:spawn,processes,processes:fork,\
                 processes:shm,rayon,async,async:pull,async:current-thread,async:blocking";
    let failed = failures("panic", &["-e", every]);
    assert_eq!(failed.len(), 12);
    for (executor, kind, reason) in failed {
        assert_eq!(kind, FailureKind::Panic, "{executor}: {reason}");
        assert!(reason.contains("it was told to panic"), "{executor}: {reason}");
    }
}

#[test]
fn an_abort_is_named_by_its_signal() {
    for (executor, kind, reason) in failures("abort", &[]) {
        assert_eq!(kind, FailureKind::Died, "{executor}: {reason}");
        assert!(reason.contains("SIGABRT"), "{executor}: {reason}");
    }
}

#[test]
fn an_exit_is_named_by_its_code() {
    for (executor, kind, reason) in failures("exit", &[]) {
        assert_eq!(kind, FailureKind::Died, "{executor}: {reason}");
        assert!(reason.contains("code 3"), "{executor}: {reason}");
    }
}

#[test]
fn a_hang_is_ended_by_the_time_out() {
    for (executor, kind, reason) in failures("hang", &["-e", "threads,processes,async"]) {
        assert_eq!(kind, FailureKind::TimedOut, "{executor}: {reason}");
        assert!(reason.contains("2s"), "{executor}: {reason}");
    }
}

#[test]
fn a_worker_process_that_dies_is_noticed_at_once_and_named() {
    let began = Instant::now();
    let failed = failures("abort", &IN_WORKERS);
    assert_eq!(failed.len(), 1, "{failed:?}");
    let (executor, kind, reason) = &failed[0];
    assert_eq!((executor.as_str(), *kind), ("processes", FailureKind::Died), "{reason}");
    assert!(reason.contains("worker") && reason.contains("SIGABRT"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(60), "not by a time-out of a time-out");
}

#[test]
fn a_wrong_answer_fails_the_cell_and_the_run() {
    let failed = failures("wrong", &IN_WORKERS);
    let (executor, kind, reason) = &failed[0];
    assert_eq!((executor.as_str(), *kind), ("processes", FailureKind::WrongAnswer), "{reason}");
    assert!(reason.contains("tasks is 101, expected 100"), "{reason}");
}

#[test]
fn an_error_of_every_executor_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["run", "faulty", "-p", "how=error", "--rounds", "1", "--out", "out"];
    let ran = run_in(folder.path(), &own_workload(), &arguments).expect(1);
    ran.complains_of(&["task 7 failed", "it was told to fail"]);
}

#[test]
fn nothing_is_left_behind_by_a_cell_that_hangs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mark = format!("MANYHANDS_TEST={}", std::process::id());
    let (name, value) = mark.split_once('=').expect("a pair");
    let status = std::process::Command::new(own_workload())
        .args(["run", "faulty", "-p", "how=hang,where=workers", "-e", "processes,processes:shm"])
        .args(["-w", "3", "--rounds", "1", "--timeout", "1s", "--out", "out"])
        .current_dir(folder.path())
        .env(name, value)
        .output()
        .expect("it starts")
        .status;
    assert_eq!(status.code(), Some(1));
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
}
