//! Memory of a process tree, sampled from outside while the tree works.
//!
//! The figure is the sum of PSS, the proportional set size: a page that n processes share counts
//! 1/n in each, so the sum counts it once. Summed RSS would count it n times, which makes every
//! process pool look worse than it is. Pages that are swapped out are not in it.
//!
//! Reading a process walks its page tables and holds its `mmap_lock` for reading, which slows it
//! down. So this is done in launches that measure memory and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use manyhands_record::Memory;

use super::clock::Clock;

#[cfg(not(target_os = "linux"))]
#[path = "memory/elsewhere.rs"]
mod platform;
#[cfg(target_os = "linux")]
#[path = "memory/linux.rs"]
mod platform;

/// The pause between two readings, unless readings are slow: after one that took t, the pause is
/// at least 4 t.
pub const INTERVAL: Duration = Duration::from_millis(5);

/// After a reading that took t, the watch rests for at least 4 t: it takes at most a fifth of a
/// core, however large the tree is. The record states the longest gap that resulted.
const REST: u32 = 4;

/// A thread's stack in the kernel: 16 KiB on `x86_64` and aarch64.
const KERNEL_STACK: u64 = 16 * 1024;

/// Which processes count: a root and its descendants, without servers.
///
/// A server is a process with `__manyhands serve` among its arguments; neither it nor anything
/// below it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    root: u32,
    root_counts: bool,
}

impl Tree {
    /// The process `root` and its descendants.
    pub fn of(root: u32) -> Self {
        Self { root, root_counts: true }
    }

    /// The descendants of `root` without `root` itself: what a supervisor supervises. Orphans
    /// that a subreaper adopted are among them.
    pub fn below(root: u32) -> Self {
        Self { root, root_counts: false }
    }

    /// Reads the tree once. Processes that end meanwhile are left out.
    ///
    /// # Errors
    /// `NotFound` when the root has ended; `Unsupported` when this system does not tell;
    /// otherwise the process that could not be read, and why.
    pub fn read(&self) -> io::Result<TreeReading> {
        platform::read(self)
    }

    /// Resets the `VmHWM` of every process of the tree to what is resident now.
    ///
    /// # Errors
    /// As for [`Tree::read`], or for the first process that refused.
    pub fn reset_high_water(&self) -> io::Result<()> {
        platform::reset_tree(self)
    }
}

/// Resets the `VmHWM` of one process to what is resident now.
///
/// # Errors
/// `NotFound` when it has ended; `Unsupported` when this system has no such thing; otherwise
/// what the kernel said.
pub fn reset_high_water(pid: u32) -> io::Result<()> {
    platform::reset_high_water(pid)
}

/// The children of a process, zombies among them; none where the system does not tell.
///
/// For who must miss nobody that was there before the call, as one does who ends them: it looks
/// at every process of the machine, because the kernel's own list of children can skip some while
/// others end (proc(5)).
pub fn children(pid: u32) -> Vec<u32> {
    platform::children(pid)
}

/// Sum of PSS of this process and its descendants, servers excepted, in bytes; absent where it
/// cannot be read.
pub fn own_pss() -> Option<u64> {
    Tree::of(std::process::id()).read().ok().map(|reading| reading.pss)
}

/// This process and its descendants, servers excepted; only this one where the system does not
/// tell.
pub fn own_tree() -> Vec<u32> {
    let own = std::process::id();
    platform::processes(&Tree::of(own)).unwrap_or_else(|_| vec![own])
}

/// A tree at one moment, as far as processes read one after another are one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeReading {
    /// Sum of PSS, in bytes.
    pub pss: u64,
    /// The part of `pss` that lies in pages mapped by more than one process, inside the tree or
    /// outside of it (a C library, say), in bytes.
    pub shared: u64,
    /// Processes that have memory: zombies do not count.
    pub processes: u32,
    /// Threads of these processes.
    pub threads: u32,
    /// `VmHWM` of each process by its id, in bytes: since its reset or its exec.
    pub high_water: BTreeMap<u32, u64>,
}

/// Samples a tree on a thread of its own until it is stopped.
#[derive(Debug)]
pub struct Watch {
    /// Never sent on: dropping it is the signal to stop, so an abandoned watch ends as well.
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Tally>,
}

impl Watch {
    /// Resets the tree's high-water marks and takes the first reading before it returns; goes on
    /// every [`INTERVAL`], or less often where a reading takes long.
    ///
    /// # Errors
    /// When no thread can be started. That memory cannot be read is not an error: it is in the
    /// result, as the reason for what is absent.
    pub fn start(tree: Tree) -> io::Result<Self> {
        let mut tally = Tally::default();
        if let Err(error) = tree.reset_high_water() {
            tally.not_reset = Some(error.to_string());
        }
        let clock = Clock::start();
        let first = read_and_take(&tree, &clock, &mut tally);
        let (stop, stopped) = mpsc::channel();
        let watch = move || {
            if let Some(cost) = first {
                go_on(&tree, &clock, &mut tally, &stopped, cost);
            }
            tally
        };
        let thread = thread::Builder::new().name("memory-watch".to_owned()).spawn(watch)?;
        Ok(Self { stop, thread })
    }

    /// Takes a last reading and says what was seen. `before` is left absent: the caller knows
    /// which reading was the one at rest.
    pub fn stop(self) -> Memory {
        drop(self.stop);
        match self.thread.join() {
            Ok(tally) => tally.into_memory(),
            Err(_) => absent("the memory watch panicked"),
        }
    }
}

/// Takes readings until it is told to stop, then one more.
fn go_on(
    tree: &Tree,
    clock: &Clock,
    tally: &mut Tally,
    stopped: &mpsc::Receiver<()>,
    mut cost: Duration,
) {
    loop {
        let pause = INTERVAL.max(cost * REST);
        let last = stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
        match read_and_take(tree, clock, tally) {
            Some(next_cost) if !last => cost = next_cost,
            _ => return,
        }
    }
}

/// How long a reading took; nothing if there is no sense in another one.
fn read_and_take(tree: &Tree, clock: &Clock, tally: &mut Tally) -> Option<Duration> {
    let began_ns = clock.elapsed_ns();
    let reading = tree.read();
    let ended_ns = clock.elapsed_ns();
    tally.take(reading, began_ns, ended_ns).then(|| Duration::from_nanos(ended_ns - began_ns))
}

/// What a watch has seen so far.
#[derive(Debug, Default)]
struct Tally {
    /// The reading with the largest sum.
    peak: Option<TreeReading>,
    /// The last mark seen of each process. The last and not the largest: a mark only rises, except
    /// that between fork and exec a child shows its parent's, which is not its own.
    high_water: BTreeMap<u32, u64>,
    readings: u32,
    gap_ns: Option<u64>,
    previous_began_ns: Option<u64>,
    /// Why marks could not be reset: then they include the start-up and are left out.
    not_reset: Option<String>,
    /// Why a reading failed: then the sum is no sum and is left out.
    unread: Option<String>,
}

impl Tally {
    /// Adds a reading; false if there is no sense in another one.
    fn take(&mut self, reading: io::Result<TreeReading>, began_ns: u64, ended_ns: u64) -> bool {
        match reading {
            Ok(reading) => {
                self.add(reading, began_ns, ended_ns);
                true
            }
            // The tree has ended: what was seen until then stands.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.readings > 0 => false,
            Err(error) => {
                self.unread = Some(error.to_string());
                false
            }
        }
    }

    fn add(&mut self, reading: TreeReading, began_ns: u64, ended_ns: u64) {
        self.readings += 1;
        // From the begin of a reading to the end of the next: a peak that lasts longer than this
        // was seen, whichever process it was in and whenever in a reading that one had its turn.
        if let Some(previous) = self.previous_began_ns.replace(began_ns) {
            self.gap_ns = self.gap_ns.max(Some(ended_ns.saturating_sub(previous)));
        }
        self.high_water.extend(&reading.high_water);
        let is_peak = self.peak.as_ref().is_none_or(|peak| reading.pss > peak.pss);
        if is_peak && reading.processes > 0 {
            self.peak = Some(reading);
        }
    }

    fn into_memory(self) -> Memory {
        let reason = self.why_absent();
        let peak = self.peak.filter(|_| self.unread.is_none());
        let high_water = match self.not_reset {
            None => self.high_water.into_values().collect(),
            Some(_) => Vec::new(),
        };
        let figure = |get: fn(&TreeReading) -> u64| peak.as_ref().map(get);
        Memory {
            peak: figure(|peak| peak.pss),
            private: figure(|peak| peak.pss.saturating_sub(peak.shared)),
            shared: figure(|peak| peak.shared),
            high_water,
            kernel_stacks: figure(|peak| u64::from(peak.threads) * KERNEL_STACK),
            readings: self.readings,
            gap_ns: self.gap_ns,
            processes: peak.as_ref().map_or(0, |peak| peak.processes),
            threads: peak.as_ref().map_or(0, |peak| peak.threads),
            absent: reason,
            ..Memory::default()
        }
    }

    fn why_absent(&self) -> Option<String> {
        if let Some(reason) = &self.unread {
            return Some(reason.clone());
        }
        if self.peak.is_none() {
            return Some("no process of the tree was seen alive".to_owned());
        }
        self.not_reset.as_ref().map(|reason| format!("high-water marks: {reason}"))
    }
}

/// No figures, and why.
pub fn absent(reason: &str) -> Memory {
    let tally = Tally { unread: Some(reason.to_owned()), ..Tally::default() };
    tally.into_memory()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn reading(pss: u64, processes: u32, marks: &[(u32, u64)]) -> TreeReading {
        let high_water = marks.iter().copied().collect();
        TreeReading { pss, shared: pss / 2, processes, threads: processes * 2, high_water }
    }

    fn failed(kind: io::ErrorKind, text: &str) -> io::Result<TreeReading> {
        Err(io::Error::new(kind, text.to_owned()))
    }

    #[test]
    fn the_peak_is_the_largest_sum_and_brings_its_own_counts() {
        let mut tally = Tally::default();
        assert!(tally.take(Ok(reading(10 * MIB, 1, &[(7, 11 * MIB)])), 0, 1));
        assert!(tally.take(Ok(reading(30 * MIB, 2, &[(7, 12 * MIB), (8, 20 * MIB)])), 5, 7));
        assert!(tally.take(Ok(reading(20 * MIB, 3, &[(7, 12 * MIB), (9, MIB)])), 11, 12));
        let expected = Memory {
            peak: Some(30 * MIB),
            private: Some(15 * MIB),
            shared: Some(15 * MIB),
            high_water: vec![12 * MIB, 20 * MIB, MIB],
            kernel_stacks: Some(4 * 16 * 1024),
            readings: 3,
            gap_ns: Some(7),
            processes: 2,
            threads: 4,
            ..Memory::default()
        };
        assert_eq!(tally.into_memory(), expected);
    }

    #[test]
    fn a_mark_inherited_by_fork_gives_way_to_the_childs_own() {
        let mut tally = Tally::default();
        tally.add(reading(MIB, 2, &[(1, 50 * MIB), (2, 50 * MIB)]), 0, 1);
        tally.add(reading(MIB, 2, &[(1, 50 * MIB), (2, MIB)]), 2, 3);
        assert_eq!(tally.into_memory().high_water, [50 * MIB, MIB]);
    }

    #[test]
    fn one_reading_has_no_gap() {
        let mut tally = Tally::default();
        tally.add(reading(MIB, 1, &[]), 0, 1);
        assert_eq!(tally.into_memory().gap_ns, None);
    }

    #[test]
    fn a_tree_that_ends_keeps_what_was_seen() {
        let mut tally = Tally::default();
        tally.add(reading(MIB, 1, &[]), 0, 1);
        assert!(!tally.take(failed(io::ErrorKind::NotFound, "process 7 has ended"), 2, 3));
        let memory = tally.into_memory();
        assert_eq!((memory.peak, memory.absent), (Some(MIB), None));
    }

    #[test]
    fn a_sum_that_misses_a_process_is_absent_with_its_reason() {
        let mut tally = Tally::default();
        tally.add(reading(MIB, 1, &[(1, MIB)]), 0, 1);
        assert!(!tally.take(failed(io::ErrorKind::PermissionDenied, "no: process 8"), 2, 3));
        let memory = tally.into_memory();
        assert_eq!(memory.peak, None);
        assert_eq!(memory.kernel_stacks, None);
        assert_eq!(memory.absent.as_deref(), Some("no: process 8"));
    }

    #[test]
    fn marks_that_could_not_be_reset_are_left_out_and_the_peak_stays() {
        let mut tally = Tally { not_reset: Some("denied".to_owned()), ..Tally::default() };
        tally.add(reading(MIB, 1, &[(1, MIB)]), 0, 1);
        let memory = tally.into_memory();
        assert_eq!((memory.peak, memory.high_water.len()), (Some(MIB), 0));
        assert_eq!(memory.absent.as_deref(), Some("high-water marks: denied"));
    }

    #[test]
    fn a_tree_that_was_never_seen_has_no_peak_rather_than_an_empty_one() {
        let mut tally = Tally::default();
        tally.add(reading(0, 0, &[]), 0, 1);
        let memory = tally.into_memory();
        assert_eq!(memory.peak, None);
        assert_eq!(memory.absent.as_deref(), Some("no process of the tree was seen alive"));
    }
}
