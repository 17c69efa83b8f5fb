//! What the kernel and the processor count: migrations, cycles, instructions, misses.
//!
//! Through `perf_event_open(2)`, one counter for each event and each thread that exists when the
//! sample begins; threads and processes that start later inherit them. An attached counter makes
//! every context switch a little slower, so this is done in one sample of its own, in launches
//! whose times are never used.
//!
//! Many machines give no hardware counters: virtual machines mostly have none, containers mostly
//! may not ask. Then they are absent and the record has the reason.

use manyhands_record::Hardware;

#[cfg(not(target_os = "linux"))]
#[path = "counters/elsewhere.rs"]
mod platform;
#[cfg(target_os = "linux")]
#[path = "counters/linux.rs"]
mod platform;

pub use platform::{Counters, unavailable};

/// What was counted while [`Counters`] were attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// How often a thread was moved to another processor.
    pub migrations: Option<u64>,
    /// Absent where no counter could be attached.
    pub hardware: Option<Hardware>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_see_a_moved_thread_or_say_why_there_are_none() {
        let counters = Counters::attach(&[std::process::id()]);
        let moved = std::thread::spawn(move_between_two_cores).join().expect("it does not panic");
        match counters.map(Counters::detach) {
            Ok(counts) => {
                assert!(counts.migrations.is_none_or(|count| count >= moved), "{counts:?}");
                assert!(counts.hardware.is_some() || unavailable().is_some());
            }
            Err(reason) => assert!(!reason.is_empty()),
        }
    }

    /// Forces itself from one core to another; how often it was moved for certain.
    #[cfg(target_os = "linux")]
    fn move_between_two_cores() -> u64 {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let allowed = sched_getaffinity(None).expect("every thread may ask");
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&c| allowed.is_set(c)).collect();
        let [first, second, ..] = cores[..] else { return 0 };
        let mut moved = 0;
        for core in [first, second, first, second] {
            let mut only = CpuSet::new();
            only.set(core);
            moved += u64::from(sched_setaffinity(None, &only).is_ok());
        }
        // It may have begun on the first of them.
        moved.saturating_sub(1)
    }

    #[cfg(not(target_os = "linux"))]
    fn move_between_two_cores() -> u64 {
        0
    }
}
