//! The parent's side of the protocol: launches a cell under its supervisor and drives it.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use manyhands_record::{Failure, FailureKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::wire::{FromCell, ToCell, WireEnded, WirePrepare, WireReady, WireResult, encode};
use crate::signals::Interrupt;

/// How much of the log's end goes into a failure.
const LOG_TAIL: u64 = 2048;

/// A line longer than this is no message: an answer is small.
const LONGEST_LINE: usize = 16 << 20;

/// How long a supervisor may take to end what it was told to end.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// A launched cell. Dropping it ends its whole process tree.
#[derive(Debug)]
pub struct Cell<'a> {
    supervisor: Child,
    /// Closed to have everything ended.
    orders: Option<PipeWriter>,
    answers: Lines,
    log: File,
    /// For `prepare` and `finish`.
    start_timeout: Duration,
    /// For `sample`.
    timeout: Duration,
    interrupt: &'a Interrupt,
}

/// Why a launch came to nothing.
#[derive(Debug)]
pub enum LaunchError {
    /// The cell failed; the run goes on.
    Failed(Failure),
    /// The user asked the run to stop.
    Interrupted,
}

impl From<Failure> for LaunchError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'a> Cell<'a> {
    /// Starts a supervisor and, under it, `program __manyhands cell`. Starting and ending may take
    /// as long as `start_timeout` each, a sample as long as `timeout`.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub fn launch(
        program: &Path,
        start_timeout: Duration,
        timeout: Duration,
        interrupt: &'a Interrupt,
    ) -> Result<Self, LaunchError> {
        Self::start(program, start_timeout, timeout, interrupt).map_err(|error| {
            let reason = format!("cannot start a cell with {}: {error}", program.display());
            LaunchError::Failed(Failure { kind: FailureKind::Died, reason, log: None })
        })
    }

    fn start(
        program: &Path,
        start_timeout: Duration,
        timeout: Duration,
        interrupt: &'a Interrupt,
    ) -> std::io::Result<Self> {
        let (orders_end, orders) = std::io::pipe()?;
        let (answers, answers_end) = std::io::pipe()?;
        let log = tempfile::tempfile()?;
        let supervisor = Command::new(program)
            .args([crate::hook::MARK, "supervise"])
            .arg(program)
            .args([crate::hook::MARK, "cell"])
            .stdin(Stdio::from(orders_end))
            .stdout(Stdio::from(answers_end))
            .stderr(Stdio::from(log.try_clone()?))
            // Ctrl-C at a terminal goes to a whole process group: the run decides what becomes
            // of its cells, so they must not get it too.
            .process_group(0)
            .spawn()?;
        let answers = Lines { pipe: answers, buffer: Vec::new() };
        let orders = Some(orders);
        Ok(Self { supervisor, orders, answers, log, start_timeout, timeout, interrupt })
    }

    /// The process below which the cell's tree is found.
    pub fn supervisor_id(&self) -> u32 {
        self.supervisor.id()
    }

    /// Lets a sample take longer by as much.
    pub fn allow(&mut self, longer: Duration) {
        self.timeout = self.timeout.saturating_add(longer);
    }

    /// The cell's own process; absent where the system does not tell.
    pub fn process_id(&self) -> Option<u32> {
        crate::measure::children(self.supervisor_id()).first().copied()
    }

    /// Has the input loaded and the executor started.
    ///
    /// # Errors
    /// The cell's own failure, its death, or the time-out.
    pub fn prepare(&mut self, order: WirePrepare) -> Result<WireReady, LaunchError> {
        match self.ask(&ToCell::Prepare(Box::new(order)), "starting", self.start_timeout)? {
            FromCell::Ready(ready) if ready.version.is_empty() => {
                Err(self.broken("the cell does not say its version".into()))
            }
            FromCell::Ready(ready) => Ok(*ready),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Has the workload executed `count` times, one right after the other: a cell that waits for
    /// an order before each sample goes to sleep, wakes up on any core, and finds its caches cold
    /// (by up to 9 % of a function of 2 ms). `keep` is given each result.
    ///
    /// # Errors
    /// The cell's own failure, its death, or the time-out, which is then that of all of them; and
    /// what `keep` says.
    pub fn samples(
        &mut self,
        count: u32,
        mut keep: impl FnMut(WireResult) -> Result<(), LaunchError>,
    ) -> Result<(), LaunchError> {
        let order = encode(&ToCell::Sample { counted: false });
        self.tell(&order.repeat(count as usize));
        for _ in 0..count {
            let result = self.result(count)?;
            keep(result)?;
        }
        Ok(())
    }

    /// Has the workload executed once, with the kernel's and the processor's counters attached.
    ///
    /// # Errors
    /// As [`samples`](Self::samples).
    pub fn counted_sample(&mut self) -> Result<WireResult, LaunchError> {
        self.tell(&encode(&ToCell::Sample { counted: true }));
        self.result(1)
    }

    /// The next result of so many that were asked for at once.
    fn result(&mut self, asked: u32) -> Result<WireResult, LaunchError> {
        let what = match asked {
            1 => "a sample".to_owned(),
            _ => format!("a series of {asked} samples"),
        };
        match self.answer(&what, self.timeout.saturating_mul(asked))? {
            FromCell::Result(result) => Ok(*result),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Has the executor stopped, and waits until every process is gone. Gives the time that
    /// stopping took.
    ///
    /// # Errors
    /// The cell's own failure, its death, the time-out, or processes that it left behind.
    pub fn finish(mut self) -> Result<u64, LaunchError> {
        let teardown_ns = match self.ask(&ToCell::Finish, "stopping", self.start_timeout)? {
            FromCell::Bye { teardown_ns } => teardown_ns,
            other => return Err(self.unexpected(&other)),
        };
        // The pipe stays open meanwhile: closing it would be an order to kill.
        let ended = self.ended("ending")?;
        match ended {
            WireEnded { code: Some(0), left: 0, .. } => Ok(teardown_ns),
            WireEnded { code: Some(0), left, .. } => {
                let reason = format!("the cell left {left} processes behind; they were ended");
                Err(self.failure(FailureKind::Died, reason))
            }
            ended => Err(self.died(&ended)),
        }
    }

    /// Ends the cell's process tree now, because the run is done with it.
    pub fn abandon(mut self) {
        self.end_tree();
    }

    fn ask(
        &mut self,
        order: &ToCell,
        what: &str,
        limit: Duration,
    ) -> Result<FromCell, LaunchError> {
        self.tell(&encode(order));
        self.answer(what, limit)
    }

    fn tell(&mut self, lines: &str) {
        if let Some(pipe) = &mut self.orders {
            // A cell that is dead cannot be told anything; what it died of is in the answers.
            let _ = pipe.write_all(lines.as_bytes());
        }
    }

    fn answer(&mut self, what: &str, limit: Duration) -> Result<FromCell, LaunchError> {
        match self.hear(what, limit)? {
            FromCell::Failed { kind, reason } => Err(self.failure(kind, reason)),
            FromCell::Ended(ended) => Err(self.died(&ended)),
            answer => Ok(answer),
        }
    }

    /// The next message, with the time-out and interruption turned into errors.
    fn hear(&mut self, what: &str, limit: Duration) -> Result<FromCell, LaunchError> {
        let deadline = Some(Instant::now() + limit);
        loop {
            match self.answers.next(deadline, Some(self.interrupt)) {
                Heard::Line(line) if line.is_empty() => {}
                Heard::Line(line) => match serde_json::from_str(&line) {
                    Ok(message) => return Ok(message),
                    Err(error) => return Err(self.bad_line(&line, &error)),
                },
                Heard::End => return Err(self.broken("the supervisor is gone".into())),
                Heard::TooLong => return Err(self.broken("a line without end".into())),
                Heard::Interrupted => {
                    self.end_tree();
                    return Err(LaunchError::Interrupted);
                }
                Heard::Late => {
                    self.end_tree();
                    let reason = format!(
                        "{what} took longer than {limit:?} and was ended; --timeout allows more"
                    );
                    return Err(self.failure(FailureKind::TimedOut, reason));
                }
            }
        }
    }

    /// Half a line is what a killed cell leaves: how it died says more than the line does.
    fn bad_line(&mut self, line: &str, error: &serde_json::Error) -> LaunchError {
        let start: String = line.chars().take(80).collect();
        self.orders = None;
        match self.ended_within(KILL_GRACE) {
            Some(ended) if !ended.killed => self.died(&ended),
            _ => self.broken(format!("the line '{start}' is no message: {error}")),
        }
    }

    fn ended(&mut self, what: &str) -> Result<WireEnded, LaunchError> {
        match self.hear(what, self.start_timeout)? {
            FromCell::Ended(ended) => Ok(ended),
            other => Err(self.unexpected(&other)),
        }
    }

    fn unexpected(&mut self, message: &FromCell) -> LaunchError {
        self.broken(format!("an answer that was not asked for: {}", encode(message).trim_end()))
    }

    fn broken(&mut self, reason: String) -> LaunchError {
        self.failure(FailureKind::Protocol, reason)
    }

    fn died(&mut self, ended: &WireEnded) -> LaunchError {
        let reason = match (ended.signal, ended.code) {
            (Some(signal), _) => format!("the cell was killed by {}", signal_name(signal)),
            (None, Some(code)) => format!("the cell exited with code {code} before it answered"),
            (None, None) => "the cell ended before it answered".to_owned(),
        };
        self.failure(FailureKind::Died, reason)
    }

    /// A failure with the log's tail; the tree is ended first, so that the log is complete.
    fn failure(&mut self, kind: FailureKind, reason: String) -> LaunchError {
        self.end_tree();
        LaunchError::Failed(Failure { kind, reason, log: self.log_tail() })
    }

    fn log_tail(&mut self) -> Option<String> {
        let length = self.log.seek(SeekFrom::End(0)).ok()?;
        self.log.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL))).ok()?;
        let mut tail = Vec::new();
        self.log.read_to_end(&mut tail).ok()?;
        let text = String::from_utf8_lossy(&tail).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Closes the pipe, which is the order to end everything, and waits until it is done.
    fn end_tree(&mut self) {
        self.orders = None;
        self.ended_within(KILL_GRACE);
        match self.supervisor.try_wait() {
            Ok(Some(_)) => {}
            // Only a supervisor that hangs comes here. Its cell goes with it: a cell asks the
            // kernel to be killed with its supervisor.
            _ => {
                let _ = self.supervisor.kill();
                let _ = self.supervisor.wait();
            }
        }
    }

    /// Reads until the supervisor says that all is ended and has itself gone.
    fn ended_within(&mut self, grace: Duration) -> Option<WireEnded> {
        let deadline = Some(Instant::now() + grace);
        let mut ended = None;
        loop {
            match self.answers.next(deadline, None) {
                Heard::Line(line) => {
                    if let Ok(FromCell::Ended(message)) = serde_json::from_str(&line) {
                        ended = Some(message);
                    }
                }
                Heard::End => {
                    let _ = self.supervisor.wait();
                    return ended;
                }
                // What was no message stays none: the supervisor's word comes after it.
                Heard::TooLong => self.answers.buffer.clear(),
                Heard::Late | Heard::Interrupted => return ended,
            }
        }
    }
}

impl Drop for Cell<'_> {
    fn drop(&mut self) {
        self.end_tree();
    }
}

/// `signal 9 (SIGKILL)`
pub(crate) fn signal_name(signal: i32) -> String {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => format!("signal {signal} ({name})"),
        None => format!("signal {signal}"),
    }
}

/// Lines from a pipe, with a deadline.
#[derive(Debug)]
struct Lines {
    pipe: PipeReader,
    /// What came after the last line that was given out.
    buffer: Vec<u8>,
}

enum Heard {
    Line(String),
    End,
    Late,
    Interrupted,
    TooLong,
}

impl Lines {
    fn next(&mut self, deadline: Option<Instant>, interrupt: Option<&Interrupt>) -> Heard {
        loop {
            if let Some(newline) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.buffer.drain(..=newline).collect();
                return Heard::Line(String::from_utf8_lossy(&line[..newline]).into_owned());
            }
            if self.buffer.len() > LONGEST_LINE {
                return Heard::TooLong;
            }
            if let Some(heard) = self.wait(deadline, interrupt) {
                return heard;
            }
            let mut bytes = [0; 4096];
            match self.pipe.read(&mut bytes) {
                Ok(0) => return Heard::End,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Heard::End,
            }
        }
    }

    /// Waits until there is something to read (`None`). Sleeps in the kernel all the while:
    /// a parent that looked around would disturb the cell that it measures.
    fn wait(&self, deadline: Option<Instant>, interrupt: Option<&Interrupt>) -> Option<Heard> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.map(|left| Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut waiting = vec![PollFd::new(&self.pipe, PollFlags::IN)];
            if let Some(interrupt) = interrupt {
                waiting.push(PollFd::from_borrowed_fd(interrupt.descriptor(), PollFlags::IN));
            }
            match poll(&mut waiting, left.as_ref()) {
                Ok(0) => return Some(Heard::Late),
                Ok(_) if interrupt.is_some() && !waiting[1].revents().is_empty() => {
                    return Some(Heard::Interrupted);
                }
                Ok(_) => return None,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Some(Heard::End),
            }
        }
    }
}
