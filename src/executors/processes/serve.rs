//! A worker's life behind its socket.

use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use manyhands_contract::{Map, Storage};
use manyhands_record::{Failure, FailureKind};

use super::super::locals::new_local;
use super::super::{caught, failed, panic_message, run_chunk};
use super::frames::{self, FromWorker, Inbox, ToWorker};
use crate::measure::Usage;

/// Results are held back for at most this long, so that many short chunks share a write and one
/// wake-up of the coordinator, which has to take a core from a worker where there is none to spare:
/// with two workers on two cores and chunks of 10 microseconds, replies each 50 microseconds cost
/// the workers a tenth of their time, each 200 to 400 a thirtieth. Nobody waits for a result
/// that is held back: the coordinator has sent work for four times as long ([`super::pace`]).
pub(super) const HOLD: Duration = Duration::from_micros(250);

/// Results are sent when this many bytes of them are there.
const REPLIES: usize = 64 * 1024;

/// The worker's end of its socket. Reading and writing block: a worker has nothing else to do.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) stream: UnixStream,
    pub(super) inbox: Inbox,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, inbox: Inbox::default() }
    }

    /// Waits for more input; false when the coordinator is gone, or done with us.
    pub(super) fn fill(&mut self) -> bool {
        // An error on a socket between two processes of one machine is a closed one.
        self.inbox.fill(&mut self.stream).is_ok_and(|read| read > 0)
    }

    /// Sends one reply that comes alone.
    pub(super) fn send(&mut self, reply: &FromWorker) -> io::Result<()> {
        let mut out = Vec::new();
        frames::append(&mut out, reply, |_| Ok(())).map_err(|f| io::Error::other(f.reason))?;
        self.stream.write_all(&out)
    }

    /// Reports why this worker can do no more and waits until it is dismissed: closing the socket
    /// first could cost the coordinator the report.
    pub(super) fn fail(&mut self, failure: Failure) {
        if self.send(&FromWorker::Failed(failure)).is_ok() {
            while self.fill() {
                while self.inbox.next().is_some() {}
            }
        }
    }
}

/// Serves until the coordinator closes the socket.
pub(super) fn serve<M: Map>(work: &M, storage: &Storage, mut channel: Channel) {
    // Outside of tasks, `reads`, `writes` and `empty` are the workload's code too.
    let served = catch_unwind(AssertUnwindSafe(|| try_serve(work, storage, &mut channel)));
    let failure = match served {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure,
        Err(panic) => failed(FailureKind::Panic, panic_message(&*panic)),
    };
    channel.fail(failure);
}

fn try_serve<M: Map>(work: &M, storage: &Storage, channel: &mut Channel) -> Result<(), Failure> {
    let local = new_local(work)?;
    let Channel { stream, inbox } = channel;
    let replies = Replies { work, storage, stream, out: Vec::new(), open: None };
    let mut server = Server { local, phase: None, replies };
    server.replies.send(&FromWorker::Ready)?;
    loop {
        while let Some(frame) = inbox.next() {
            server.handle(frame)?;
        }
        // Nothing left to do: whatever is held back is now what somebody waits for.
        server.replies.flush()?;
        if !inbox.fill(server.replies.stream).is_ok_and(|read| read > 0) {
            return Ok(());
        }
    }
}

struct Server<'a, M: Map> {
    local: M::Local,
    phase: Option<M::Phase>,
    replies: Replies<'a, M>,
}

impl<M: Map> Server<'_, M> {
    #[inline]
    fn handle(&mut self, mut frame: &[u8]) -> Result<(), Failure> {
        match frames::take_value(&mut frame)? {
            ToWorker::Run(tasks) => return self.run(tasks, frame),
            ToWorker::Phase => self.phase = Some(frames::take_value(&mut frame)?),
            ToWorker::Reset => {
                caught(|| self.replies.work.reset())?;
                self.replies.send(&FromWorker::Ready)?;
            }
            ToWorker::Usage => self.replies.send(&FromWorker::Usage(Usage::now()))?,
            ToWorker::Prepare(_) => return Err(misplaced("Prepare")),
        }
        Ok(())
    }

    #[inline]
    fn run(&mut self, tasks: Range<usize>, reads: &[u8]) -> Result<(), Failure> {
        let Self { local, phase, replies } = self;
        let phase = phase.as_ref().ok_or_else(|| misplaced("Run"))?;
        if !reads.is_empty() {
            frames::take_regions(reads, replies.storage)?;
        }
        let work = replies.work;
        let stretch = replies.open(phase, tasks.start)?;
        run_chunk(work, local, phase, tasks.clone(), &mut stretch.partial)?;
        replies.ran(phase, tasks)
    }
}

fn misplaced(message: &str) -> Failure {
    failed(FailureKind::Protocol, format!("a worker was sent a {message} out of place"))
}

/// Finished chunks on their way to the coordinator. Neighbouring chunks become one reply: they are
/// folded into one partial, as they would be had they been one chunk.
struct Replies<'a, M: Map> {
    work: &'a M,
    storage: &'a Storage,
    stream: &'a UnixStream,
    out: Vec<u8>,
    open: Option<Stretch<M::Partial>>,
}

struct Stretch<P> {
    tasks: Range<usize>,
    partial: P,
    /// Regions that its tasks wrote, each followed by its bytes.
    written: Vec<u8>,
    began: Instant,
}

impl<M: Map> Replies<'_, M> {
    /// The stretch that a chunk continues, or a new one.
    #[inline]
    fn open(
        &mut self,
        phase: &M::Phase,
        start: usize,
    ) -> Result<&mut Stretch<M::Partial>, Failure> {
        if self.open.as_ref().is_none_or(|stretch| stretch.tasks.end != start) {
            self.close()?;
        }
        Ok(self.open.get_or_insert_with(|| Stretch {
            tasks: start..start,
            partial: self.work.empty(phase),
            written: Vec::new(),
            began: Instant::now(),
        }))
    }

    /// Takes note of a finished chunk, and sends what has been held back for long enough.
    #[inline]
    fn ran(&mut self, phase: &M::Phase, tasks: Range<usize>) -> Result<(), Failure> {
        let writes = self.work.writes(phase, tasks.clone());
        let stretch = self.open.as_mut().expect("opened before the chunk ran");
        stretch.tasks.end = tasks.end;
        frames::append_regions(&mut stretch.written, self.storage, &writes)?;
        let large = stretch.written.len() + self.out.len() > REPLIES;
        if large || stretch.began.elapsed() > HOLD {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the open stretch, if there is one.
    fn close(&mut self) -> Result<(), Failure> {
        let Some(Stretch { tasks, partial, written, began }) = self.open.take() else {
            return Ok(());
        };
        let busy_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let done = FromWorker::Done { tasks: tasks.clone(), busy_ns };
        let with = |out: &mut Vec<u8>| {
            frames::append_value(out, &partial)?;
            out.extend_from_slice(&written);
            Ok(())
        };
        frames::append(&mut self.out, &done, with).map_err(|failure| Failure {
            reason: format!(
                "the result of tasks {}..{}: {}",
                tasks.start, tasks.end, failure.reason
            ),
            ..failure
        })
    }

    fn send(&mut self, reply: &FromWorker) -> Result<(), Failure> {
        frames::append(&mut self.out, reply, |_| Ok(()))
    }

    /// Sends all there is.
    fn flush(&mut self) -> Result<(), Failure> {
        self.close()?;
        if !self.out.is_empty() {
            let sent = self.stream.write_all(&self.out);
            sent.map_err(|error| failed(FailureKind::Protocol, error))?;
            self.out.clear();
        }
        Ok(())
    }
}
