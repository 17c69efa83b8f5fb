//! One clock for all processes, the CPU time of a thread, and threads by number.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds on the monotonic clock, which is the same in all processes of a machine. `Instant`
/// reads it too, but keeps the number to itself.
pub(super) fn now_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// CPU time that this thread has used, in user mode and in the kernel.
pub(super) fn cpu_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The number of this thread in its process, in the order in which threads first asked.
pub(super) fn thread() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    thread_local!(static NUMBER: Cell<u32> = const { Cell::new(0) });
    NUMBER.with(|number| {
        if number.get() == 0 {
            // Relaxed: only the number matters.
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_cpu_time_grows_with_its_work_and_no_faster_than_the_clock() {
        let (wall, cpu) = (now_ns(), cpu_ns());
        while cpu_ns() == cpu {
            std::hint::spin_loop();
        }
        let used = cpu_ns() - cpu;
        assert!(used > 0 && used <= now_ns() - wall + 1_000_000, "{used}");
    }

    #[test]
    fn threads_have_numbers_of_their_own() {
        let here = thread();
        let there = std::thread::spawn(thread).join().expect("it only counts");
        assert_ne!(here, there);
        assert_eq!(here, thread());
    }
}
