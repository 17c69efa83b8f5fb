//! Sweeps over the length of a task, as a user runs them. What they look like is checked here;
//! how long anything takes is not.

mod common;

use common::{manyhands, record, run, run_in};
use manyhands_record::Mode;
use manyhands_record::models::granularity::curves;

#[test]
fn a_sweep_is_one_curve_for_each_executor_and_one_section_of_the_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let command =
        "run spin --granularity -e threads,sequential -w 2 --rounds 2 --budget 4s --out out";
    let words: Vec<_> = command.split(' ').collect();
    let shown = run_in(folder.path(), &manyhands(), &words).expect(0).stdout;
    let record = record(&folder.path().join("out"));
    assert_eq!(record.header.granularity.as_deref(), Some("steps"));
    assert!(record.cells.iter().all(|cell| cell.id.chunk.to_string() == "1"));
    let launches = || record.cells.iter().flat_map(|cell| &cell.launches);
    assert!(launches().all(|launch| launch.failure.is_none() && launch.mode == Mode::Time));

    let sweeps = curves(&record);
    let [sweep] = &sweeps[..] else { panic!("one sweep, not {}", sweeps.len()) };
    let names: Vec<_> = sweep.curves.iter().map(|curve| curve.executor).collect();
    assert_eq!(names, ["threads", "sequential"]);
    for curve in &sweep.curves {
        let works: Vec<f64> = curve.points.iter().map(|point| point.work).collect();
        assert!(works.len() >= 6 && works.is_sorted() && works[0] == 0.0, "{works:?}");
        assert!(curve.cost.is_some() && curve.metg.is_some(), "{curve:?}");
        assert!(curve.at.iter().all(Option::is_some), "{:?}", curve.at);
        assert!(curve.points.iter().skip(1).all(|point| point.efficiency.is_some()));
    }

    assert!(shown.starts_with("spin: granularity, by steps\nexecutor "), "{shown}");
    assert_eq!(shown.lines().filter(|line| line.starts_with("threads ")).count(), 1, "{shown}");
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).expect("a report");
    assert_eq!(page.matches("<svg").count(), 1, "one chart for the whole sweep");
    assert_eq!(page.matches(": granularity</h2>").count(), 1);
}

#[test]
fn an_interrupted_sweep_goes_on_with_the_lengths_that_it_chose() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let command = "run spin --granularity -e sequential --rounds 1 --out out";
    let words: Vec<_> = command.split(' ').collect();
    run_in(folder.path(), &manyhands(), &words).expect(0);
    let whole = record(&folder.path().join("out"));
    // As if it had been stopped after its second launch.
    let path = folder.path().join("out/journal.ndjson");
    let journal = std::fs::read_to_string(&path).expect("a journal");
    let launches = |line: &&str| line.contains("\"line\":\"launch\"");
    let second = journal.lines().filter(launches).nth(1).expect("more than one");
    let end = journal.find(second).expect("it is there") + second.len() + 1;
    std::fs::write(&path, &journal[..end]).expect("writable");
    std::fs::remove_file(folder.path().join("out/record.json")).expect("it was there");
    run_in(folder.path(), &manyhands(), &["run", "--resume", "out"]).expect(0);
    let resumed = record(&folder.path().join("out"));
    let ids = |record: &manyhands_record::Record| -> Vec<_> {
        record.cells.iter().map(|cell| cell.id.clone()).collect()
    };
    assert_eq!(ids(&resumed), ids(&whole));
    assert!(resumed.cells.iter().all(|cell| cell.launches.len() == 1));
}

#[test]
fn what_cannot_be_swept_is_refused_in_one_line() {
    let refused = |command: &str, words: &[&str]| {
        let arguments: Vec<_> = command.split(' ').collect();
        run(&arguments).expect(2).complains_of(words);
    };
    refused("run primes --granularity", &["primes", "no parameter for the length", "spin"]);
    refused("run --granularity", &["name a workload that has one: spin"]);
    refused("run spin --granularity -p steps=5", &["leave -p steps out"]);
    refused("run spin --granularity --weak", &["--weak", "cannot be used with"]);
}
