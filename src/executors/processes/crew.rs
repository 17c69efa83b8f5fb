//! The coordinator's side of its worker processes: starting them, talking with all of them at
//! once, noticing that one died, and leaving none behind.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use manyhands_contract::limits::Need;
use manyhands_record::{Failure, FailureKind};

use super::super::{failed, granted};
use super::frames::{self, FromWorker, Inbox, Preparation, ToWorker};
use super::shm::Arena;
use super::sys::{self, Ended, Process, Watched};
use crate::executors::Recipe;
use crate::measure::Usage;

/// How long workers may take to end when they are told to: a chunk that still runs then was
/// abandoned by a sample that failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The worker processes of one executor.
#[derive(Debug, Default)]
pub(super) struct Crew {
    workers: Vec<Worker>,
    /// Where the workers of `processes:shm` wait: closing their sockets would not wake them.
    arena: Option<Arc<Arena>>,
    /// Kept between waits so that waiting allocates nothing.
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Worker {
    process: Process,
    link: Link,
    /// Whether its death was already somebody's failure.
    reported: bool,
}

/// Why an exchange ended early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A worker is gone: the caller knows what it had in flight.
    Gone(usize),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Crew {
    /// Execs `workers` processes, which inherit the memory file if there is one, and waits until
    /// each has made the workload. They start at the same time: none is waited for before the
    /// last one is on its way.
    pub(super) fn exec(
        recipe: &Recipe,
        workers: usize,
        shared: Option<(BorrowedFd<'_>, Arc<Arena>)>,
    ) -> Result<Self, Failure> {
        if sys::in_worker() {
            let reason = "a worker process was asked to start workers; the program must call \
                          manyhands::worker_hook() before anything else in main";
            return Err(failed(FailureKind::Error, reason));
        }
        granted(Need::processes(workers as u64, 1))?;
        let (memory, arena) = shared.unzip();
        let mut crew = Self { workers: Vec::new(), watched: Vec::new(), arena };
        for index in 0..workers {
            let worker = Worker::exec(recipe, memory).map_err(|error| {
                let program = recipe.program.display();
                refused(index, workers, &format!("cannot run {program}: {error}"))
            })?;
            crew.workers.push(worker);
            let arena = crew.arena.as_ref().map(|arena| arena.place(index));
            let preparation = Preparation { recipe: recipe.clone(), arena };
            crew.workers[index].link.send(&ToWorker::Prepare(Box::new(preparation)))?;
        }
        crew.all_ready()?;
        Ok(crew)
    }

    /// Forks `workers` processes that run `serve` and exit.
    pub(super) fn fork(
        workers: usize,
        serve: impl Fn(UnixStream) -> std::process::ExitCode,
    ) -> Result<Self, Failure> {
        granted(Need::processes(workers as u64, 1))?;
        let mut crew = Self::default();
        for index in 0..workers {
            crew.fork_one(&serve).map_err(|error| refused(index, workers, &error.to_string()))?;
        }
        crew.all_ready()?;
        Ok(crew)
    }

    fn fork_one(&mut self, serve: impl Fn(UnixStream) -> std::process::ExitCode) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let (mut ours, mut theirs) = (Some(ours), Some(theirs));
        let process = sys::fork(|| {
            // Close our ends of everybody's socket: a worker that held them would keep its
            // siblings, and itself, from seeing the coordinator's end of file.
            ours = None;
            self.workers.clear();
            serve(theirs.take().expect("taken once"))
        })?;
        let link = Link::new(ours.expect("closed only in the child"))?;
        self.workers.push(Worker { process, link, reported: false });
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    pub(super) fn link(&mut self, worker: usize) -> &mut Link {
        &mut self.workers[worker].link
    }

    /// Sends what is waiting to be sent, waits until anything arrives, and hands on what has.
    ///
    /// Reading goes on while writing cannot, so two full socket buffers never make a deadlock: a
    /// worker that blocks on its reply is read from, and then reads on.
    pub(super) fn exchange(
        &mut self,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Trouble> {
        self.wait().map_err(|error| {
            failed(FailureKind::Error, format!("cannot wait for worker processes: {error}"))
        })?;
        for (index, worker) in self.workers.iter_mut().enumerate() {
            if self.watched[index].writable() {
                worker.link.flush();
            }
            if self.watched[index].readable() {
                let open = worker.link.fill();
                while let Some(frame) = worker.link.inbox.next() {
                    take(index, frame)?;
                }
                if !open {
                    return Err(Trouble::Gone(index));
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        self.watched.clear();
        for Worker { link, .. } in &mut self.workers {
            link.flush();
            self.watched.push(Watched::new(link.stream.as_fd(), link.backlog() > 0));
        }
        sys::poll(&mut self.watched, None)
    }

    /// Asks every worker the same and waits for one answer from each.
    pub(super) fn ask_all(
        &mut self,
        question: &ToWorker,
        answered: impl FnMut(&FromWorker) -> bool,
    ) -> Result<(), Failure> {
        for worker in &mut self.workers {
            worker.link.send(question)?;
        }
        self.answers(self.len(), answered)
    }

    /// Asks one worker and waits for its answer.
    pub(super) fn ask(
        &mut self,
        worker: usize,
        question: &ToWorker,
        answered: impl FnMut(&FromWorker) -> bool,
    ) -> Result<(), Failure> {
        self.workers[worker].link.send(question)?;
        self.answers(1, answered)
    }

    /// CPU time and switches of all workers so far, by their own account.
    pub(super) fn usage(&mut self) -> Result<Usage, Failure> {
        let mut total = Usage::default();
        self.ask_all(&ToWorker::Usage, |reply| {
            let FromWorker::Usage(usage) = reply else { return false };
            total = total + *usage;
            true
        })?;
        Ok(total)
    }

    fn all_ready(&mut self) -> Result<(), Failure> {
        self.answers(self.len(), is_ready).map_err(|mut failure| {
            if failure.kind == FailureKind::Died {
                failure.reason += " before it was ready; does the program call \
                                   manyhands::worker_hook() before anything else in main?";
            }
            failure
        })
    }

    fn answers(
        &mut self,
        expected: usize,
        mut answered: impl FnMut(&FromWorker) -> bool,
    ) -> Result<(), Failure> {
        let mut missing = expected;
        while missing > 0 {
            let exchanged =
                self.exchange(|worker, mut frame| match frames::take_value(&mut frame)? {
                    FromWorker::Failed(failure) => Err(failure),
                    reply if answered(&reply) => {
                        missing -= 1;
                        Ok(())
                    }
                    _ => Err(unexpected(worker)),
                });
            exchanged.map_err(|trouble| self.explain(trouble, |_| String::new()))?;
        }
        Ok(())
    }

    /// What is to be reported of a trouble. `in_flight` says what a worker was at: `" with ..."`.
    pub(super) fn explain(
        &mut self,
        trouble: Trouble,
        in_flight: impl Fn(usize) -> String,
    ) -> Failure {
        match trouble {
            Trouble::Failed(failure) => failure,
            Trouble::Gone(index) => {
                let worker = &mut self.workers[index];
                let ended = worker.process.wait_or_kill(Instant::now() + PATIENCE);
                worker.reported = true;
                let (id, doing) = (worker.process.id(), in_flight(index));
                let reason = format!("worker {index} (process {id}) {ended}{doing}");
                failed(FailureKind::Died, reason)
            }
        }
    }

    /// Closes the sockets, at which workers end, and waits until all are gone; those that do not
    /// end in time are killed.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut result = Ok(());
        if let Some(arena) = self.arena.take() {
            arena.dismiss();
        }
        // All sockets first, so that workers end side by side.
        let ending: Vec<_> = self.workers.drain(..).map(|w| (w.process, w.reported)).collect();
        for (index, (mut process, reported)) in ending.into_iter().enumerate() {
            let ended = process.wait_or_kill(deadline);
            if ended != Ended::Exited(0) && !reported && result.is_ok() {
                let id = process.id();
                let reason = format!("worker {index} (process {id}) {ended} when told to end");
                result = Err(failed(FailureKind::Died, reason));
            }
        }
        result
    }
}

/// No error path leaves a process behind.
impl Drop for Crew {
    fn drop(&mut self) {
        let _ = self.end(); // whoever drops a crew has a failure to report already
    }
}

/// Whether a reply is `Ready`.
pub(super) fn is_ready(reply: &FromWorker) -> bool {
    matches!(reply, FromWorker::Ready)
}

/// A reply that nobody asked for.
pub(super) fn unexpected(worker: usize) -> Failure {
    failed(FailureKind::Protocol, format!("worker {worker} sent a reply that was not asked for"))
}

fn refused(index: usize, workers: usize, error: &str) -> Failure {
    let reason = format!(
        "cannot start worker process {} of {workers}: {error}; if a limit stands in the way, use \
         fewer workers or raise the limits on processes (ulimit -u) and open files (ulimit -n)",
        index + 1
    );
    failed(FailureKind::Unsupported, reason)
}

impl Worker {
    fn exec(recipe: &Recipe, memory: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&recipe.program);
        command.args(["__manyhands", "worker"]);
        let mut passed = vec![theirs.as_fd()];
        passed.extend(memory);
        command.arg(std::process::id().to_string());
        command.args(passed.iter().map(|fd| fd.as_raw_fd().to_string()));
        let process = sys::spawn(command, &passed)?;
        // Closing `theirs` here leaves the worker as its only owner: its end of file is its death.
        Ok(Self { process, link: Link::new(ours)?, reported: false })
    }
}

/// The coordinator's end of one worker's socket; it never blocks.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    out: Vec<u8>,
    /// How much of `out` is already on its way.
    sent: usize,
    inbox: Inbox,
}

impl Link {
    fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, out: Vec::new(), sent: 0, inbox: Inbox::default() })
    }

    /// Queues a message that comes alone.
    pub(super) fn send(&mut self, message: &ToWorker) -> Result<(), Failure> {
        frames::append(&mut self.out, message, |_| Ok(()))
    }

    /// Where to append frames; the next exchange sends them, all in one write if the socket has
    /// room.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Bytes that are not on their way yet.
    pub(super) fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Writes what the socket takes. An error is not reported here: a worker that cannot be
    /// written to is gone, or has said why it will read no more, and reading tells which.
    fn flush(&mut self) {
        while self.backlog() > 0 {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.out.clear();
        self.sent = 0;
    }

    /// Reads what is there; false when there will be nothing more.
    fn fill(&mut self) -> bool {
        match self.inbox.fill(&mut self.stream) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}
