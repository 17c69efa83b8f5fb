//! What std has no safe words for: descriptors across an exec, fork, poll, and how a process ended.
//!
//! This is one of the few modules with `unsafe`. The argument, once for all of it: every call hands
//! the kernel plain numbers, or a pointer to memory that is live and of the stated length during
//! the call; descriptors are borrowed from their owners; and what runs between fork and exec, or in
//! a forked child, is either async-signal-safe or runs in a process that had one thread.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Exit code of a forked worker that panicked outside of a task: Rust's own for a panic in `main`.
const PANICKED: i32 = 101;

/// Set in every worker: a program that forgets `worker_hook` would otherwise start workers that
/// start workers, without end.
const IN_WORKER: &str = "MANYHANDS_WORKER";

/// Whether this process is itself a worker.
pub(super) fn in_worker() -> bool {
    std::env::var_os(IN_WORKER).is_some()
}

/// Starts a program that inherits `passed` under the same numbers, and no other descriptor of
/// ours: all of them are close-on-exec, and the mark is taken off these few in the child alone, so
/// that no other child, started meanwhile by another thread, can inherit them. A worker that held
/// a sibling's socket would keep that sibling from ever seeing its end of file.
pub(super) fn spawn(mut command: Command, passed: &[BorrowedFd<'_>]) -> io::Result<Process> {
    let passed: Vec<RawFd> = passed.iter().map(AsRawFd::as_raw_fd).collect();
    let inherit = move || passed.iter().try_for_each(|fd| set_close_on_exec(*fd, false));
    // SAFETY: between fork and exec the closure only calls fcntl, which is async-signal-safe.
    unsafe { command.pre_exec(inherit) };
    let child = command.stdin(Stdio::null()).env(IN_WORKER, "1").spawn()?;
    // From here on the process is known by its id, as forked ones are; `Child` neither kills nor
    // reaps when dropped.
    Ok(Process::of(child.id() as libc::pid_t))
}

fn set_close_on_exec(fd: RawFd, on: bool) -> io::Result<()> {
    // SAFETY: fcntl on a number; the kernel checks that it is a descriptor.
    let code = unsafe { libc::fcntl(fd, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) };
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes over a descriptor that this process inherited, and keeps it from the next exec.
pub(super) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    set_close_on_exec(fd, true)?;
    // SAFETY: it is open (fcntl would have failed), and the parent passed it for us alone to own.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Forks a child that runs `child` and exits; the child never returns into the caller's code.
/// `single_threaded` must have been asked just before: a child of a process with more threads
/// would inherit their locks in whatever state they were.
pub(super) fn fork(child: impl FnOnce() -> ExitCode) -> io::Result<Process> {
    // SAFETY: the process has one thread (the caller's duty, checked there), so the child's memory
    // is in a consistent state and it may do whatever the parent could.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let code = match catch_unwind(AssertUnwindSafe(child)) {
                Ok(code) => i32::from(code != ExitCode::SUCCESS),
                Err(_) => PANICKED,
            };
            // Not `exit`: the parent's exit handlers and half-written buffers are not ours to run.
            // SAFETY: ends the process; nothing after it runs.
            unsafe { libc::_exit(code) }
        }
        id => Ok(Process::of(id)),
    }
}

/// Whether this process has one thread only.
pub(super) fn single_threaded() -> io::Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    Ok(threads.is_some_and(|count| count.trim() == "1"))
}

/// Makes the kernel kill this process as soon as the thread that started it ends, however it
/// ends; false when it has ended already.
///
/// The signal follows the parent's *thread*: an executor must be started by a thread that outlives
/// it, as a cell's main thread does.
pub(super) fn die_with(parent: u32) -> bool {
    // SAFETY: prctl and getppid with plain numbers.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    // A parent that died before the call above sends no signal any more, so look after it.
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getppid() }.cast_unsigned() == parent
}

/// What is waited for on a descriptor: always input and hang-up, and room to write when asked.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(super) struct Watched(libc::pollfd);

impl Watched {
    pub(super) fn new(fd: BorrowedFd<'_>, write: bool) -> Self {
        let events = if write { libc::POLLIN | libc::POLLOUT } else { libc::POLLIN };
        Self(libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 })
    }

    /// Whether there is something to read, an end of file and an error included.
    pub(super) fn readable(self) -> bool {
        self.0.revents & !libc::POLLOUT != 0
    }

    /// Whether there is room to write.
    pub(super) fn writable(self) -> bool {
        self.0.revents & libc::POLLOUT != 0
    }
}

/// Waits until one of the descriptors is ready, for at most `timeout` when there is one.
pub(super) fn poll(watched: &mut [Watched], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up: a wait of zero would turn the caller's loop into a spin.
    let ms = timeout.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX).max(1));
    let count = watched.len() as libc::nfds_t;
    // SAFETY: `Watched` is a transparent `pollfd`, and the slice lives during the call.
    let ready = unsafe { libc::poll(watched.as_mut_ptr().cast(), count, ms) };
    match io::Error::last_os_error() {
        _ if ready >= 0 => Ok(()),
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}

/// A child process until it is reaped. Whoever drops it must have ended it.
#[derive(Debug)]
pub(super) struct Process {
    id: libc::pid_t,
    ended: Option<Ended>,
}

impl Process {
    fn of(id: libc::pid_t) -> Self {
        Self { id, ended: None }
    }

    pub(super) fn id(&self) -> libc::pid_t {
        self.id
    }

    /// Ends it at once, unless it was reaped: its id may then be another's.
    pub(super) fn kill(&mut self) {
        if self.ended.is_none() {
            // SAFETY: the child is not reaped, so the id is still its own.
            unsafe { libc::kill(self.id, libc::SIGKILL) };
        }
    }

    /// Reaps it if it has ended.
    pub(super) fn try_wait(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            self.ended = self.wait_with(libc::WNOHANG);
        }
        self.ended
    }

    /// Reaps it, waiting as long as it takes: for a process that was killed.
    pub(super) fn wait(&mut self) -> Ended {
        while self.ended.is_none() {
            self.ended = self.wait_with(0);
        }
        self.ended.expect("the loop ended")
    }

    /// Waits until the deadline, then kills; either way it is reaped. Asking again and again
    /// rather than a pidfd: this happens once in a worker's life, and works on every Unix.
    pub(super) fn wait_or_kill(&mut self, deadline: Instant) -> Ended {
        loop {
            if let Some(ended) = self.try_wait() {
                return ended;
            }
            if Instant::now() >= deadline {
                self.kill();
                return self.wait();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn wait_with(&self, options: i32) -> Option<Ended> {
        let mut status = 0;
        // SAFETY: `status` is live and writable during the call.
        match unsafe { libc::waitpid(self.id, &raw mut status, options) } {
            0 => None,
            id if id == self.id => Some(Ended::from_status(status)),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => None,
            // Somebody else reaped it (SIGCHLD is ignored, say): it is gone, but nobody knows how.
            _ => Some(Ended::Unknown),
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Killed(i32),
    /// Reaped by somebody else.
    Unknown,
}

impl Ended {
    fn from_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Killed(libc::WTERMSIG(status))
        } else {
            Self::Exited(libc::WEXITSTATUS(status))
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Killed(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "was killed by signal {signal} ({name})"),
                None => write!(f, "was killed by signal {signal}"),
            },
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// The signals that end programs. The out-of-memory killer's is SIGKILL.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        spawn(command, &[]).expect("a shell")
    }

    #[test]
    fn how_a_process_ended_is_said_in_words() {
        assert_eq!(shell("exit 3").wait().to_string(), "exited with code 3");
        let killed = shell("kill -9 $$").wait();
        assert_eq!(killed.to_string(), "was killed by signal 9 (SIGKILL)");
    }

    #[test]
    fn a_process_that_does_not_end_is_killed_at_the_deadline() {
        let mut process = shell("exec sleep 1000");
        assert_eq!(process.try_wait(), None);
        assert_eq!(process.wait_or_kill(Instant::now()), Ended::Killed(libc::SIGKILL));
        assert_eq!(process.try_wait(), Some(Ended::Killed(libc::SIGKILL)));
    }
}
