//! Memory that the processes of a cell share and count their tasks in.
//!
//! All of it is 64-bit words, and every word an atomic: whoever runs a task adds to the counts of
//! its lane, to two histograms, and takes the next slot for its event until there are none left.
//!
//! Orderings are relaxed throughout. While tasks run nobody reads what others write, but for the
//! number of the next slot, of which only the number matters. Who reads, the cell's own process
//! after a phase, does so when the executor has handed it the partials of all tasks: by locks,
//! channels or sockets, which order what was written before them.
//!
//! This is one of the few modules with `unsafe`. The argument: the mapping is page-aligned, as long
//! as it says, zeroed by the kernel, and lives as long as the [`Arena`]; all bits are a valid
//! `AtomicU64`; the words are only ever shared, never viewed as exclusive or as anything else. That
//! another process keeps to this is beyond Rust's model and rests on its running the same code.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_contract::{InputError, Mark, Seat};
use manyhands_record::Histogram;
use manyhands_record::trace::Event;
use manyhands_record::trace::histogram::{BUCKETS, bucket};
use memmap2::{MmapOptions, MmapRaw};

use super::shares::Lane;

/// What the first word holds, to notice a file that is something else.
const MARK: u64 = 0x6d68_7472_6163_6531;

/// Words of a cache line. Every part begins on one, and so does every lane.
const LINE: usize = 8;

/// In the first line: [`MARK`], and of what size the parts are.
const LANES: usize = 1;
const SHARDS: usize = 2;
const CAP: usize = 3;
/// In the second line: when the sample began, and the lane to look at first for a free one.
const BEGAN: usize = LINE;
const FREE: usize = LINE + 1;
/// In the third line, which every worker writes: the next slot for an event.
const NEXT: usize = 2 * LINE;
/// Words before the lanes.
const HEADER: usize = 3 * LINE;

/// In a lane's line: whether it is taken, and what it did in this phase.
const TAKEN: usize = 0;
const TASKS: usize = 1;
const END: usize = 2;
const COMPUTING: usize = 3;
const WAITING: usize = 4;
const PACED: usize = 5;

/// Lanes beyond the workers: rayon makes a worker's state anew while a task waits inside another.
const SPARE: usize = 16;

/// Histograms of each kind, at most: with one for all, tasks of like length would have all cores
/// add to the same word. They are summed when read.
const MOST_SHARDS: usize = 8;

/// One task, as its worker saw it; times as the clock says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ran {
    pub(super) task: usize,
    /// When it could have started: its phase began, or it was due.
    pub(super) ready_ns: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// CPU time of its thread, from `lead_ns` before its start.
    pub(super) cpu_ns: u64,
    /// What lay between the last reading of the CPU clock and its start: our own counting, and
    /// time without a core.
    pub(super) lead_ns: u64,
    /// How long its lane waited before it was due.
    pub(super) paced_ns: u64,
}

/// A view of the shared memory.
#[derive(Debug)]
pub(super) struct Arena {
    raw: MmapRaw,
    /// Keeps the file there for other processes to open.
    file: Backing,
    /// The process that made it, which alone clears it.
    maker: Option<u32>,
    lanes: usize,
    shards: usize,
    cap: usize,
}

impl Arena {
    /// For `workers` workers, and events of at most `cap` tasks.
    pub(super) fn make(workers: usize, cap: u64) -> Result<Self, InputError> {
        let lanes = workers.saturating_add(SPARE);
        let shards = workers.clamp(1, MOST_SHARDS);
        let cap = usize::try_from(cap).unwrap_or(usize::MAX);
        let refuse = |error: std::io::Error| {
            InputError(format!("cannot share memory to trace {workers} workers in: {error}"))
        };
        let words = words(lanes, shards, cap).ok_or_else(|| {
            refuse(std::io::Error::other("its size is beyond what can be addressed"))
        })?;
        let file = Backing::new().map_err(refuse)?;
        file.file().set_len(words as u64 * 8).map_err(refuse)?;
        let raw = map(file.file(), words).map_err(refuse)?;
        let maker = Some(std::process::id());
        let arena = Self { raw, file, maker, lanes, shards, cap };
        for (word, value) in [(LANES, lanes), (SHARDS, shards), (CAP, cap)] {
            arena.words()[word].store(value as u64, Ordering::Relaxed);
        }
        arena.words()[0].store(MARK, Ordering::Relaxed);
        Ok(arena)
    }

    /// In another process than the one that made it.
    pub(super) fn open(path: &Path) -> Result<Self, InputError> {
        let refuse = |error: std::io::Error| {
            InputError(format!("cannot open the memory to trace in, {}: {error}", path.display()))
        };
        let file = File::options().read(true).write(true).open(path).map_err(refuse)?;
        let len = file.metadata().map_err(refuse)?.len() as usize / 8;
        let other = || refuse(std::io::Error::other("it was not made by this program"));
        if len < HEADER {
            return Err(other());
        }
        let raw = map(&file, len).map_err(refuse)?;
        let file = Backing::Opened(path.to_owned());
        let mut arena = Self { raw, file, maker: None, lanes: 0, shards: 0, cap: 0 };
        let [mark, lanes, shards, cap] = [0, LANES, SHARDS, CAP]
            .map(|word| arena.words()[word].load(Ordering::Relaxed) as usize);
        if mark as u64 != MARK || words(lanes, shards, cap) != Some(len) {
            return Err(other());
        }
        (arena.lanes, arena.shards, arena.cap) = (lanes, shards, cap);
        Ok(arena)
    }

    /// Where other processes open it, as long as this lives.
    pub(super) fn path(&self) -> PathBuf {
        self.file.path()
    }

    fn words(&self) -> &[AtomicU64] {
        let (pointer, len) = (self.raw.as_mut_ptr(), self.raw.len() / 8);
        // SAFETY: see the head of this module.
        unsafe { std::slice::from_raw_parts(pointer.cast(), len) }
    }

    fn lane(&self, lane: u32) -> &[AtomicU64] {
        let start = HEADER + (lane as usize).min(self.lanes - 1) * LINE;
        &self.words()[start..start + LINE]
    }

    /// The lanes, all as one stretch.
    fn all_lanes(&self) -> &[AtomicU64] {
        &self.words()[HEADER..HEADER + self.lanes * LINE]
    }

    /// The histograms of one kind, latency (0) or queue wait (1), one after the other.
    fn histograms(&self, kind: usize) -> &[AtomicU64] {
        let len = self.shards * BUCKETS;
        let start = HEADER + self.lanes * LINE + kind * len;
        &self.words()[start..start + len]
    }

    fn slots(&self) -> &[AtomicU64] {
        let len = self.cap * LINE;
        &self.words()[self.words().len() - len..]
    }

    /// Forgets the last sample; in the process that made it, and elsewhere nothing.
    pub(super) fn clear(&self) {
        if self.maker != Some(std::process::id()) {
            return;
        }
        self.words()[NEXT].store(0, Ordering::Relaxed);
        let _ = self.take_lanes();
        for word in self.histograms(0).iter().chain(self.histograms(1)) {
            // Looked at first: a page that was never counted on need not be written.
            if word.load(Ordering::Relaxed) != 0 {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// The sample's tasks begin to run now.
    pub(super) fn begin(&self, began_ns: u64) {
        self.words()[BEGAN].store(began_ns, Ordering::Relaxed);
    }

    /// A free lane. Should there be none left, the last one, which who comes late share: their
    /// tasks are counted as those of one lane, and nothing is lost.
    pub(super) fn enter(&self) -> u32 {
        let own = self.lanes - 1;
        let free = |lane: &usize| {
            let taken = &self.all_lanes()[lane * LINE + TAKEN];
            let take = || taken.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
            taken.load(Ordering::Relaxed) == 0 && take().is_ok()
        };
        // A million futures that each looked from the start would look for minutes.
        let hint = &self.words()[FREE];
        let first = (hint.load(Ordering::Relaxed) as usize).min(own);
        let Some(lane) = (first..own).chain(0..first).find(free) else { return own as u32 };
        hint.store(lane as u64 + 1, Ordering::Relaxed);
        lane as u32
    }

    /// Gives a lane back.
    pub(super) fn leave(&self, lane: u32) {
        self.lane(lane)[TAKEN].store(0, Ordering::Relaxed);
        self.words()[FREE].fetch_min(u64::from(lane), Ordering::Relaxed);
    }

    /// Counts a task. `open`: its latency counts from when it was due, and not from its start.
    pub(super) fn record(&self, seat: Seat, mark: Mark, thread: u32, ran: &Ran, open: bool) {
        let took_ns = ran.end_ns.saturating_sub(ran.start_ns);
        // The two clocks are not read at the same instant.
        let computing_ns = ran.cpu_ns.min(took_ns);
        // A thread whose time is up loses its core in our system call: without that it would
        // have lost it in the task, where it counts as waiting.
        let waiting_ns = (ran.lead_ns + took_ns).saturating_sub(ran.cpu_ns);
        let lane = self.lane(seat.lane);
        let add = |word: usize, n: u64| lane[word].fetch_add(n, Ordering::Relaxed);
        add(TASKS, 1);
        add(COMPUTING, computing_ns);
        add(WAITING, waiting_ns.max(took_ns - computing_ns));
        add(PACED, ran.paced_ns);
        lane[END].fetch_max(ran.end_ns, Ordering::Relaxed);
        let from_ns = if open { ran.ready_ns } else { ran.start_ns };
        let shard = seat.lane as usize % self.shards * BUCKETS;
        let spans = [(ran.end_ns, from_ns), (ran.start_ns, ran.ready_ns)];
        for (kind, (to_ns, from_ns)) in spans.into_iter().enumerate() {
            let bucket = bucket(to_ns.saturating_sub(from_ns));
            self.histograms(kind)[shard + bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.keep(seat, mark, thread, ran, computing_ns);
    }

    /// Keeps the event while there is room: the first tasks to end.
    fn keep(&self, seat: Seat, mark: Mark, thread: u32, ran: &Ran, cpu_ns: u64) {
        let next = &self.words()[NEXT];
        // Looked at first: with no room left, workers need not take turns at writing it.
        if next.load(Ordering::Relaxed) >= self.cap as u64 {
            return;
        }
        let slot = next.fetch_add(1, Ordering::Relaxed) as usize;
        if slot >= self.cap {
            return;
        }
        let event = [
            ran.task as u64,
            u64::from(mark.phase) << 32 | u64::from(seat.lane),
            u64::from(seat.process) << 32 | u64::from(thread),
            ran.ready_ns,
            ran.start_ns,
            ran.end_ns,
            cpu_ns,
        ];
        for (word, value) in self.slots()[slot * LINE..].iter().zip(event) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// What the lanes that had a task did in the phase that has ended; the next one begins at 0.
    pub(super) fn take_lanes(&self) -> Vec<Lane> {
        let lanes = self.all_lanes().chunks_exact(LINE);
        let with_tasks = lanes.filter(|lane| lane[TASKS].load(Ordering::Relaxed) > 0);
        with_tasks
            .map(|lane| {
                let take = |word: usize| lane[word].swap(0, Ordering::Relaxed);
                Lane {
                    tasks: take(TASKS),
                    end_ns: take(END),
                    computing_ns: take(COMPUTING),
                    waiting_ns: take(WAITING),
                    paced_ns: take(PACED),
                }
            })
            .collect()
    }

    /// The events that were kept, in the order in which their tasks ended.
    pub(super) fn events(&self) -> Vec<Event> {
        let kept = self.words()[NEXT].load(Ordering::Relaxed).min(self.cap as u64) as usize;
        let began_ns = self.words()[BEGAN].load(Ordering::Relaxed);
        let event = |slot: &[AtomicU64]| {
            let word = |index: usize| slot[index].load(Ordering::Relaxed);
            let since = |index: usize| word(index).saturating_sub(began_ns);
            Event {
                task: word(0),
                phase: (word(1) >> 32) as u32,
                lane: word(1) as u32,
                process: (word(2) >> 32) as u32,
                thread: word(2) as u32,
                queued_ns: since(3),
                start_ns: since(4),
                end_ns: since(5),
                cpu_ns: word(6),
            }
        };
        self.slots().chunks_exact(LINE).take(kept).map(event).collect()
    }

    /// How long tasks took.
    pub(super) fn latency(&self) -> Histogram {
        self.histogram(0)
    }

    /// How long tasks waited before they started.
    pub(super) fn queue(&self) -> Histogram {
        self.histogram(1)
    }

    fn histogram(&self, kind: usize) -> Histogram {
        let all = self.histograms(kind);
        let sum = |bucket: usize| -> u64 {
            let shards = all[bucket..].iter().step_by(BUCKETS);
            shards.map(|count| count.load(Ordering::Relaxed)).sum()
        };
        Histogram::from_counts((0..BUCKETS).map(sum))
    }
}

/// Words of an arena; `None` where they are too many.
fn words(lanes: usize, shards: usize, cap: usize) -> Option<usize> {
    let histograms = shards.checked_mul(2 * BUCKETS)?;
    let lines = lanes.checked_add(cap)?.checked_mul(LINE)?;
    let words = HEADER.checked_add(histograms)?.checked_add(lines)?;
    words.checked_mul(8).filter(|bytes| isize::try_from(*bytes).is_ok()).map(|_| words)
}

fn map(file: &File, words: usize) -> std::io::Result<MmapRaw> {
    MmapOptions::new().len(words * 8).map_raw(file)
}

/// Where the memory's pages are, and by which name others open it.
#[derive(Debug)]
enum Backing {
    /// Memory without a name of its own: it goes with its last user, whatever they die of.
    #[cfg(target_os = "linux")]
    Memory(File),
    /// A file, where there is no such thing.
    #[cfg(not(target_os = "linux"))]
    Named(tempfile::NamedTempFile),
    /// It is another process's.
    Opened(PathBuf),
}

impl Backing {
    #[cfg(target_os = "linux")]
    fn new() -> std::io::Result<Self> {
        use rustix::fs::{MemfdFlags, memfd_create};
        let memory = memfd_create("manyhands-trace", MemfdFlags::CLOEXEC)?;
        Ok(Self::Memory(File::from(memory)))
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> std::io::Result<Self> {
        tempfile::NamedTempFile::new().map(Self::Named)
    }

    fn file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            Self::Memory(file) => file,
            #[cfg(not(target_os = "linux"))]
            Self::Named(file) => file.as_file(),
            Self::Opened(_) => unreachable!("asked only of what was just made"),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            #[cfg(target_os = "linux")]
            Self::Memory(file) => {
                use std::os::fd::AsRawFd;
                let (process, number) = (std::process::id(), file.as_raw_fd());
                PathBuf::from(format!("/proc/{process}/fd/{number}"))
            }
            #[cfg(not(target_os = "linux"))]
            Self::Named(file) => file.path().to_owned(),
            Self::Opened(path) => path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: Mark = Mark { phase: 2, began_ns: 1_000 };

    fn ran(task: usize, start_ns: u64, end_ns: u64, cpu_ns: u64) -> Ran {
        let ready_ns = MARKED.began_ns;
        Ran { task, ready_ns, start_ns, end_ns, cpu_ns, lead_ns: 0, paced_ns: 0 }
    }

    fn seat(lane: u32) -> Seat {
        Seat { lane, process: 7 }
    }

    #[test]
    fn a_task_is_in_its_lane_in_both_histograms_and_among_the_events() {
        let arena = Arena::make(2, 10).expect("memory");
        arena.begin(500);
        arena.record(seat(1), MARKED, 3, &ran(9, 1_200, 1_500, 1_000), false);
        let lane = Lane { tasks: 1, end_ns: 1_500, computing_ns: 300, waiting_ns: 0, paced_ns: 0 };
        assert_eq!(arena.take_lanes(), [lane]);
        assert_eq!(arena.take_lanes(), [], "a phase begins at 0");
        assert_eq!(arena.latency().buckets, [(300, 1)]);
        assert_eq!(arena.queue().buckets, [(200, 1)]);
        let event = Event {
            task: 9,
            phase: 2,
            process: 7,
            lane: 1,
            thread: 3,
            queued_ns: 500,
            start_ns: 700,
            end_ns: 1_000,
            cpu_ns: 300,
        };
        assert_eq!(arena.events(), [event]);
    }

    #[test]
    fn a_core_lost_before_a_task_is_waited_for_and_our_own_counting_is_not() {
        let arena = Arena::make(1, 0).expect("memory");
        // 300 ns on a core, of which the task had 200 of its 200, and 900 off it before.
        let lost = Ran { lead_ns: 1_000, ..ran(0, 3_000, 3_200, 300) };
        arena.record(seat(0), MARKED, 0, &lost, false);
        let lane = arena.take_lanes()[0];
        assert_eq!((lane.computing_ns, lane.waiting_ns), (200, 900));
        let counting = Ran { lead_ns: 100, ..ran(0, 3_000, 3_200, 300) };
        arena.record(seat(0), MARKED, 0, &counting, false);
        let lane = arena.take_lanes()[0];
        assert_eq!((lane.computing_ns, lane.waiting_ns), (200, 0));
    }

    #[test]
    fn in_an_open_loop_latency_counts_from_when_the_task_was_due() {
        let arena = Arena::make(1, 10).expect("memory");
        arena.record(seat(0), MARKED, 0, &ran(0, 1_400, 1_500, 0), true);
        assert_eq!(arena.latency().buckets, [(500, 1)]);
    }

    #[test]
    fn beyond_the_cap_tasks_are_counted_and_the_first_ones_are_kept() {
        let arena = Arena::make(3, 3).expect("memory");
        arena.begin(0);
        for task in 0..5 {
            let end_ns = 2_000 + task as u64;
            arena.record(seat(task as u32 % 3), MARKED, 0, &ran(task, 1_500, end_ns, 1), false);
        }
        let kept: Vec<u64> = arena.events().iter().map(|event| event.task).collect();
        assert_eq!(kept, [0, 1, 2]);
        assert_eq!(arena.latency().count(), 5);
        assert_eq!(arena.take_lanes().iter().map(|lane| lane.tasks).sum::<u64>(), 5);
        arena.clear();
        assert_eq!((arena.events().len(), arena.latency().count()), (0, 0));
    }

    #[test]
    fn another_view_of_the_same_memory_counts_into_it_and_clears_nothing() {
        let arena = Arena::make(2, 10).expect("memory");
        let other = Arena::open(&arena.path()).expect("a file of this process");
        other.record(seat(0), MARKED, 0, &ran(1, 1_100, 1_200, 50), false);
        other.clear();
        assert_eq!(arena.events().len(), 1);
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(1 << 20).expect("room");
        let error = Arena::open(file.path()).unwrap_err().to_string();
        assert!(error.contains("was not made by this program"), "{error}");
    }

    #[test]
    fn lanes_are_taken_by_one_at_a_time_and_given_back() {
        let arena = Arena::make(2, 0).expect("memory");
        let taken: Vec<u32> = (0..2 + SPARE as u32).map(|_| arena.enter()).collect();
        assert_eq!(taken, (0..2 + SPARE as u32).collect::<Vec<_>>());
        arena.leave(1);
        arena.leave(5);
        assert_eq!([arena.enter(), arena.enter()], [1, 5]);
        assert_eq!(arena.enter(), taken[taken.len() - 1], "who comes late share the last");
    }
}
