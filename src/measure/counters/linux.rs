//! Linux: `perf_event_open(2)`.

use std::fs;
use std::io;

use manyhands_record::Hardware;
use perf_event::events::{Event, Hardware as Kind, Software};
use perf_event::{Builder, Counter};

use super::Counts;

/// With more threads than this, attaching takes longer than a sample and descriptors run out:
/// five counters a thread, and a process may have 1024 descriptors as a rule.
const MANY_THREADS: usize = 128;

/// Counters attached to threads; detached when dropped.
#[derive(Debug)]
pub struct Counters {
    migrations: Attached,
    cycles: Attached,
    instructions: Attached,
    cache_misses: Attached,
    branch_misses: Attached,
}

impl Counters {
    /// Attaches to all threads of these processes, and to what they start from now on.
    ///
    /// # Errors
    /// When there are too many threads, or none of the counters can be had: why.
    pub fn attach(processes: &[u32]) -> Result<Self, String> {
        let threads: Vec<i32> = processes.iter().flat_map(|&process| threads(process)).collect();
        if threads.len() > MANY_THREADS {
            let count = threads.len();
            return Err(format!("{count} threads: counters are for at most {MANY_THREADS}"));
        }
        let hardware = |kind: Kind| Attached::to(&threads, kind, false);
        let counters = Self {
            // A migration happens in the kernel, so a counter that leaves the kernel out sees none.
            migrations: Attached::to(&threads, Software::CPU_MIGRATIONS, true),
            cycles: hardware(Kind::CPU_CYCLES),
            instructions: hardware(Kind::INSTRUCTIONS),
            cache_misses: hardware(Kind::CACHE_MISSES),
            branch_misses: hardware(Kind::BRANCH_MISSES),
        };
        match &counters.migrations {
            Attached(Err(reason)) if counters.hardware_is_absent() => Err(reason.clone()),
            _ => Ok(counters),
        }
    }

    fn hardware_is_absent(&self) -> bool {
        let hardware = [&self.cycles, &self.instructions, &self.cache_misses, &self.branch_misses];
        hardware.iter().all(|counter| counter.0.is_err())
    }

    /// What was counted since they were attached.
    pub fn detach(self) -> Counts {
        let absent = self.hardware_is_absent();
        let hardware = Hardware {
            cycles: self.cycles.total(),
            instructions: self.instructions.total(),
            cache_misses: self.cache_misses.total(),
            branch_misses: self.branch_misses.total(),
        };
        Counts { migrations: self.migrations.total(), hardware: (!absent).then_some(hardware) }
    }
}

/// One event on several threads, or why it cannot be counted.
#[derive(Debug)]
struct Attached(Result<Vec<Counter>, String>);

impl Attached {
    fn to<E: Event + Clone>(threads: &[i32], event: E, kernel: bool) -> Self {
        let attach = |&thread: &i32| match attach(thread, event.clone(), kernel) {
            // A thread that has ended meanwhile has nothing to count.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => None,
            attached => Some(attached),
        };
        let counters: io::Result<Vec<Counter>> = threads.iter().filter_map(attach).collect();
        Self(counters.map_err(|error| reason(&error)))
    }

    /// The sum over the threads and all that they started; absent if one cannot be read, or was
    /// off its counter for a part of the time because others wanted it too.
    fn total(self) -> Option<u64> {
        let mut total = 0;
        for mut counter in self.0.ok()? {
            let read = counter.read_full().ok()?;
            if read.time_running() < read.time_enabled() {
                return None;
            }
            total += read.count();
        }
        Some(total)
    }
}

fn attach(thread: i32, event: impl Event, kernel: bool) -> io::Result<Counter> {
    let mut builder = Builder::new(event);
    builder.observe_pid(thread).any_cpu().inherit(true);
    if kernel {
        builder.include_kernel();
    }
    let mut counter = builder.build()?;
    counter.enable()?;
    Ok(counter)
}

/// Why there are no hardware counters; nothing where there are.
pub fn unavailable() -> Option<String> {
    attach(0, Kind::INSTRUCTIONS, false).err().map(|error| reason(&error))
}

fn reason(error: &io::Error) -> String {
    let why = match error.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV) => {
            "this machine has no such counters, as most virtual machines have none"
        }
        Some(libc::EACCES | libc::EPERM) => {
            "the kernel does not allow it; 'sysctl kernel.perf_event_paranoid=1' does"
        }
        Some(libc::ENOSYS) => "this kernel was built without it",
        _ => return format!("perf_event_open: {error}"),
    };
    format!("perf_event_open: {why}")
}

fn threads(process: u32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
