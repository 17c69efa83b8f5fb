//! What the whole-program tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use manyhands_record::{Cell, Record};

/// The program under test.
pub(crate) fn manyhands() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_manyhands"))
}

/// The example program with the workload that fails on purpose. `cargo test` builds examples
/// beside the tests.
pub(crate) fn own_workload() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let deps = test.parent().expect("a test lies in a folder");
    let example = deps.parent().expect("deps lies in a folder").join("examples/own_workload");
    assert!(example.exists(), "{} is not built: run plain `cargo test`", example.display());
    example
}

/// What a program did.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    command: String,
}

impl Ran {
    /// Everything a person needs to see why it did not do what it should.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code of `{}`\nstdout:\n{}\nstderr:\n{}",
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    /// One line on standard error that has all of these words in it, and no panic.
    #[track_caller]
    pub(crate) fn complains_of(&self, words: &[&str]) {
        let shown = format!("`{}` said:\n{}", self.command, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{shown}");
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "{shown}");
        for word in words {
            assert!(self.stderr.contains(word), "'{word}' is missing; {shown}");
        }
    }
}

/// Runs a program in a folder.
pub(crate) fn run_in(folder: &Path, program: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let Output { status, stdout, stderr } = output;
    Ran {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        command: format!("{} {} (in {})", program.display(), arguments.join(" "), folder.display()),
    }
}

/// Runs the program under test in a folder of its own.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run_in(folder.path(), &manyhands(), arguments)
}

/// The record in a run's folder.
pub(crate) fn record(folder: &Path) -> Record {
    Record::read(folder.join("record.json")).expect("a record")
}

/// `primes threads x 2`
pub(crate) fn label(cell: &Cell) -> String {
    format!("{} {} x {}", cell.id.workload, cell.id.executor, cell.id.workers)
}

/// Processes of a session that a test started, found by a word in their command line or
/// environment that no other process has.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(word.len()).any(|window| window == word.as_bytes())
        })
        .collect()
}
