//! Limits on open files and on processes, from `getrlimit` and the kernel's settings.
//!
//! `unsafe`: `getrlimit` writes a `rlimit`, and is given one that lives on the stack during the
//! call.
#![allow(unsafe_code)]

use super::{least, line};

/// Open files that this process may have; absent where there is no limit.
pub(super) fn open_files() -> Option<u64> {
    #[cfg(unix)]
    return soft_limit(libc::RLIMIT_NOFILE);
    #[cfg(not(unix))]
    None
}

/// Processes and threads that may exist: the user's limit or the kernel's, whichever is less.
/// A control group can grant fewer.
pub(super) fn processes() -> Option<u64> {
    #[cfg(unix)]
    let of_user = soft_limit(libc::RLIMIT_NPROC);
    #[cfg(not(unix))]
    let of_user = None;
    least([of_user, setting("threads-max"), setting("pid_max")])
}

fn setting(name: &str) -> Option<u64> {
    line(format!("/proc/sys/kernel/{name}"))?.parse().ok()
}

#[cfg(unix)]
fn soft_limit(resource: Resource) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to an `rlimit` that is live and writable during the call.
    let code = unsafe { libc::getrlimit(resource, &raw mut limit) };
    (code == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The type of a resource's name, which differs between C libraries.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(all(unix, not(all(target_os = "linux", target_env = "gnu"))))]
type Resource = libc::c_int;

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_may_open_files() {
        assert!(open_files().is_none_or(|files| files > 2));
    }
}
