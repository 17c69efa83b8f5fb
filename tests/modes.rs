//! What kinds of runs there are beside the plain comparison: until it is precise, the machine
//! against itself, work that grows, some of the cores.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{label, manyhands, record, run, run_in};
use manyhands_record::{Mode, Record, Status};

fn run_small(folder: &Path, more: &[&str]) -> Record {
    let small = ["run", "spin", "-p", "tasks=64,steps=100", "--out", "out"];
    let arguments: Vec<&str> = small.iter().chain(more).copied().collect();
    run_in(folder, &manyhands(), &arguments).expect(0);
    record(&folder.join("out"))
}

fn rounds_of(record: &Record) -> Vec<usize> {
    record.cells.iter().map(|cell| cell.sound_launches(Mode::Time).count()).collect()
}

#[test]
fn a_run_ends_when_every_interval_is_narrow_enough() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Any six launches are this precise.
    let record = run_small(folder.path(), &["-e", "sequential,threads", "--precision", "99%"]);
    assert!(matches!(record.status, Status::Precise { rounds: 6.. }), "{:?}", record.status);
    assert_eq!(record.header.precision, Some(0.99));
}

#[test]
fn a_run_that_cannot_be_precise_spends_its_budget_on_more_rounds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let impossible = ["-e", "sequential", "--precision", "0.0001%", "--budget", "4s"];
    let record = run_small(folder.path(), &impossible);
    let Status::OutOfTime { rounds } = record.status else { panic!("{:?}", record.status) };
    assert!(rounds >= 6, "{rounds}");
    assert_eq!(rounds_of(&record), [rounds as usize]);
}

#[test]
fn asked_for_rounds_are_all_there_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = run_small(folder.path(), &["-e", "sequential", "--rounds", "2"]);
    assert_eq!((record.status.clone(), record.header.precision), (Status::Complete, None));
    assert_eq!(rounds_of(&record), [2]);
}

#[test]
fn an_aa_run_measures_every_cell_under_two_labels() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = run_small(folder.path(), &["--aa", "-e", "sequential,rayon", "--rounds", "1"]);
    assert!(record.header.aa);
    let mut pairs: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for cell in &record.cells {
        pairs.entry(label(cell)).or_default().push(cell.id.label.clone());
    }
    let both = vec![Some("A".to_owned()), Some("B".to_owned())];
    assert!(pairs.len() >= 2 && pairs.values().all(|labels| *labels == both), "{pairs:?}");
}

#[test]
fn under_weak_scaling_the_work_grows_with_the_workers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let weak = ["--weak", "-e", "sequential,threads", "-w", "1,2,3", "--rounds", "1"];
    let record = run_small(folder.path(), &weak);
    assert_eq!(record.header.weak.as_deref(), Some("tasks"));
    let cells: Vec<(String, &str)> =
        record.cells.iter().map(|c| (label(c), c.id.parameters["tasks"].as_str())).collect();
    let expected = [
        ("spin sequential x 1", "64"),
        ("spin threads x 1", "64"),
        ("spin threads x 2", "128"),
        ("spin threads x 3", "192"),
    ];
    let expected = expected.map(|(label, tasks)| (label.to_owned(), tasks));
    assert_eq!(cells, expected);
    let refused = run(&["run", "primes", "--weak"]).expect(2);
    refused.complains_of(&["primes has no parameter", "--weak"]);
}

#[test]
fn a_run_on_some_of_the_cores_sees_no_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = run_small(folder.path(), &["--cpus", "1", "-e", "async", "--rounds", "1"]);
    assert_eq!((record.header.machine.affinity, record.header.machine.usable_cores), (Some(1), 1));
    let cards: Vec<_> = record.cells.iter().filter_map(|c| c.launches[0].card.as_ref()).collect();
    assert!(!cards.is_empty() && cards.iter().all(|card| card.threads == 1), "{cards:?}");
    run(&["run", "spin", "--cpus", "60000"]).expect(2).complains_of(&["--cpus 60000", "cores"]);
}

#[test]
fn rates_are_for_work_that_waits() {
    run(&["run", "primes", "--rate", "10"]).expect(2).complains_of(&["--rate", "primes"]);
}

#[test]
fn counters_are_taken_where_the_time_is_not_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = run_small(folder.path(), &["-e", "threads", "-w", "2", "--rounds", "1"]);
    let cell = &record.cells[0];
    for launch in cell.sound_launches(Mode::Time) {
        let counted = |s: &manyhands_record::Sample| s.migrations.is_some() || s.hardware.is_some();
        assert!(!launch.samples.iter().any(counted), "counters disturb what is timed");
    }
    let memory = cell.sound_launches(Mode::Memory).next().expect("one launch watches memory");
    let sample = memory.samples.last().expect("it took samples");
    let reason = &record.header.machine.no_counters;
    assert_eq!(sample.hardware.is_none(), reason.is_some(), "{reason:?}");
    let taken = memory.memory.as_ref().expect("it watched");
    assert!(taken.empty <= taken.before && taken.before <= taken.peak, "{taken:?}");
    let parts = taken.private.zip(taken.shared).map(|(private, shared)| private + shared);
    assert_eq!(parts, taken.peak);
}
