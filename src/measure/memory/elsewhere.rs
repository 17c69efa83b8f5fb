//! Systems that do not tell the proportional set size of another process.

use std::io;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{Tree, TreeReading};

pub(super) fn read(_: &Tree) -> io::Result<TreeReading> {
    Err(unsupported())
}

pub(super) fn processes(_tree: &Tree) -> io::Result<Vec<u32>> {
    Err(unsupported())
}

pub(super) fn reset_tree(_: &Tree) -> io::Result<()> {
    Err(unsupported())
}

pub(super) fn reset_high_water(_: u32) -> io::Result<()> {
    Err(unsupported())
}

pub(super) fn children(pid: u32) -> Vec<u32> {
    let mut system = System::new();
    let nothing_more = ProcessRefreshKind::nothing();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, nothing_more);
    let parent = Some(Pid::from_u32(pid));
    let children = system.processes().values().filter(|process| process.parent() == parent);
    children.map(|child| child.pid().as_u32()).collect()
}

fn unsupported() -> io::Error {
    let reason = format!("{} does not tell the memory of a process tree", std::env::consts::OS);
    io::Error::new(io::ErrorKind::Unsupported, reason)
}
