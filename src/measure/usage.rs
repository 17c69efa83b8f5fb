//! CPU time and context switches of a whole process, its ended threads included.
//!
//! Each worker process reports its own; nobody asks for `RUSAGE_CHILDREN`, which knows a child
//! only after it was waited for.
//!
//! How far to trust it: Linux keeps a thread's run time in nanoseconds and splits it into user and
//! system time. With `CONFIG_VIRT_CPU_ACCOUNTING` the split is exact; with accounting by timer
//! tick, the usual case, it is estimated from where the ticks fell and scaled so that the two add
//! up to the exact run time. So **user + system is exact** to getrusage's microsecond, while the
//! split of a sample of a few ticks (4 ms each at 250 Hz) is rough.
//!
//! A command of the user's is a process that we wait for ourselves: `wait4` gives what that process
//! has used, with those of its descendants that were waited for before it ended, and no other.
//!
//! `unsafe`: `getrusage` and `wait4` write a `rusage`, and are given one that lives on the stack
//! during the call.
#![allow(unsafe_code)]

use std::io;
use std::iter::Sum;
use std::mem::MaybeUninit;
use std::ops::Add;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use serde::{Deserialize, Serialize};

/// CPU time and context switches: of a process since it began, or of a span of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode, in nanoseconds.
    pub user_ns: u64,
    /// CPU time in the kernel, in nanoseconds.
    pub system_ns: u64,
    /// Context switches because a thread waited.
    pub voluntary: u64,
    /// Context switches because the scheduler took the core away.
    pub involuntary: u64,
}

impl Usage {
    /// What this process has used since it began, over all its threads.
    ///
    /// # Panics
    /// Never: `getrusage` fails only for a bad address or a bad `who`, and is given neither.
    pub fn now() -> Self {
        let mut raw = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the pointer is to a `rusage` that is live and writable during the call.
        let code = unsafe { libc::getrusage(libc::RUSAGE_SELF, raw.as_mut_ptr()) };
        assert_eq!(code, 0, "getrusage(RUSAGE_SELF) does not fail");
        // SAFETY: all-zero bytes are a valid `rusage`, and the call has filled it since.
        Self::from_raw(&unsafe { raw.assume_init() })
    }

    /// Waits until a child has ended, and gives what it and its descendants have used: those
    /// that it, or one of them, waited for.
    ///
    /// # Errors
    /// When somebody else has waited for it already.
    pub fn wait(child: Child) -> io::Result<(ExitStatus, Self)> {
        let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        let mut status = 0;
        let mut raw = MaybeUninit::<libc::rusage>::zeroed();
        loop {
            // SAFETY: both pointers are to values that are live and writable during the call. The
            // process is our child and not waited for yet: we own its handle, so its id is its.
            let code = unsafe { libc::wait4(pid, &raw mut status, 0, raw.as_mut_ptr()) };
            if code == pid {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // SAFETY: all-zero bytes are a valid `rusage`, and the call has filled it since.
        let used = Self::from_raw(&unsafe { raw.assume_init() });
        Ok((ExitStatus::from_raw(status), used))
    }

    /// What was used between `earlier` and this. Saturates at 0, should the two be swapped.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }

    fn from_raw(raw: &libc::rusage) -> Self {
        Self {
            user_ns: nanoseconds(&raw.ru_utime),
            system_ns: nanoseconds(&raw.ru_stime),
            voluntary: count(raw.ru_nvcsw),
            involuntary: count(raw.ru_nivcsw),
        }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns + other.user_ns,
            system_ns: self.system_ns + other.system_ns,
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), Add::add)
    }
}

fn nanoseconds(time: &libc::timeval) -> u64 {
    // The field types differ between platforms; none is ever negative here.
    count(time.tv_sec) * 1_000_000_000 + count(time.tv_usec) * 1_000
}

fn count(n: impl TryInto<u64>) -> u64 {
    n.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(user_ns: u64, system_ns: u64, voluntary: u64, involuntary: u64) -> Usage {
        Usage { user_ns, system_ns, voluntary, involuntary }
    }

    #[test]
    fn a_difference_takes_each_field_from_its_own() {
        let difference = usage(10, 20, 30, 40).since(&usage(1, 2, 3, 4));
        assert_eq!(difference, usage(9, 18, 27, 36));
    }

    #[test]
    fn usages_of_workers_add_up() {
        let sum: Usage = [usage(1, 2, 3, 4), usage(10, 20, 30, 40)].into_iter().sum();
        assert_eq!(sum, usage(11, 22, 33, 44));
    }

    #[test]
    fn seconds_and_microseconds_become_nanoseconds() {
        let time = libc::timeval { tv_sec: 2, tv_usec: 345 };
        assert_eq!(nanoseconds(&time), 2_000_345_000);
    }

    #[test]
    fn work_uses_cpu_time_and_ended_threads_are_counted() {
        let before = Usage::now();
        let worked = std::thread::spawn(|| {
            // Until the clock of CPU time has moved, however coarse it is.
            let start = Usage::now();
            while Usage::now().since(&start).user_ns + Usage::now().since(&start).system_ns == 0 {
                std::hint::black_box((0..10_000u64).sum::<u64>());
            }
        });
        worked.join().expect("the thread does not panic");
        let used = Usage::now().since(&before);
        assert!(used.user_ns + used.system_ns > 0);
    }
}
