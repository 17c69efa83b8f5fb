//! `manyhands compare`, on records that were made, not measured: their truth is known.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{Ran, manyhands, run_in};
use manyhands_record::schema::SCHEMA;
use manyhands_record::{
    Cell, CellId, Chunk, Failure, FailureKind, Header, Launch, Machine, Mode, Record, Sample,
    Status,
};

fn record(cells: Vec<Cell>) -> Record {
    let header = Header {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        started: "2026-01-31T12:00:00Z".to_owned(),
        command: vec!["run".to_owned(), "primes".to_owned()],
        seed: 42,
        rounds: 6,
        samples: 1,
        budget_ns: None,
        precision: None,
        weak: None,
        granularity: None,
        aa: false,
        machine: Machine { processor: Some("Steady 1000".to_owned()), ..Machine::default() },
        doubts: vec![],
        workloads: vec![],
        executors: vec![],
    };
    Record { header, status: Status::Complete, references: vec![], cells }
}

/// A cell whose launches take these thousands of nanoseconds.
fn cell(executor: &str, walls: &[u64]) -> Cell {
    let id = CellId {
        workload: "primes".to_owned(),
        version: 1,
        parameters: BTreeMap::from([("limit".to_owned(), "1000".to_owned())]),
        input: None,
        executor: executor.to_owned(),
        workers: 2,
        chunk: Chunk::Auto,
        label: None,
        rate: None,
    };
    let launch = |(round, wall): (u32, &u64)| Launch {
        mode: Mode::Time,
        round,
        sequence: round,
        samples: [3, 1].map(|n| Sample { wall_ns: n * wall * 1000, ..Sample::default() }).to_vec(),
        ..Launch::default()
    };
    Cell { id, bound: None, launches: (0..).zip(walls).map(launch).collect() }
}

fn failed(executor: &str) -> Cell {
    let reason = "it took longer than 10 s".to_owned();
    let failure = Failure { kind: FailureKind::TimedOut, reason, log: None };
    let launch = Launch { failure: Some(failure), ..Launch::default() };
    Cell { launches: vec![launch], ..cell(executor, &[]) }
}

const EVEN: [u64; 6] = [1000, 1010, 990, 1000, 1020, 980];

/// `EVEN` with its rounds in another order, in percent of it.
fn scaled(percent: u64) -> Vec<u64> {
    [990, 1020, 1000, 980, 1010, 1000].iter().map(|wall| wall * percent / 100).collect()
}

fn write(folder: &Path, name: &str, record: &Record) {
    fs::create_dir_all(folder.join(name)).expect("a folder");
    fs::write(folder.join(name).join("record.json"), record.to_json()).expect("writable");
}

/// Compares two records that lie in folders of their own.
fn compare(old: &Record, new: &Record, options: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "old", old);
    write(folder.path(), "new", new);
    let arguments = [&["compare", "old", "new/record.json"], options].concat();
    run_in(folder.path(), &manyhands(), &arguments)
}

#[test]
fn changes_are_told_in_a_table_of_eighty_columns() {
    let old = record(vec![
        cell("threads", &EVEN),
        cell("rayon", &EVEN),
        cell("async", &EVEN),
        cell("processes", &EVEN),
        cell("a-guest-with-a-name-that-is-much-too-long", &EVEN),
    ]);
    let new = record(vec![
        cell("threads", &scaled(130)),
        cell("rayon", &scaled(100)),
        cell("async", &scaled(80)),
        failed("processes"),
        cell("sequential", &EVEN),
        cell("a-guest-with-a-name-that-is-much-too-long", &EVEN),
    ]);
    let ran = compare(&old, &new, &[]).expect(1);
    let line = |word: &str| {
        let found = ran.stdout.lines().find(|line| line.starts_with(word));
        found.unwrap_or_else(|| panic!("no line for {word} in\n{}", ran.stdout)).to_owned()
    };
    assert!(line("threads").contains("1.00 ms  1.30 ms  1.30x ["), "{}", ran.stdout);
    assert!(line("threads").ends_with("slower") && line("async").ends_with("faster"));
    assert!(line("rayon").contains("tie; ") && line("rayon").ends_with(" % would show"));
    assert!(line("processes").contains("failed"), "{}", ran.stdout);
    assert!(line("5 cells compared: 1 slower, 1 faster, 2 ties").len() <= 80);
    assert!(ran.stdout.contains("Only in the new record: primes, sequential."), "{}", ran.stdout);
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_bound_decides_the_exit_code() {
    let old = record(vec![cell("threads", &EVEN), cell("rayon", &EVEN)]);
    let new = record(vec![cell("threads", &scaled(130)), cell("rayon", &scaled(100))]);
    let broken = compare(&old, &new, &["--fail-above", "5%"]).expect(4);
    let last = broken.stdout.lines().last();
    assert_eq!(last, Some("BOUND BROKEN: slower by more than 5 %: primes, threads."));
    let met = compare(&old, &new, &["--fail-above", "50%"]).expect(0);
    assert!(met.stdout.ends_with("Bound met: no cell became slower by more than 50 %.\n"));
    let unclear = compare(&old, &new, &["--fail-above", "30%"]).expect(5);
    assert!(unclear.stdout.contains("\nInconclusive: "), "{}", unclear.stdout);
    let gone = record(vec![failed("threads"), cell("rayon", &scaled(100))]);
    compare(&old, &gone, &["--fail-above", "0.5"]).expect(1);
    // Without a bound whatever changed is no failure.
    compare(&old, &new, &[]).expect(0);
}

#[test]
fn a_wrong_answer_a_failure_and_a_cell_that_is_gone_are_no_success() {
    let wrong = |executor: &str| {
        let mut cell = failed(executor);
        cell.launches[0].failure =
            Some(Failure { kind: FailureKind::WrongAnswer, reason: "7, not 8".into(), log: None });
        cell
    };
    let old = record(vec![cell("threads", &EVEN), cell("rayon", &EVEN), cell("async", &EVEN)]);
    let new = record(vec![cell("threads", &scaled(130)), wrong("rayon"), failed("async")]);
    for options in [&[][..], &["--fail-above", "5%"]] {
        let ran = compare(&old, &new, options).expect(3);
        for told in ["WRONG ANSWER, and not in the old record: primes, rayon.", "FAILED, and not"] {
            assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
        }
    }
    // What was so already is nobody's doing.
    compare(&new, &new, &[]).expect(0);
    let new = record(vec![cell("threads", &scaled(130)), cell("rayon", &EVEN), failed("async")]);
    compare(&old, &new, &["--fail-above", "5%"]).expect(1);
    let fewer = record(vec![cell("threads", &scaled(100))]);
    let ran = compare(&old, &fewer, &["--fail-above", "50%"]).expect(5);
    let told = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("primes, async, not in the new record; measure the same cells"),
        "{told}"
    );
    assert!(told.contains("1 cell compared"), "{told}");
    let slower = record(vec![cell("threads", &scaled(130))]);
    compare(&old, &slower, &["--fail-above", "5%"]).expect(4);
    compare(&old, &fewer, &[]).expect(0);
}

#[test]
fn json_is_one_document_with_every_cell() {
    let old = record(vec![cell("threads", &EVEN), failed("rayon")]);
    let new = record(vec![cell("threads", &scaled(130)), cell("rayon", &EVEN)]);
    let ran = compare(&old, &new, &["--json", "--fail-above", "5%"]).expect(4);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
    let cells = &document["workloads"][0]["cells"];
    assert_eq!(cells[0]["cell"]["executor"], "threads");
    assert_eq!(cells[0]["difference"]["verdict"], "slower");
    let ratio = cells[0]["difference"]["ratio"].as_f64().expect("a ratio");
    assert!((ratio - 1.3).abs() < 0.001, "{ratio}");
    assert_eq!(cells[1]["old_failure"]["kind"], "timed-out");
    assert_eq!(cells[1]["difference"], serde_json::Value::Null);
    assert_eq!(document["bound"]["state"], "broken");
    assert_eq!(document["bound"]["cells"][0]["executor"], "threads");
}

#[test]
fn records_of_different_machines_are_refused_unless_told_otherwise() {
    let old = record(vec![cell("threads", &EVEN)]);
    let mut new = record(vec![cell("threads", &EVEN)]);
    new.header.version = "0.2.0".to_owned();
    let ran = compare(&old, &new, &[]).expect(0);
    assert!(ran.stdout.contains("Note: manyhands: 0.1.0, then 0.2.0."), "{}", ran.stdout);
    new.header.machine.processor = Some("Fast 3000".to_owned());
    compare(&old, &new, &[]).expect(2).complains_of(&[
        "different machines",
        "processor Steady 1000 and Fast 3000",
        "--other-machine",
    ]);
    let ran = compare(&old, &new, &["--other-machine"]).expect(0);
    assert!(ran.stdout.contains("Fast 3000"), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_compared_is_told_in_one_line() {
    let (old, new) = (record(vec![cell("threads", &EVEN)]), record(vec![cell("rayon", &EVEN)]));
    compare(&old, &new, &[]).expect(2).complains_of(&["no cell in common"]);
    compare(&old, &old, &["--fail-above", "5"]).expect(2).complains_of(&["--fail-above", "5%"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "old", &old);
    let ran = run_in(folder.path(), &manyhands(), &["compare", "old", "nowhere"]);
    ran.expect(2).complains_of(&["nowhere"]);
}
