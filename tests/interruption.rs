//! Runs that are stopped, killed, damaged and resumed.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{manyhands, processes_with, record, run_in};
use manyhands_record::Status;

/// A run that goes on for a while, with worker processes and a server, marked by an environment
/// variable that all its processes inherit.
fn start(folder: &Path, mark: &str) -> Child {
    let (name, value) = mark.split_once('=').expect("a pair");
    Command::new(manyhands())
        .args(["run", "fetch", "spin", "-e", "sequential,processes,processes:shm", "-w", "2,3"])
        .args(["-p", "requests=40,delay=5ms", "--rounds", "8", "--out", "out"])
        .current_dir(folder)
        .env(name, value)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Waits until the journal has that many launches. The time is only a bound for a broken run.
fn wait_for_launches(folder: &Path, count: usize) {
    let journal = folder.join("out/journal.ndjson");
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        if text.matches("\"line\":\"launch\"").count() >= count {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no {count} launches in {}", journal.display());
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("our own child");
}

/// Whether the processes are gone, or go within a second.
fn gone_within_a_second(mark: &str) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        let alive = processes_with(mark);
        if alive.is_empty() || Instant::now() > deadline {
            return alive;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Resumes and checks that every cell has all its launches, none twice.
fn resume_and_check(folder: &Path) -> common::Ran {
    let ran = run_in(folder, &manyhands(), &["run", "--resume", "out"]).expect(0);
    let record = record(&folder.join("out"));
    assert_eq!(record.status, Status::Complete);
    for cell in &record.cells {
        let mut rounds: Vec<_> = cell.launches.iter().map(|l| (l.mode as u8, l.round)).collect();
        rounds.sort_unstable();
        rounds.dedup();
        assert_eq!(rounds.len(), 9, "{}: 8 for time, 1 for memory", common::label(cell));
        assert_eq!(cell.launches.len(), 9, "{}", common::label(cell));
    }
    assert!(folder.join("out/report.html").exists());
    ran
}

#[test]
fn ctrl_c_saves_what_there_is_and_resume_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mark = format!("MANYHANDS_INT={}", std::process::id());
    let mut child = start(folder.path(), &mark);
    wait_for_launches(folder.path(), 7);
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(gone_within_a_second(&mark), Vec::<u32>::new());
    let saved = record(&folder.path().join("out"));
    assert!(matches!(saved.status, Status::Interrupted { .. }), "{:?}", saved.status);
    assert!(saved.cells.iter().map(|cell| cell.launches.len()).sum::<usize>() >= 7);
    resume_and_check(folder.path());
}

#[test]
fn a_killed_run_leaves_no_process_and_can_be_resumed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mark = format!("MANYHANDS_KILL={}", std::process::id());
    let mut child = start(folder.path(), &mark);
    wait_for_launches(folder.path(), 5);
    signal(&child, rustix::process::Signal::KILL);
    child.wait().expect("it is dead");
    assert_eq!(gone_within_a_second(&mark), Vec::<u32>::new());
    // Killed while it wrote: half a line is dropped with a note.
    let journal = folder.path().join("out/journal.ndjson");
    let mut text = fs::read_to_string(&journal).expect("a journal");
    text.push_str("{\"line\":\"laun");
    fs::write(&journal, text).expect("writable");
    let ran = resume_and_check(folder.path());
    assert!(ran.stderr.contains("was not written to its end"), "{}", ran.stderr);
}

/// A finished small run over a file of the user's.
fn small_run(folder: &Path) {
    fs::create_dir(folder.join("texts")).expect("writable");
    fs::write(folder.join("texts/a.txt"), "one two").expect("writable");
    let arguments = [
        "run",
        "wordcount",
        "squares",
        "--input",
        "texts",
        "-e",
        "sequential,threads",
        "-w",
        "2",
        "-p",
        "n=1000",
        "--rounds",
        "1",
        "--out",
        "out",
    ];
    run_in(folder, &manyhands(), &arguments).expect(0);
}

#[test]
fn cells_whose_input_changed_are_measured_again_and_it_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    small_run(folder.path());
    let before = record(&folder.path().join("out"));
    fs::write(folder.path().join("texts/a.txt"), "one two three").expect("writable");
    let ran = run_in(folder.path(), &manyhands(), &["run", "--resume", "out"]).expect(0);
    assert!(ran.stderr.contains("wordcount threads x 2"), "{}", ran.stderr);
    assert!(ran.stderr.contains("measured again"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("squares"), "{}", ran.stderr);
    let after = record(&folder.path().join("out"));
    for (before, after) in before.cells.iter().zip(&after.cells) {
        let same = before.launches == after.launches;
        assert_eq!(same, before.id.workload == "squares", "{}", common::label(after));
    }
    let answer = |record: &manyhands_record::Record| {
        let mut all = record.references.iter();
        all.find(|reference| reference.workload == "wordcount").expect("one").answer.to_string()
    };
    assert!(answer(&after).contains("\"total\":3"), "{}", answer(&after));
}

#[test]
fn a_journal_damaged_in_the_middle_is_an_error_that_names_the_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    small_run(folder.path());
    let journal = folder.path().join("out/journal.ndjson");
    let text = fs::read_to_string(&journal).expect("a journal");
    let damaged: Vec<_> = text
        .lines()
        .enumerate()
        .map(|(index, line)| if index == 2 { &line[..line.len() / 2] } else { line })
        .collect();
    fs::write(&journal, damaged.join("\n") + "\n").expect("writable");
    let ran = run_in(folder.path(), &manyhands(), &["run", "--resume", "out"]).expect(1);
    ran.complains_of(&["journal.ndjson", "line 3"]);
}
