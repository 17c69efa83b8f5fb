//! Programs of the user's own: what is run, in which order, what is checked, what is told.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ran, manyhands, processes_with, record, run_in};
use manyhands_record::{Cell, FailureKind, Mode, Status};

/// A folder with an executable script `tool`.
fn folder_with(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tool = folder.path().join("tool");
    fs::write(&tool, format!("#!/bin/sh\n{script}\n")).expect("writable");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("our own file");
    folder
}

/// A run of one round in this folder.
fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let all = [&["run", "--rounds", "1", "--out", "out"], arguments].concat();
    run_in(folder, &manyhands(), &all)
}

fn cells(folder: &Path) -> Vec<Cell> {
    record(&folder.join("out")).cells
}

fn names(cells: &[Cell]) -> Vec<(&str, u32)> {
    cells.iter().map(|cell| (cell.id.executor.as_str(), cell.id.workers)).collect()
}

fn lines(folder: &Path, file: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_command_is_run_for_each_number_of_workers_and_is_its_own_executor() {
    let folder = folder_with("echo \"$1\" >> said");
    let ran = run(folder.path(), &["--command", "./tool -j{workers}", "-w", "1,2"]).expect(0);
    assert!(ran.stdout.contains("against 1 worker"), "{}", ran.stdout);
    let report = fs::read_to_string(folder.path().join("out/report.html")).expect("a report");
    assert!(report.contains("one worker of its own"), "the report says what 1x is");
    let cells = cells(folder.path());
    assert_eq!(names(&cells), [("./tool -j{workers}", 1), ("./tool -j{workers}", 2)]);
    for cell in &cells {
        assert_eq!((cell.id.workload.as_str(), cell.id.version), ("command", 1));
        assert_eq!(cell.launches.len(), 2, "one for time, one for memory");
        let card = cell.launches[0].card.as_ref().expect("it was started");
        assert_eq!(card.construct, "a process of its own");
        let program = Path::new(&card.library);
        assert!(program.is_absolute() && program.ends_with("tool"), "{}", card.library);
        assert_eq!(card.notes["arguments"], format!("-j{}", cell.id.workers));
        let samples = cell.launches.iter().flat_map(|launch| &launch.samples);
        for sample in samples {
            assert!(sample.wall_ns > 0 && sample.cpu_ns() > Some(0), "{sample:?}");
        }
    }
    let said = lines(folder.path(), "said");
    let samples: usize =
        cells.iter().flat_map(|cell| &cell.launches).map(|launch| launch.samples.len()).sum();
    assert_eq!(said.len(), samples + 1, "one run a sample, and one to see whether it runs");
    assert!(said.iter().any(|line| line == "-j1") && said.iter().any(|line| line == "-j2"));
}

#[test]
fn values_make_all_combinations_and_stay_one_argument_each() {
    let folder = folder_with("echo \"$#:$1:$2\" >> said");
    let arguments = [
        "--command",
        "./tool {mode} '{text}'",
        "--prepare",
        "test {size} -gt 0",
        "-L",
        "mode=a,b",
        "-L",
        "text=x y",
        "-L",
        "size=1,2",
    ];
    run(folder.path(), &arguments).expect(0);
    let cells = cells(folder.path());
    let expected = [
        ("./tool a 'x y' [size=1]", 1),
        ("./tool a 'x y' [size=2]", 1),
        ("./tool b 'x y' [size=1]", 1),
        ("./tool b 'x y' [size=2]", 1),
    ];
    assert_eq!(names(&cells), expected);
    assert_eq!(cells[0].id.parameters["prepare"], "test {size} -gt 0");
    let mut said = lines(folder.path(), "said");
    said.sort();
    said.dedup();
    assert_eq!(said, ["2:a:x y", "2:b:x y"]);
}

#[test]
fn prepare_and_cleanup_run_around_each_sample_and_are_not_timed() {
    let folder = folder_with("echo run >> said");
    let slow = "sh -c 'sleep 0.2; echo before >> said'";
    let arguments =
        ["--command", "./tool", "--prepare", slow, "--cleanup", "sh -c 'echo after >> said'"];
    run(folder.path(), &arguments).expect(0);
    let said = lines(folder.path(), "said");
    assert!(said.len() >= 9, "{said:?}");
    for three in said.chunks(3) {
        assert_eq!(three, ["before", "run", "after"]);
    }
    let cells = cells(folder.path());
    let card = cells[0].launches[0].card.as_ref().expect("it was started");
    assert_eq!(card.notes["prepare"], slow);
    // What is asserted is what was timed, not how fast it was: the sleep took 200 ms at least.
    let quickest = cells[0].launches[0].samples.iter().map(|sample| sample.wall_ns).min();
    assert!(quickest < Some(200_000_000), "{quickest:?}");
}

#[test]
fn a_code_that_is_not_0_is_a_row_with_the_end_of_the_output_and_others_go_on() {
    let folder = folder_with("echo nobody sees this; echo it is broken >&2; exit 3");
    let arguments = ["--command", "./tool {workers}", "--command", "true", "-w", "2"];
    let ran = run(folder.path(), &arguments).expect(1);
    assert!(ran.stdout.contains("`./tool 2` exited with code 3"), "{}", ran.stdout);
    let cells = cells(folder.path());
    let failure = cells[0].failure().expect("it failed");
    assert_eq!(failure.kind, FailureKind::Died);
    assert_eq!(failure.log.as_deref(), Some("it is broken"));
    assert_eq!(cells[1].failure(), None);
    assert_eq!(names(&cells)[1], ("true", 1));
}

#[test]
fn a_failing_prepare_or_cleanup_fails_the_launch_by_name() {
    for flag in ["--prepare", "--cleanup"] {
        let folder = folder_with("exit 0");
        let ran = run(
            folder.path(),
            &["--command", "./tool", flag, "sh -c 'exit {code}'", "-L", "code=7"],
        );
        ran.expect(1);
        let cells = cells(folder.path());
        let reason = &cells[0].failure().expect("it failed").reason;
        assert_eq!(reason, &format!("`{flag} sh -c 'exit 7'` exited with code 7"));
    }
}

#[test]
fn a_time_out_ends_the_whole_tree_sessions_of_its_own_included() {
    let folder = folder_with("sleep 1000 & setsid sleep 1000 & wait");
    let mark = format!("MANYHANDS_COMMAND={}", std::process::id());
    let (name, value) = mark.split_once('=').expect("a pair");
    let status = Command::new(manyhands())
        .args(["run", "--rounds", "1", "--out", "out", "--command", "./tool", "--timeout", "1s"])
        .current_dir(folder.path())
        .env(name, value)
        .output()
        .expect("it starts")
        .status;
    assert_eq!(status.code(), Some(1));
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
    let cells = cells(folder.path());
    let failure = cells[0].failure().expect("it failed");
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(failure.reason.contains("--timeout"), "{}", failure.reason);
}

#[test]
fn what_a_command_leaves_behind_fails_it() {
    let folder = folder_with("sleep 1000 &");
    run(folder.path(), &["--command", "./tool"]).expect(1);
    let cells = cells(folder.path());
    let reason = &cells[0].failure().expect("it failed").reason;
    assert!(reason.contains("processes behind"), "{reason}");
}

#[test]
fn the_memory_of_a_command_is_its_own_without_ours() {
    const MIB: u64 = 1 << 20;
    let folder = folder_with("exec sleep 0.2");
    let large = "import time; data = b'x' * (100 << 20); time.sleep(0.2)";
    let large = format!("python3 -c \"{large}\"");
    run(folder.path(), &["--command", &large, "--command", "./tool"]).expect(0);
    let cells = cells(folder.path());
    let memory = |cell: &Cell| {
        let launch = cell.sound_launches(Mode::Memory).next().expect("a launch for memory");
        launch.memory.clone().expect("it was watched")
    };
    let (large, small) = (memory(&cells[0]), memory(&cells[1]));
    let peak = large.peak.expect("it ran for 200 ms");
    assert!((100 * MIB..130 * MIB).contains(&peak), "{large:?}");
    // Our own process would be a second one, and some MiB.
    assert_eq!((small.processes, small.threads), (1, 1), "{small:?}");
    assert!(small.peak.expect("it ran for 200 ms") < 3 * MIB, "{small:?}");
    assert_eq!((small.before, small.empty), (None, None));
}

#[test]
fn checked_output_must_be_the_same_everywhere() {
    let folder = folder_with("echo \"$1\"");
    let same = ["--command", "./tool x", "--command", "echo x", "--check-output"];
    run(folder.path(), &same).expect(0);
    let answer = &record(&folder.path().join("out")).references[0].answer;
    assert_eq!((&answer["bytes"], answer["sha256"].as_str().map(str::len)), (&2.into(), Some(64)));
    fs::remove_dir_all(folder.path().join("out")).expect("our own folder");
    let other = ["--command", "./tool {workers}", "-w", "1,2", "--check-output"];
    run(folder.path(), &other).expect(3);
    let cells = cells(folder.path());
    assert_eq!(cells[0].failure(), None);
    assert_eq!(cells[1].failure().expect("it differs").kind, FailureKind::WrongAnswer);
    fs::remove_dir_all(folder.path().join("out")).expect("our own folder");
    run(folder.path(), &other[..4]).expect(0);
}

#[test]
fn a_resumed_run_of_commands_measures_only_what_is_missing() {
    let folder = folder_with("exec sleep 0.1");
    let mark = format!("MANYHANDS_RESUME={}", std::process::id());
    let (name, value) = mark.split_once('=').expect("a pair");
    let mut child = Command::new(manyhands())
        .args(["run", "--rounds", "6", "--out", "out", "-w", "1,2"])
        .args(["--command", "./tool {workers}", "--prepare", "echo {workers}"])
        .current_dir(folder.path())
        .env(name, value)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_for_launches(folder.path(), 3);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("our own child");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
    let before = cells(folder.path());
    run_in(folder.path(), &manyhands(), &["run", "--resume", "out"]).expect(0);
    let after = record(&folder.path().join("out"));
    assert_eq!(after.status, Status::Complete);
    for (before, after) in before.iter().zip(&after.cells) {
        assert_eq!(before.id, after.id);
        assert!(after.launches.starts_with(&before.launches), "{}", common::label(after));
        assert_eq!(after.launches.len(), 7, "6 for time, 1 for memory");
    }
}

/// Waits until the journal has that many launches. The time is only a bound for a broken run.
fn wait_for_launches(folder: &Path, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        let text = fs::read_to_string(folder.join("out/journal.ndjson")).unwrap_or_default();
        if text.matches("\"line\":\"launch\"").count() >= count {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no {count} launches in {}", folder.display());
}

#[test]
fn what_makes_no_sense_with_commands_is_told_before_anything_runs() {
    let folder = folder_with("touch ran");
    fs::write(folder.path().join("data"), "no program").expect("writable");
    let cases: [(&[&str], &[&str]); 17] = [
        (&["--command", "./tool {thread}"], &["{thread}", "there are {workers}", "{{thread}}"]),
        (&["--command", "./tool {sice}", "-L", "size=1"], &["did you mean {size}?"]),
        (&["--command", "./tool", "--prepare", "echo {x}"], &["--prepare 'echo {x}'", "{x}"]),
        (&["--command", "./tool", "-w", "1,2"], &["-w changes nothing", "{workers}"]),
        (&["--command", "./tool", "-L", "size=1"], &["-L size", "{size}"]),
        (&["--command", "./tool {workers}", "-L", "workers=1"], &["-w 1,2,4"]),
        (&["--command", "./tool {a}", "-L", "a=1", "-L", "a=2"], &["-L a", "twice"]),
        (&["--command", "./tool {a}", "-L", "a"], &["-L a", "NAME=VALUE"]),
        (&["--command", "./tol"], &["there is no program './tol'"]),
        (&["--command", "no-such-program"], &["no program 'no-such-program'", "PATH"]),
        (&["--command", "./data"], &["not executable", "chmod"]),
        (&["--command", "./tool 'x"], &["a quote is not closed"]),
        (&["--command", ""], &["--command is empty"]),
        (&["--command", "./tool", "squares"], &["WORKLOAD", "its own work"]),
        (&["--command", "./tool", "-e", "rayon"], &["-e", "its own executor"]),
        (&["--command", "./tool", "--preset", "large"], &["--preset"]),
        (&["--prepare", "./tool", "squares"], &["--command"]),
    ];
    for (arguments, words) in cases {
        run(folder.path(), arguments).expect(2).complains_of(words);
    }
    assert!(!folder.path().join("ran").exists());
    assert!(!folder.path().join("out").exists(), "a run that never began leaves no folder");
}
