//! One phase over sockets, as the coordinator sees it: which worker gets how many chunks, and what
//! becomes of their results.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use manyhands_contract::{Map, Storage};
use manyhands_record::{Failure, FailureKind};

use super::super::merge::Merger;
use super::super::{caught, chunk_range, failed, panic_message};
use super::crew::{self, Crew, Link};
use super::frames::{self, FromWorker, ToWorker};
use super::pace::Pace;

/// No more chunks are queued for a worker while this many bytes wait for its socket: with large
/// regions to carry, the window would otherwise be counted in gigabytes.
const BACKLOG: usize = 256 * 1024;

/// Runs a phase on workers that hold the workload already.
pub(super) fn run_phase<M: Map>(
    crew: &mut Crew,
    pace: &mut Pace,
    (work, storage): (&M, &Storage),
    phase: &M::Phase,
    tasks: usize,
    chunk: usize,
) -> Result<M::Partial, Failure> {
    for worker in 0..crew.len() {
        let with = |out: &mut Vec<u8>| frames::append_value(out, phase);
        frames::append(crew.link(worker).out(), &ToWorker::Phase, with)?;
    }
    let flights = (0..crew.len()).map(|_| Flight::default()).collect();
    let merger = Merger::new();
    let mut dispatch =
        Dispatch { work, storage, phase, tasks, chunk, next: 0, done: 0, flights, merger, pace };
    while dispatch.done < tasks {
        for worker in 0..crew.len() {
            dispatch.feed(worker, crew.link(worker))?;
        }
        let exchanged = crew.exchange(|worker, frame| dispatch.take(worker, frame));
        exchanged.map_err(|trouble| {
            crew.explain(trouble, |worker| dispatch.flights[worker].to_string())
        })?;
    }
    Ok(dispatch.merger.finish(tasks))
}

struct Dispatch<'a, M: Map> {
    work: &'a M,
    storage: &'a Storage,
    phase: &'a M::Phase,
    tasks: usize,
    chunk: usize,
    /// The first chunk that no worker has.
    next: usize,
    /// Tasks whose results are here.
    done: usize,
    flights: Vec<Flight>,
    merger: Merger<M::Partial>,
    pace: &'a mut Pace,
}

impl<M: Map> Dispatch<'_, M> {
    /// Tops a worker up to its window, or to its fair share of what nobody has yet, once it is
    /// down to half of that: in batches, because a write costs as much as fifty small frames.
    fn feed(&mut self, worker: usize, link: &mut Link) -> Result<(), Failure> {
        let left = self.tasks.div_ceil(self.chunk) - self.next;
        let limit = self.pace.window().min(left.div_ceil(self.flights.len()));
        if left == 0 || self.flights[worker].chunks > limit / 2 {
            return Ok(());
        }
        while self.flights[worker].chunks < limit && link.backlog() < BACKLOG {
            let range = chunk_range(self.next, self.chunk, self.tasks);
            self.send(link, range.clone())?;
            self.flights[worker].add(range);
            self.next += 1;
        }
        Ok(())
    }

    fn send(&self, link: &mut Link, range: Range<usize>) -> Result<(), Failure> {
        // Asked per chunk, for only the chunk decides; an empty list allocates nothing.
        let regions = caught(|| Ok(self.work.reads(self.phase, range.clone())))?;
        frames::append(link.out(), &ToWorker::Run(range), |out| {
            frames::append_regions(out, self.storage, &regions)
        })
    }

    fn take(&mut self, worker: usize, mut frame: &[u8]) -> Result<(), Failure> {
        match frames::take_value(&mut frame)? {
            FromWorker::Done { tasks, busy_ns } => self.add(worker, tasks, busy_ns, frame),
            FromWorker::Failed(failure) => Err(failure),
            _ => Err(crew::unexpected(worker)),
        }
    }

    fn add(
        &mut self,
        worker: usize,
        tasks: Range<usize>,
        busy_ns: u64,
        mut result: &[u8],
    ) -> Result<(), Failure> {
        let chunks = tasks.len().div_ceil(self.chunk);
        if !self.flights[worker].remove(&tasks, chunks) {
            return Err(crew::unexpected(worker));
        }
        self.pace.saw(chunks, busy_ns);
        self.done += tasks.len();
        let partial = frames::take_value(&mut result)?;
        frames::take_regions(result, self.storage)?;
        merge(&mut self.merger, self.work, tasks, partial)
    }
}

/// Adds a partial; a panic of the workload's `merge` becomes a failure.
pub(super) fn merge<M: Map>(
    merger: &mut Merger<M::Partial>,
    work: &M,
    tasks: Range<usize>,
    partial: M::Partial,
) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(|| merger.add(work, tasks, partial))).map_err(|panic| {
        let message = panic_message(&*panic);
        failed(FailureKind::Panic, format!("merging panicked: {message}"))
    })
}

/// What one worker has in flight. Neighbouring chunks are one stretch, so this is a few ranges
/// however many chunks there are.
#[derive(Debug, Default)]
struct Flight {
    stretches: VecDeque<Range<usize>>,
    chunks: usize,
}

impl Flight {
    fn add(&mut self, range: Range<usize>) {
        self.chunks += 1;
        match self.stretches.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.stretches.push_back(range),
        }
    }

    /// Takes out what came back; false when it is not what should come next.
    fn remove(&mut self, tasks: &Range<usize>, chunks: usize) -> bool {
        let Some(first) = self.stretches.front_mut() else { return false };
        if first.start != tasks.start || first.end < tasks.end || chunks == 0 {
            return false;
        }
        first.start = tasks.end;
        if first.start == first.end {
            self.stretches.pop_front();
        }
        self.chunks -= chunks;
        true
    }
}

/// As the end of a sentence about the worker.
impl std::fmt::Display for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stretches: Vec<_> =
            self.stretches.iter().map(|r| format!("{}..{}", r.start, r.end)).collect();
        match stretches.as_slice() {
            [] => Ok(()),
            _ => write!(f, " with tasks {} in flight", stretches.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_is_named_in_stretches() {
        let mut flight = Flight::default();
        assert_eq!(flight.to_string(), "");
        [0..2, 2..4, 10..12].into_iter().for_each(|range| flight.add(range));
        assert!(flight.remove(&(0..2), 1));
        assert!(!flight.remove(&(10..12), 1), "results come in the order of their chunks");
        assert_eq!(flight.to_string(), " with tasks 2..4, 10..12 in flight");
        assert_eq!(flight.chunks, 2);
    }
}
