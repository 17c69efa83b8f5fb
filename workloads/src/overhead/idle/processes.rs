//! Processes that wait to read from one pipe.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use manyhands_contract::{Answer, Experiment, ProbeError, TaskError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};

use super::{Hold, answer, counters};
use crate::overhead::helpers::{Helpers, Process, Report, add, command, refused};
use crate::overhead::sys::{self, Usage};

/// The event, and: say what you have used. A process does the same at either, which is to report.
const EVENT: u8 = b'e';

/// No report for so long means that somebody died: even a thousand processes report within
/// seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// `processes` and `processes:fork`: as many bytes as processes, written at once, are the event,
/// and each process reads one of them. Two pipes take turns: a process that was quick waits at the
/// other one already and cannot take the byte of a slow one.
pub(super) struct Processes {
    events: [PipeWriter; 2],
    turn: usize,
    reports: PipeReader,
    helpers: Helpers,
    workers: usize,
    construct: &'static str,
    hold: Hold,
    release: Duration,
}

/// Both ends of everything, before there are processes.
struct Pipes {
    orders: [PipeReader; 2],
    events: [PipeWriter; 2],
    reports: PipeReader,
    report: PipeWriter,
}

impl Pipes {
    fn open() -> io::Result<Self> {
        let ((first, to_first), (second, to_second)) = (io::pipe()?, io::pipe()?);
        let (reports, report) = io::pipe()?;
        Ok(Self { orders: [first, second], events: [to_first, to_second], reports, report })
    }
}

impl Processes {
    /// Programs of their own, each this one.
    pub(super) fn exec(helper: &Path, workers: usize, hold: Hold) -> Result<Self, ProbeError> {
        let refused = |index, error| refused("process", index, workers, &error);
        let pipes = Pipes::open().map_err(|error| refused(0, error))?;
        let mut helpers = Helpers::default();
        let inherited = pipes.orders[1].as_raw_fd();
        for index in 0..workers {
            let start = || {
                let mut command = command(helper, "idle");
                command.arg(inherited.to_string());
                command.stdin(pipes.orders[0].try_clone()?).stdout(pipes.report.try_clone()?);
                // Inheritable for this moment only; no other thread starts processes here.
                fcntl_setfd(&pipes.orders[1], FdFlags::empty())?;
                let started = command.spawn();
                fcntl_setfd(&pipes.orders[1], FdFlags::CLOEXEC)?;
                started
            };
            helpers.push(Process::Started(start().map_err(|error| refused(index, error))?));
        }
        Self::ready(pipes, helpers, workers, hold, "processes by exec, all reading from one pipe")
    }

    /// Copies of this process.
    pub(super) fn fork(workers: usize, hold: Hold) -> Result<Self, ProbeError> {
        let refused = |index, error| refused("process", index, workers, &error);
        let mut pipes = Some(Pipes::open().map_err(|error| refused(0, error))?);
        let mut helpers = Helpers::default();
        for index in 0..workers {
            let forked = sys::fork(|| {
                sys::end_with_parent();
                let Some(Pipes { orders, events, reports, report }) = pipes.take() else {
                    return 1;
                };
                // Who held these would never see them closed.
                drop((events, reports));
                i32::from(obey(orders, report).is_err())
            });
            helpers.push(Process::Forked(forked.map_err(|error| refused(index, error))?));
        }
        let pipes = pipes.expect("taken in the children only");
        Self::ready(pipes, helpers, workers, hold, "processes by fork, all reading from one pipe")
    }

    /// Waits until all of them wait.
    fn ready(
        pipes: Pipes,
        helpers: Helpers,
        workers: usize,
        hold: Hold,
        construct: &'static str,
    ) -> Result<Self, ProbeError> {
        let Pipes { orders, events, reports, report } = pipes;
        drop((orders, report));
        let (turn, release) = (0, Duration::ZERO);
        let mut this = Self { events, turn, reports, helpers, workers, construct, hold, release };
        this.hear_all().map_err(|TaskError(reason)| ProbeError::Failed(reason))?;
        Ok(this)
    }

    /// A report of each, summed up: how many there were, and what all have used.
    fn hear_all(&mut self) -> Result<(usize, Usage), TaskError> {
        let mut sum = Usage::default();
        for heard in 0..self.workers {
            let missing = self.workers - heard;
            self.has_report().then_some(()).ok_or_else(|| {
                TaskError(format!("{missing} of {} processes did not report", self.workers))
            })?;
            let report = Report::read(&mut self.reports).map_err(|error| {
                TaskError(format!("{missing} of {} processes ended: {error}", self.workers))
            })?;
            sum = add(sum, report.usage);
        }
        Ok((self.workers, sum))
    }

    fn has_report(&self) -> bool {
        let patience = Timespec::try_from(PATIENCE).expect("a minute fits");
        loop {
            let mut waiting = [PollFd::from_borrowed_fd(self.reports.as_fd(), PollFlags::IN)];
            match poll(&mut waiting, Some(&patience)) {
                Err(rustix::io::Errno::INTR) => {}
                ready => return ready.is_ok_and(|ready| ready > 0),
            }
        }
    }

    fn tell_all(&mut self) -> Result<(usize, Usage), TaskError> {
        let bytes = vec![EVENT; self.workers];
        self.events[self.turn]
            .write_all(&bytes)
            .map_err(|error| TaskError(format!("cannot release the processes: {error}")))?;
        self.turn ^= 1;
        self.hear_all()
    }
}

impl Experiment for Processes {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        self.hold.pass();
        let began = Instant::now();
        let (seen, _) = self.tell_all()?;
        self.release = began.elapsed();
        Ok(answer(self.workers, seen))
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        counters(self.release, self.workers)
    }

    fn others_usage(&mut self) -> Result<[u64; 4], TaskError> {
        self.tell_all().map(|(_, usage)| usage)
    }

    fn actual(&self) -> (usize, usize) {
        (self.workers, self.workers)
    }

    fn tasks(&self) -> usize {
        self.workers
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let construct = ("construct", self.construct.to_owned());
        vec![construct, ("transport", "a pipe that all read from".to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.events); // who reads sees the end and ends
        self.helpers.end()
    }
}

/// `probe idle SECOND`: the first pipe is standard input, reports go to standard output.
pub(in crate::overhead) fn main(arguments: &[String]) -> ExitCode {
    let [second] = arguments else {
        eprintln!("idle needs one inherited descriptor; it is started by a run");
        return ExitCode::FAILURE;
    };
    let obeyed = open(second).and_then(|(orders, report)| obey(orders, report));
    match obeyed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn open(second: &str) -> io::Result<([File; 2], File)> {
    let own = |fd: &dyn AsFd| fd.as_fd().try_clone_to_owned().map(File::from);
    // Opened by its number rather than taken over: that would need trust in the number.
    let second = File::open(format!("/dev/fd/{second}"))?;
    Ok(([own(&io::stdin())?, second], own(&io::stdout())?))
}

/// Reports, waits for the event, and so on until the pipe is closed.
fn obey(mut orders: [impl Read; 2], mut report: impl Write) -> io::Result<()> {
    let mut turn = 0;
    loop {
        report.write_all(&Report { word: EVENT, usage: sys::own_usage() }.to_bytes())?;
        let mut order = [0];
        match orders[turn].read_exact(&mut order) {
            Ok(()) => turn ^= 1,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
