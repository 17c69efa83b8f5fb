//! The small process between the parent and a cell, which ends every descendant of the cell when
//! the cell or the parent is gone. See README.md in this folder.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, WaitOptions};

use super::wire::{FromCell, WireEnded, encode};

/// `PROGRAM __manyhands supervise CELL-PROGRAM ARGUMENTS...`
///
/// Single-threaded from its first to its last instruction, so that descriptors can be made
/// inheritable without a race and nothing of it runs while the cell is timed.
pub(crate) fn supervise_main(command: &[String]) -> ExitCode {
    match supervise(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the supervisor failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(command: &[String]) -> std::io::Result<()> {
    become_subreaper()?;
    // Not the standard descriptors: what a workload prints must not meet the protocol.
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let output = std::io::stdout().as_fd().try_clone_to_owned()?;
    let mut cell = start_cell(command, &input, &output)?;
    let killed = wait_for_cell_or_parent(&cell, &input)?;
    if killed {
        cell.kill()?;
    }
    let status = cell.wait()?;
    let left = end_descendants();
    report(output, status, left, killed)
}

fn start_cell(command: &[String], input: &OwnedFd, output: &OwnedFd) -> std::io::Result<Child> {
    let [program, arguments @ ..] = command else {
        return Err(std::io::Error::other("no program to supervise"));
    };
    for descriptor in [input, output] {
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    let child = Command::new(program)
        .args(arguments)
        .args([input.as_raw_fd().to_string(), output.as_raw_fd().to_string()])
        .stdin(Stdio::null())
        // The log: the parent made it our standard error.
        .stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?))
        .spawn()?;
    Ok(child)
}

/// Waits until the cell has ended (false) or the parent has closed the pipe (true).
#[cfg(target_os = "linux")]
fn wait_for_cell_or_parent(cell: &Child, input: &OwnedFd) -> std::io::Result<bool> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let pid = Pid::from_child(cell);
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        // No events asked for on the pipe: its data is the cell's; a hang-up is always told.
        let mut waiting =
            [PollFd::new(input, PollFlags::empty()), PollFd::new(&ended, PollFlags::IN)];
        match poll(&mut waiting, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !waiting[1].revents().is_empty() {
            return Ok(false);
        }
        if waiting[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Ok(true);
        }
    }
}

/// Elsewhere there is no descriptor for a process, so look in turns.
#[cfg(not(target_os = "linux"))]
fn wait_for_cell_or_parent(cell: &Child, input: &OwnedFd) -> std::io::Result<bool> {
    use rustix::event::Timespec;
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let pid = Pid::from_child(cell);
    loop {
        let mut waiting = [PollFd::new(input, PollFlags::empty())];
        let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        match poll(&mut waiting, Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // NOWAIT leaves the status to be collected by `Child::wait`.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(pid), look)?.is_some() {
            return Ok(false);
        }
        if waiting[0].revents().contains(PollFlags::HUP) {
            return Ok(true);
        }
    }
}

#[cfg(target_os = "linux")]
fn become_subreaper() -> std::io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn become_subreaper() -> std::io::Result<()> {
    Ok(())
}

/// Kills our children until there are none. The children of one that dies become ours, so this
/// reaches every descendant, however deep, without having to know the tree.
fn end_descendants() -> u32 {
    let mut left = 0;
    loop {
        for pid in crate::measure::children(std::process::id()) {
            let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
            // It may have ended by itself meanwhile; it is waited for either way.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        match rustix::process::wait(WaitOptions::empty()) {
            // Count only what was still at work: a worker that had ended in order and was not
            // waited for is no process left behind.
            Ok(Some((_, status))) if status.terminating_signal() == Some(Signal::KILL.as_raw()) => {
                left += 1;
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return left,
        }
    }
}

/// The last line on the protocol. A cell that was killed may have left half a line there.
fn report(output: OwnedFd, status: ExitStatus, left: u32, killed: bool) -> std::io::Result<()> {
    let ended = WireEnded { code: status.code(), signal: status.signal(), left, killed };
    let line = format!("\n{}", encode(&FromCell::Ended(ended)));
    match std::fs::File::from(output).write_all(line.as_bytes()) {
        // Nobody is there to read it: the parent is why we are here.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
