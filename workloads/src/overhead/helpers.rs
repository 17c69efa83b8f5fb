//! Processes that take part in an experiment, on the side of the one that started them.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use manyhands_contract::{ProbeError, TaskError, limits};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::sys::Usage;

/// `HELPER __manyhands probe WORKLOAD`, to which the caller adds its arguments.
pub(super) fn command(helper: &Path, workload: &str) -> Command {
    let mut command = Command::new(helper);
    command.args(["__manyhands", "probe", workload]);
    command
}

/// The kernel said no in the middle: what was to be started, and the limit that is nearest.
pub(super) fn refused(what: &str, index: usize, of: usize, error: &io::Error) -> ProbeError {
    let number = index + 1;
    let nearest = limits::nearest();
    ProbeError::Unsupported(format!("cannot start {what} {number} of {of}: {error}; {nearest}"))
}

/// A process of ours: started with exec, or forked.
#[derive(Debug)]
pub(super) enum Process {
    /// A program.
    Started(Child),
    /// A copy of this process, by its id.
    Forked(Pid),
}

impl Process {
    /// Waits until it has ended.
    fn wait(&mut self) -> io::Result<bool> {
        match self {
            Self::Started(child) => child.wait().map(|status: ExitStatus| status.success()),
            Self::Forked(id) => {
                let ended = waitpid(Some(*id), WaitOptions::empty())?;
                Ok(ended.is_some_and(|(_, status)| status.exit_status() == Some(0)))
            }
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself already.
        match self {
            Self::Started(child) => drop(child.kill()),
            Self::Forked(id) => {
                let _ = rustix::process::kill_process(*id, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Processes that end when their pipes are closed. Dropping them ends those that are left.
#[derive(Debug, Default)]
pub(super) struct Helpers(Vec<Process>);

impl Helpers {
    pub(super) fn push(&mut self, process: Process) {
        self.0.push(process);
    }

    /// Waits for all of them; their pipes must have been closed.
    pub(super) fn end(mut self) -> Result<(), TaskError> {
        for (index, mut process) in std::mem::take(&mut self.0).into_iter().enumerate() {
            match process.wait() {
                Ok(true) => {}
                Ok(false) => {
                    return Err(TaskError(format!("process {index} did not end in order")));
                }
                Err(error) => {
                    return Err(TaskError(format!("cannot wait for process {index}: {error}")));
                }
            }
        }
        Ok(())
    }
}

/// No error path leaves a process behind.
impl Drop for Helpers {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Process::kill);
        for process in &mut self.0 {
            let _ = process.wait();
        }
    }
}

/// What a process says of itself: a word of one byte, and what it has used so far. So short that
/// a pipe takes it whole: many processes can share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) word: u8,
    pub(super) usage: Usage,
}

impl Report {
    const BYTES: usize = 33;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [self.word; Self::BYTES];
        for (place, number) in bytes[1..].chunks_exact_mut(8).zip(self.usage) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads one.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; Self::BYTES];
        from.read_exact(&mut bytes)?;
        let mut usage = Usage::default();
        for (number, place) in usage.iter_mut().zip(bytes[1..].chunks_exact(8)) {
            *number = u64::from_le_bytes(place.try_into().expect("chunks of eight"));
        }
        Ok(Self { word: bytes[0], usage })
    }
}

/// The sum of two.
pub(super) fn add(a: Usage, b: Usage) -> Usage {
    std::array::from_fn(|i| a[i] + b[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back() {
        let report = Report { word: b'x', usage: [1, u64::MAX, 3, 1 << 40] };
        assert_eq!(Report::read(&mut &report.to_bytes()[..]).expect("whole"), report);
        assert!(Report::read(&mut &report.to_bytes()[1..]).is_err());
    }

    #[test]
    fn a_helpers_ends_in_order_or_says_who_did_not() {
        let mut helpers = Helpers::default();
        helpers.push(Process::Started(Command::new("true").spawn().expect("true exists")));
        helpers.push(Process::Started(Command::new("false").spawn().expect("false exists")));
        let error = helpers.end().expect_err("one failed");
        assert_eq!(error.0, "process 1 did not end in order");
    }
}
