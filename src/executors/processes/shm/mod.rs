//! `processes:shm`: the input, the task counter and the results are in one shared mapping.
//!
//! A worker takes its next chunk with one atomic addition and leaves the result in a ring of its
//! own; no system call is made per chunk by anybody. Workers wait on futexes: at the [`gate`]
//! between phases, at their [`ring`] when it is full. The coordinator does not: it waits in `poll`
//! on the workers' sockets, because a futex cannot tell of a death, and a dead worker must be
//! noticed at once. Workers send it a byte or two there on the rare edges: a ring is half full, a
//! phase is finished. Those few system calls are nothing next to thousands of results per ring.
//!
//! Between phases the sockets carry what they carry for `processes`: reset, CPU time, errors.

mod arena;
mod futex;
mod gate;
mod record;
mod ring;
pub(super) mod worker;

use std::sync::Arc;

use manyhands_contract::{Map, Storage};
use manyhands_record::{Failure, FailureKind};

use super::super::merge::Merger;
use super::super::{Actual, Executor, Setup, caught, chunk_range, failed};
use super::crew::{self, Crew};
use super::dispatch::merge;
use super::frames::{self, FromWorker, ToWorker};
use super::spawn::recipe_of;
use crate::measure::Usage;
use arena::RingBytes;
use gate::Command;
use ring::Consumer;

pub(super) use arena::Arena;

/// `processes:shm`.
#[derive(Debug)]
pub(in crate::executors) struct Shm<M> {
    work: Arc<M>,
    /// Keeps the memory file open.
    _storage: Arc<Storage>,
    arena: Arc<Arena>,
    crew: Crew,
}

impl<M: Map> Executor<M> for Shm<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let recipe = recipe_of(&setup)?;
        let workers = setup.workers.get();
        let memory = setup.storage.file().ok_or_else(|| {
            let reason = "processes:shm needs the workload's buffers in shared memory";
            failed(FailureKind::Unsupported, reason)
        })?;
        let arena = Arena::make(&setup.storage, workers)
            .map_err(|error| failed(FailureKind::Unsupported, error))?;
        let arena = Arc::new(arena);
        let crew = Crew::exec(recipe, workers, Some((memory, Arc::clone(&arena))))?;
        Ok(Self { work: setup.work, _storage: setup.storage, arena, crew })
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let Self { work, arena, crew, .. } = self;
        let mut packed = Vec::new();
        frames::append_value(&mut packed, phase)?;
        arena.open_phase(&packed, tasks, chunk)?;
        let mut results = Results::new(&**work, arena, crew.len());
        let mut finished = 0;
        while finished < crew.len() {
            let exchanged = crew.exchange(|worker, mut frame| {
                match frames::take_value(&mut frame)? {
                    FromWorker::Drain => {}
                    FromWorker::Finished => finished += 1,
                    FromWorker::Failed(failure) => return Err(failure),
                    _ => return Err(crew::unexpected(worker)),
                }
                Ok(())
            });
            exchanged.map_err(|trouble| {
                crew.explain(trouble, |worker| running(arena, worker, tasks, chunk))
            })?;
            results.drain()?;
        }
        // Acquires what the workers wrote, results and output buffers; then drains once more, so
        // that this rests on the count alone and not on what the kernel's sockets order.
        assert_eq!(arena.control().gate.finished(), crew.len(), "every worker has said so");
        results.drain()?;
        Ok(results.merger.finish(tasks))
    }

    fn reset(&mut self, work: &M) -> Result<(), Failure> {
        self.arena.control().gate.open(Command::Listen);
        // One after the other, and last this process: all clear the same shared buffers.
        for worker in 0..self.crew.len() {
            self.crew.ask(worker, &ToWorker::Reset, crew::is_ready)?;
        }
        caught(|| work.reset())
    }

    fn workers_usage(&mut self) -> Result<Usage, Failure> {
        self.arena.control().gate.open(Command::Listen);
        self.crew.usage()
    }

    fn actual(&self) -> Actual {
        Actual { threads: self.crew.len(), processes: self.crew.len() }
    }

    fn stop(self) -> Result<(), Failure> {
        self.crew.stop()
    }
}

/// What a worker was at, as the end of a sentence about it.
fn running(arena: &Arena, worker: usize, tasks: usize, chunk: usize) -> String {
    match arena.seat(worker).running() {
        Some(index) => {
            let range = chunk_range(index, chunk, tasks);
            format!(" with tasks {}..{} in flight", range.start, range.end)
        }
        None => String::new(),
    }
}

/// The results of one phase on their way out of the rings.
struct Results<'a, M: Map> {
    work: &'a M,
    readers: Vec<Reader<'a>>,
    merger: Merger<M::Partial>,
}

/// One ring, with its first record copied out.
struct Reader<'a> {
    ring: Consumer<'a, RingBytes<'a>>,
    record: Vec<u8>,
    /// The record's first task; `None` when there is no record.
    first: Option<usize>,
}

impl Reader<'_> {
    #[inline]
    fn advance(&mut self) {
        let more = self.ring.next(&mut self.record);
        self.first = more.then(|| record::tasks(&self.record).start);
    }
}

impl<'a, M: Map> Results<'a, M> {
    fn new(work: &'a M, arena: &'a Arena, workers: usize) -> Self {
        let reader =
            |worker| Reader { ring: arena.consumer(worker), record: Vec::new(), first: None };
        Self { work, readers: (0..workers).map(reader).collect(), merger: Merger::new() }
    }

    /// Merges what was in the rings when it began: what comes in meanwhile waits for the next
    /// time, so that a death is noticed however fast the others are.
    ///
    /// Always the ring whose first record has the least task: each ring's records ascend, so this
    /// takes the tasks nearly in order and the merger mostly extends its last stretch.
    fn drain(&mut self) -> Result<(), Failure> {
        for reader in &mut self.readers {
            reader.ring.look();
            reader.advance();
        }
        let first = |reader: &&mut Reader<'_>| reader.first.unwrap_or(usize::MAX);
        while let Some(reader) = self.readers.iter_mut().min_by_key(first) {
            if reader.first.is_none() {
                break;
            }
            let tasks = record::tasks(&reader.record);
            let partial = record::partial(&reader.record)?;
            merge(&mut self.merger, self.work, tasks, partial)?;
            reader.advance();
        }
        self.readers.iter_mut().for_each(|reader| reader.ring.release());
        Ok(())
    }
}
