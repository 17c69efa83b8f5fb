//! A worker's life behind the gate.

use std::mem::needs_drop;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use manyhands_contract::{Map, Storage};
use manyhands_record::{Failure, FailureKind};

use super::super::super::locals::new_local;
use super::super::super::{caught, chunk_range, failed, panic_message, run_chunk};
use super::super::frames::{self, ArenaPlace, FromWorker, ToWorker};
use super::super::serve::Channel;
use super::arena::{Arena, RingBytes, Seat};
use super::gate::{Command, Waiter};
use super::record;
use super::ring::Producer;
use crate::measure::Usage;

/// Neighbouring chunks are folded into one record, as they would be had they been one chunk, but
/// no more than these at a time, ...
const FOLDED: usize = 64;

/// ... and only where partials have no memory outside of themselves and are this small: then a
/// fold is as small as one chunk's result, and can never be why a record does not fit.
const SMALL: usize = 1024;

/// Serves until it is dismissed.
pub(in super::super) fn serve<M: Map>(
    work: &M,
    storage: &Storage,
    mut channel: Channel,
    place: ArenaPlace,
) {
    let arena = match Arena::attach(storage, place) {
        Ok(arena) => arena,
        Err(failure) => return channel.fail(failure),
    };
    let mut worker = Worker { work, arena: &arena, index: place.worker, channel };
    let served = catch_unwind(AssertUnwindSafe(|| worker.serve()));
    let failure = match served {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure,
        Err(panic) => failed(FailureKind::Panic, panic_message(&*panic)),
    };
    arena.control().abandon(); // the others need not go on
    worker.channel.fail(failure);
}

struct Worker<'a, M> {
    work: &'a M,
    arena: &'a Arena,
    index: usize,
    channel: Channel,
}

impl<M: Map> Worker<'_, M> {
    fn serve(&mut self) -> Result<(), Failure> {
        let mut local = new_local(self.work)?;
        let mut waiter = Waiter::new(&self.arena.control().gate);
        self.send(&FromWorker::Ready)?;
        loop {
            match waiter.wait() {
                Command::Phase => self.phase(&mut local)?,
                Command::Listen => {
                    if !self.answer()? {
                        return Ok(());
                    }
                }
                Command::Stop => return Ok(()),
            }
        }
    }

    fn phase(&mut self, local: &mut M::Local) -> Result<(), Failure> {
        let phase = frames::take_value(&mut self.arena.phase().as_slice())?;
        let (tasks, chunk) = self.arena.control().tasks_and_chunk();
        let mut results = Results {
            arena: self.arena,
            seat: self.arena.seat(self.index),
            ring: self.arena.producer(self.index),
            channel: &mut self.channel,
            record: Vec::new(),
            folded: 0,
        };
        results.run(self.work, local, &phase, tasks, chunk)?;
        // First the count, then the message: who got all messages may trust the count.
        self.arena.control().gate.finish();
        self.send(&FromWorker::Finished)
    }

    /// Answers one message; false when the coordinator is gone.
    fn answer(&mut self) -> Result<bool, Failure> {
        loop {
            if let Some(mut frame) = self.channel.inbox.next() {
                let reply = match frames::take_value(&mut frame)? {
                    ToWorker::Reset => {
                        caught(|| self.work.reset())?;
                        FromWorker::Ready
                    }
                    ToWorker::Usage => FromWorker::Usage(Usage::now()),
                    _ => return Err(failed(FailureKind::Protocol, "a message out of place")),
                };
                self.send(&reply)?;
                return Ok(true);
            }
            if !self.channel.fill() {
                return Ok(false);
            }
        }
    }

    fn send(&mut self, reply: &FromWorker) -> Result<(), Failure> {
        self.channel.send(reply).map_err(|error| failed(FailureKind::Protocol, error))
    }
}

/// A worker's results of one phase on their way into its ring.
struct Results<'a> {
    arena: &'a Arena,
    seat: &'a Seat,
    ring: Producer<'a, RingBytes<'a>>,
    channel: &'a mut Channel,
    record: Vec<u8>,
    /// Chunks in the stretch that is open.
    folded: usize,
}

impl Results<'_> {
    fn run<M: Map>(
        &mut self,
        work: &M,
        local: &mut M::Local,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<(), Failure> {
        let control = self.arena.control();
        let chunks = tasks.div_ceil(chunk);
        let mut open: Option<(Range<usize>, M::Partial)> = None;
        while !control.is_abandoned() {
            let index = control.take();
            if index >= chunks {
                break;
            }
            let range = chunk_range(index, chunk, tasks);
            self.seat.set_running(Some(index));
            let (mut stretch, mut partial) = match open.take() {
                Some(last) if last.0.end == range.start && self.may_fold::<M>() => last,
                last => {
                    self.publish::<M>(last)?;
                    (range.start..range.start, work.empty(phase))
                }
            };
            run_chunk(work, local, phase, range.clone(), &mut partial)?;
            self.folded += 1;
            stretch.end = range.end;
            open = Some((stretch, partial));
        }
        self.publish::<M>(open)?;
        self.seat.set_running(None);
        Ok(())
    }

    #[inline]
    fn may_fold<M: Map>(&self) -> bool {
        let bounded = !needs_drop::<M::Partial>() && size_of::<M::Partial>() <= SMALL;
        bounded && self.folded < FOLDED
    }

    #[inline]
    fn publish<M: Map>(
        &mut self,
        stretch: Option<(Range<usize>, M::Partial)>,
    ) -> Result<(), Failure> {
        let Some((tasks, partial)) = stretch else { return Ok(()) };
        self.folded = 0;
        record::encode(&mut self.record, &tasks, &partial)?;
        if self.record.len() > self.ring.longest() {
            return Err(too_large(&tasks, self.record.len(), self.ring.longest()));
        }
        let channel = &mut self.channel;
        // A message that cannot be sent finds nobody to read it: the coordinator is gone.
        let call = || drop(channel.send(&FromWorker::Drain));
        // False when the sample has failed elsewhere; the loop above sees that too.
        self.ring.push(&self.record, call, || self.arena.control().is_abandoned());
        Ok(())
    }
}

fn too_large(tasks: &Range<usize>, len: usize, room: usize) -> Failure {
    let reason = format!(
        "result arena is full: the result of tasks {}..{} takes {len} bytes, the arena has {room}; \
         use processes (frames over sockets) or a smaller chunk",
        tasks.start, tasks.end
    );
    failed(FailureKind::Error, reason)
}
