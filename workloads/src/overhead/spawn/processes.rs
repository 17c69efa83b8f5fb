//! Processes: this program again, or a copy of this process.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Child, ExitCode};

use manyhands_contract::{TaskError, limits};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::{Form, nothing};
use crate::overhead::helpers::command;
use crate::overhead::sys::{self, Usage};

fn refused(error: &std::io::Error) -> TaskError {
    TaskError(format!("cannot start a process: {error}; {}", limits::nearest()))
}

/// Starts with `start`, at most `alive` at once, and waits for them, the oldest first.
fn start_all<P>(
    count: usize,
    alive: usize,
    start: impl Fn() -> Result<P, TaskError>,
    wait: impl Fn(P) -> Result<usize, TaskError>,
) -> Result<usize, TaskError> {
    let mut processes = VecDeque::with_capacity(alive);
    let mut done = 0;
    for _ in 0..count {
        if processes.len() == alive {
            done += processes.pop_front().map_or(Ok(0), &wait)?;
        }
        processes.push_back(start()?);
    }
    processes.into_iter().try_fold(done, |done, process| Ok(done + wait(process)?))
}

/// `processes`: this program, which sees what it was started for and ends.
pub(super) struct Exec(pub(super) PathBuf);

impl Form for Exec {
    fn run(&mut self, count: usize, alive: usize) -> Result<usize, TaskError> {
        let start = || command(&self.0, "spawn").spawn().map_err(|error| refused(&error));
        start_all(count, alive, start, |mut child: Child| {
            let status = child.wait().map_err(TaskError::new)?;
            Ok(usize::from(status.success()))
        })
    }

    fn actual(&self, alive: usize) -> (usize, usize) {
        (alive, alive)
    }

    fn construct(&self) -> &'static str {
        "std::process::Command of this program, and wait, the oldest first"
    }

    fn others_usage(&self) -> Usage {
        sys::ended_children_usage()
    }
}

/// `processes:fork`: a copy of this process, which ends at once.
pub(super) struct Fork;

impl Form for Fork {
    fn run(&mut self, count: usize, alive: usize) -> Result<usize, TaskError> {
        let start = || sys::fork(|| i32::from(nothing() != 1)).map_err(|error| refused(&error));
        start_all(count, alive, start, |id: Pid| {
            let ended = waitpid(Some(id), WaitOptions::empty()).map_err(TaskError::new)?;
            Ok(usize::from(ended.is_some_and(|(_, status)| status.exit_status() == Some(0))))
        })
    }

    fn actual(&self, alive: usize) -> (usize, usize) {
        (alive, alive)
    }

    fn construct(&self) -> &'static str {
        "fork and waitpid, the oldest first"
    }

    fn others_usage(&self) -> Usage {
        sys::ended_children_usage()
    }
}

/// `probe spawn`: nothing.
pub(in crate::overhead) fn main() -> ExitCode {
    if nothing() == 1 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
