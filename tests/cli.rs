//! The command line as users meet it: answers, lists, input, and what bad input gets.

mod common;

use std::fs;

use common::{manyhands, run, run_in};

#[test]
fn an_answer_is_one_line_of_json_and_nothing_else() {
    for executor in manyhands::executors::ExecutorName::ALL {
        let arguments =
            ["answer", "primes", "-p", "limit=1000000", "-e", executor.as_str(), "-w", "7"];
        let ran = run(&arguments).expect(0);
        assert_eq!(ran.stdout, "{\"count\":78498}\n", "{executor}");
        assert_eq!(ran.stderr, "", "{executor}");
    }
}

#[test]
fn data_writes_what_answer_reads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for workload in ["csv", "wordcount", "hash", "risk", "files"] {
        run_in(folder.path(), &manyhands(), &["data", workload, "--out", workload]).expect(0);
        let input = format!("{workload}/input");
        let own = ["answer", workload, "--input", &input];
        let own = run_in(folder.path(), &manyhands(), &own).expect(0);
        let generated = run(&["answer", workload]).expect(0);
        assert_eq!(own.stdout, generated.stdout, "{workload}");
        let parameters = fs::read_to_string(folder.path().join(workload).join("parameters.json"));
        assert!(parameters.expect("written").contains("\"seed\": \"42\""), "{workload}");
    }
}

#[test]
fn lists_name_everything_and_describe_explains_it() {
    let workloads = run(&["list", "workloads"]).expect(0).stdout;
    let json = run(&["list", "--json"]).expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(json["executors"].as_array().map(Vec::len), Some(12));
    for workload in json["workloads"].as_array().expect("a list") {
        let name = workload["name"].as_str().expect("a name");
        assert!(workloads.contains(&format!("\n  {name} ")), "{name} in\n{workloads}");
        let text = run(&["describe", name]).expect(0).stdout;
        assert!(text.starts_with(&format!("{name}: ")), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
    run(&["describe", "threads:static"]).expect(0);
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    run(&["run", "prmes"]).expect(2).complains_of(&["'prmes'", "did you mean 'primes'"]);
    run(&["answer", "primes", "-e", "rayn"]).expect(2).complains_of(&["did you mean 'rayon'"]);
    run(&["answer", "primes", "-p", "limt=1"]).expect(2).complains_of(&["did you mean 'limit'"]);
    run(&["run", "primes", "-p", "limt=1"]).expect(2).complains_of(&["did you mean 'limit'"]);
    run(&["describe", "mandelbot"]).expect(2).complains_of(&["did you mean 'mandelbrot'"]);
}

#[test]
fn numbers_that_make_no_sense_are_refused_with_what_is_allowed() {
    run(&["run", "primes", "-w", "0"]).expect(2).complains_of(&["-w 0", "from 1 on"]);
    run(&["run", "primes", "-w", "3..1"]).expect(2).complains_of(&["3..1", "1..3"]);
    run(&["run", "primes", "--chunk", "0"]).expect(2).complains_of(&["--chunk 0", "from 1 on"]);
    run(&["run", "primes", "--budget", "60"]).expect(2).complains_of(&["--budget 60", "60s"]);
    run(&["run", "primes", "-p", "limit=x"]).expect(2).complains_of(&["limit", "'x'"]);
    run(&["run", "primes", "--input", "."]).expect(2).complains_of(&["primes", "--input"]);
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    run(&["run", "wordcount", "--input", "no-such-folder"])
        .expect(2)
        .complains_of(&["no-such-folder"]);
    run(&["run", "squares", "--out", "/proc/nowhere"]).expect(2).complains_of(&["/proc/nowhere"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("record.json"), "{}").expect("writable");
    run_in(folder.path(), &manyhands(), &["run", "squares", "--out", "."])
        .expect(2)
        .complains_of(&["holds a run already"]);
    run(&["run", "--resume", "nothing-here"]).expect(2).complains_of(&["nothing-here"]);
    run(&["report", "nothing-here"]).expect(2).complains_of(&["nothing-here"]);
}

#[test]
fn a_csv_without_the_column_or_with_a_word_for_a_number_is_told_by_file_and_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut text = String::from("region,amount\n");
    for line in 2..30 {
        text += if line == 17 { "north,abc\n" } else { "south,1.5\n" };
    }
    fs::write(folder.path().join("sales.csv"), text).expect("writable");
    let base = ["--input", "sales.csv", "-p"];
    let column = [&["run", "csv"], &base[..], &["group=region,column=price"]].concat();
    run_in(folder.path(), &manyhands(), &column).expect(1).complains_of(&["price", "sales.csv"]);
    let number = [&["run", "csv"], &base[..], &["group=region,column=amount"]].concat();
    run_in(folder.path(), &manyhands(), &number).expect(1).complains_of(&[
        "sales.csv",
        "17",
        "abc",
        "amount",
    ]);
}

#[test]
fn help_and_scripts_succeed_on_standard_output() {
    assert!(run(&["--help"]).expect(0).stdout.contains("Usage"));
    assert!(run(&["completions", "bash"]).expect(0).stdout.contains("manyhands"));
    assert!(run(&["man"]).expect(0).stdout.contains(".TH"));
    run(&["no-such-command"]).expect(2);
    let doctor = run(&["doctor", "--json"]).expect(0).stdout;
    let doctor: serde_json::Value = serde_json::from_str(&doctor).expect("one document");
    assert!(doctor["machine"]["usable_cores"].as_u64() >= Some(1));
}

#[test]
fn a_run_writes_record_journal_and_report_and_leaves_no_scratch() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = [
        "run",
        "csv",
        "-p",
        "rows=2000",
        "-e",
        "sequential,rayon",
        "-w",
        "2",
        "--rounds",
        "1",
        "--out",
        "out",
        "--json",
    ];
    let ran = run_in(folder.path(), &manyhands(), &arguments).expect(0);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
    assert_eq!(document["schema"], "manyhands/record/1");
    let mut names: Vec<_> = fs::read_dir(folder.path().join("out"))
        .expect("the folder")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    assert_eq!(names, ["journal.ndjson", "record.json", "report.html"]);
    let again = ["report", "out", "--out", "-"];
    let report = run_in(folder.path(), &manyhands(), &again).expect(0).stdout;
    let written = fs::read_to_string(folder.path().join("out/report.html")).expect("a report");
    assert_eq!(report, written, "a report is made from the record alone");
}

#[test]
fn the_workload_s_own_bound_is_never_beaten() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = [
        "run",
        "ingest",
        "-p",
        "sources=16,delay=4ms",
        "-e",
        "async,threads",
        "-w",
        "8",
        "--rounds",
        "3",
        "--out",
        "out",
    ];
    run_in(folder.path(), &manyhands(), &arguments).expect(0);
    for cell in common::record(&folder.path().join("out")).cells {
        let floor = cell.bound.as_ref().expect("ingest has a bound").floor_ns;
        for sample in cell.launches.iter().flat_map(|launch| &launch.samples) {
            assert!(sample.wall_ns >= floor, "{}: {sample:?} < {floor}", common::label(&cell));
        }
    }
}
