//! What std has no safe words for: fork, and what a process has used.
//!
//! `unsafe`: `getrusage` writes a `rusage`, and is given one that lives on the stack during the
//! call; `fork` is called in a process of one thread, which is checked here, so that its child's
//! memory is in a consistent state; `_exit` ends the process.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::Pid;

/// Exit code of a forked process that panicked: Rust's own for a panic in `main`.
const PANICKED: i32 = 101;

/// Makes the kernel kill this process as soon as the thread that started it ends, however it ends.
/// Elsewhere than on Linux only a closed pipe tells.
pub(super) fn end_with_parent() {
    #[cfg(target_os = "linux")]
    {
        let kill = Some(rustix::process::Signal::KILL);
        let _ = rustix::process::set_parent_process_death_signal(kill);
    }
}

/// User nanoseconds, system nanoseconds, voluntary switches, involuntary switches.
pub(super) type Usage = [u64; 4];

/// What this process has used since it began, over all its threads.
pub(super) fn own_usage() -> Usage {
    usage_of(libc::RUSAGE_SELF)
}

/// What children have used that have ended and were waited for.
pub(super) fn ended_children_usage() -> Usage {
    usage_of(libc::RUSAGE_CHILDREN)
}

fn usage_of(who: libc::c_int) -> Usage {
    let mut raw = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a `rusage` that is live and writable during the call.
    let code = unsafe { libc::getrusage(who, raw.as_mut_ptr()) };
    assert_eq!(code, 0, "getrusage fails only for a bad address or a bad 'who'");
    // SAFETY: all-zero bytes are a valid `rusage`, and the call has filled it since.
    let raw = unsafe { raw.assume_init() };
    let ns =
        |time: &libc::timeval| count(time.tv_sec) * 1_000_000_000 + count(time.tv_usec) * 1_000;
    [ns(&raw.ru_utime), ns(&raw.ru_stime), count(raw.ru_nvcsw), count(raw.ru_nivcsw)]
}

/// The field types differ between platforms; none is ever negative here.
fn count(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}

/// Forks a child that runs `child` and exits with its code; the child never returns into the
/// caller's code.
///
/// # Errors
/// When this process has more than one thread: a lock that another one holds at this moment, the
/// allocator's for one, would stay locked in the child for ever. When the kernel refuses.
pub(super) fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    if !single_threaded()? {
        let reason = "a process with more than one thread cannot be forked safely";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    // SAFETY: the process has one thread, so the child may do whatever the parent could.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(PANICKED);
            // Not `exit`: the parent's exit handlers and half-written buffers are not ours to run.
            // SAFETY: ends the process; nothing after it runs.
            unsafe { libc::_exit(code) }
        }
        id => Ok(Pid::from_raw(id).expect("fork gives the parent a child's id")),
    }
}

fn single_threaded() -> io::Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    Ok(threads.is_some_and(|count| count.trim() == "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_threads_and_is_not_forked() {
        let refused = std::thread::scope(|scope| {
            let (end, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || wait.recv());
            let refused = fork(|| 0).expect_err("two threads at least");
            drop(end);
            refused
        });
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn computing_is_seen_as_user_time() {
        let before = own_usage();
        let mut x = 1_u64;
        while own_usage()[0] < before[0] + 2_000_000 {
            x = std::hint::black_box(x.wrapping_mul(31));
        }
        assert!(own_usage()[0] > before[0]);
    }
}
