//! Watching tasks: when each one ran and where (trace mode), and when it falls due (open loop).
//!
//! Neither is built into the executors. An [`Overseer`] is wrapped around the workload
//! ([`manyhands_contract::Watched`]) and sees every task of every executor alike: threads, futures
//! and worker processes.
//!
//! | file | what is in it |
//! |---|---|
//! | `clock` | one clock for all processes, and the CPU time of a thread |
//! | `arena` | shared memory that all processes of a cell count in |
//! | `shares` | where the time went: pure functions |
//! | `pace` | when tasks are due, and waiting for it |
//!
//! What is seen is counted in memory that the cell shares with its worker processes, so that
//! nothing of it travels with the tasks' results: their partials, and what sending those costs, are
//! as they are when nobody looks. That memory is of a fixed size, however many tasks there are.
//!
//! Tracing a task takes two readings of the clock, one or two of the thread's CPU time (a system
//! call) and a dozen relaxed writes. What that comes to is measured in every run, as the ratio of
//! traced to other samples.

mod arena;
mod clock;
mod pace;
mod shares;

use std::future::poll_fn;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use manyhands_contract::{
    Definition, InputError, Kind, Mark, Seat, Shape, TaskError, TaskFailure, TaskFuture, Watcher,
};
use manyhands_record::Trace;
use manyhands_record::trace::Event;
use serde::{Deserialize, Serialize};

use arena::{Arena, Ran};
use clock::{cpu_ns, now_ns};
use pace::Pace;
use shares::Totals;

/// How the tasks of a workload are watched, as worker processes are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oversight {
    /// Tasks that fall due per second; none: a task starts as soon as a worker is free.
    pub rate: Option<NonZeroU32>,
    /// The shared memory to count in; none where nothing is traced.
    pub arena: Option<PathBuf>,
}

/// Watches the tasks of one cell.
#[derive(Debug)]
pub(crate) struct Overseer {
    pace: Option<Pace>,
    tracer: Option<Tracer>,
}

/// What is kept of the tasks of a sample.
#[derive(Debug)]
struct Tracer {
    arena: Arena,
    /// Lanes that there are, as far as the executor was told: its workers.
    workers: usize,
    totals: std::sync::Mutex<Totals>,
}

/// Both clocks of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    wall_ns: u64,
    cpu_ns: u64,
}

impl Overseer {
    /// In the cell's process. `cap`: events to keep of a sample; none where nothing is traced.
    ///
    /// # Errors
    /// When there is no shared memory to be had.
    pub(crate) fn new(
        rate: Option<NonZeroU32>,
        workers: usize,
        cap: Option<u64>,
    ) -> Result<Self, InputError> {
        let tracer = |cap| Tracer::new(Arena::make(workers, cap)?, workers);
        Ok(Self { pace: rate.map(Pace::new), tracer: cap.map(tracer).transpose()? })
    }

    /// In a worker's process.
    ///
    /// # Errors
    /// When the cell's shared memory cannot be opened.
    pub(crate) fn join(oversight: &Oversight) -> Result<Self, InputError> {
        let tracer = |path: &PathBuf| {
            let arena = Arena::open(path)?;
            // Shares are added up by the cell's own process.
            Tracer::new(arena, 0)
        };
        let tracer = oversight.arena.as_ref().map(tracer).transpose()?;
        Ok(Self { pace: oversight.rate.map(Pace::new), tracer })
    }

    /// What worker processes must be told.
    pub(crate) fn oversight(&self) -> Oversight {
        let rate = self.pace.as_ref().map(Pace::rate);
        Oversight { rate, arena: self.tracer.as_ref().map(|tracer| tracer.arena.path()) }
    }

    /// What the tasks of the last sample did, which took `wall_ns`; none where nothing is traced.
    pub(crate) fn seen(&self, wall_ns: u64) -> Option<(Trace, Vec<Event>)> {
        self.tracer.as_ref().map(|tracer| tracer.seen(wall_ns))
    }

    /// When a task could have started: its phase began, or it was due.
    fn ready_ns(&self, mark: Mark, task: usize) -> u64 {
        self.pace.as_ref().map_or(mark.began_ns, |pace| pace.due_ns(mark, task))
    }

    /// CPU time of this thread so far, where it matters.
    fn cpu_ns(&self) -> u64 {
        if self.tracer.is_some() { cpu_ns() } else { 0 }
    }

    /// Both clocks, where they matter: first the wall's, because the other is a system call, and
    /// that is where a thread whose time is up loses its core.
    fn reading(&self) -> Reading {
        if self.tracer.is_none() {
            return Reading::default();
        }
        Reading { wall_ns: now_ns(), cpu_ns: cpu_ns() }
    }
}

impl Tracer {
    fn new(arena: Arena, workers: usize) -> Result<Self, InputError> {
        Ok(Self { arena, workers, totals: std::sync::Mutex::default() })
    }

    fn totals(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn seen(&self, wall_ns: u64) -> (Trace, Vec<Event>) {
        let totals = self.totals();
        let events = self.arena.events();
        let trace = Trace {
            file: None,
            tasks: totals.tasks(),
            kept: events.len() as u64,
            latency: self.arena.latency(),
            queue: self.arena.queue(),
            shares: totals.shares(wall_ns),
        };
        (trace, events)
    }
}

impl Watcher for Overseer {
    fn begin(&self, phase: u32) -> Mark {
        let began_ns = now_ns();
        if let Some(tracer) = self.tracer.as_ref().filter(|_| phase == 0) {
            tracer.arena.begin(began_ns);
        }
        Mark { phase, began_ns }
    }

    fn end(&self, mark: Mark, tasks: usize) {
        if let Some(tracer) = &self.tracer {
            let lanes = tracer.arena.take_lanes();
            tracer.totals().add_phase(mark.began_ns, tasks, tracer.workers, &lanes);
        }
    }

    fn reset(&self) {
        if let Some(tracer) = &self.tracer {
            tracer.arena.clear();
            *tracer.totals() = Totals::default();
        }
    }

    fn seat(&self) -> Seat {
        let lane = self.tracer.as_ref().map_or(0, |tracer| tracer.arena.enter());
        Seat { lane, process: std::process::id() }
    }

    fn leave(&self, seat: Seat) {
        if let Some(tracer) = &self.tracer {
            tracer.arena.leave(seat.lane);
        }
    }

    fn paces(&self) -> bool {
        self.pace.is_some()
    }

    fn chunk(
        &self,
        seat: Seat,
        mark: Mark,
        tasks: Range<usize>,
        run: &mut dyn FnMut(usize) -> Result<(), TaskError>,
    ) -> Result<(), TaskFailure> {
        let mut before = self.reading();
        for task in tasks {
            let ready_ns = self.ready_ns(mark, task);
            let mut paced_ns = 0;
            if self.pace.is_some() {
                paced_ns = pace::wait_until(ready_ns);
                before = self.reading();
            }
            let start_ns = now_ns();
            run(task).map_err(|error| TaskFailure { task, error })?;
            let Some(tracer) = &self.tracer else { continue };
            // One reading between two tasks of a chunk, as each is a system call.
            let after = self.reading();
            let ran = Ran {
                task,
                ready_ns,
                start_ns,
                end_ns: after.wall_ns,
                cpu_ns: after.cpu_ns.saturating_sub(before.cpu_ns),
                lead_ns: start_ns.saturating_sub(before.wall_ns),
                paced_ns,
            };
            tracer.arena.record(seat, mark, clock::thread(), &ran, self.paces());
            before = after;
        }
        Ok(())
    }

    fn task<'a>(
        &'a self,
        seat: Seat,
        mark: Mark,
        task: usize,
        mut work: Pin<&'a mut TaskFuture<'a>>,
    ) -> Pin<Box<TaskFuture<'a>>> {
        Box::pin(async move {
            let ready_ns = self.ready_ns(mark, task);
            let paced_ns = match &self.pace {
                Some(pace) => pace.until(ready_ns).await,
                None => 0,
            };
            let (start_ns, thread) = (now_ns(), clock::thread());
            let mut used_ns = 0;
            poll_fn(|context| {
                let before = self.cpu_ns();
                let polled = work.as_mut().poll(context);
                used_ns += self.cpu_ns().saturating_sub(before);
                polled
            })
            .await?;
            if let Some(tracer) = &self.tracer {
                let end_ns = now_ns();
                let (cpu_ns, lead_ns) = (used_ns, 0);
                let ran = Ran { task, ready_ns, start_ns, end_ns, cpu_ns, lead_ns, paced_ns };
                tracer.arena.record(seat, mark, thread, &ran, self.paces());
            }
            Ok(())
        })
    }
}

/// The overseer as the workload is wrapped in it.
pub(crate) fn watcher(overseer: &Arc<Overseer>) -> Arc<dyn Watcher> {
    Arc::clone(overseer) as Arc<dyn Watcher>
}

/// Whether the tasks of a workload can come at a rate of their own.
///
/// # Errors
/// One line: they are no requests that somebody waits for.
pub fn check_open_loop(definition: &Definition) -> Result<(), String> {
    let waits = matches!(definition.kind, Kind::Io | Kind::Mixed);
    if waits && definition.shape == Shape::Map {
        return Ok(());
    }
    let (name, kind) = (definition.name, definition.kind);
    Err(format!(
        "--rate is for workloads whose tasks are requests, of kind io or mixed, and {name} is of \
         kind {kind}; leave --rate out, or take fetch, ingest, files or sleep"
    ))
}
