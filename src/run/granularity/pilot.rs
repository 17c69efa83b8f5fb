//! Where an executor's efficiency crosses one half, roughly: a few short launches.

use std::num::NonZeroU32;
use std::time::Duration;

use manyhands_contract::Answer;
use manyhands_record::Mode;
use manyhands_record::models::granularity::granularity;

use super::super::Observer;
use super::super::launch::{Interrupted, Launcher, Order};
use super::super::options::{Options, SHORTEST_TIMEOUT};
use super::super::plan::{Group, PlannedCell};
use super::lengths::{self, Limits, SAMPLE_NS};
use super::{COUNT, Fixed};
use crate::executors::ExecutorName;

/// The wall time of a sample of the pilot, roughly.
const PILOT_NS: f64 = 4e6;

/// A sample below this says little: it is taken again with more tasks.
const SHORTEST_NS: f64 = 1e6;

/// How often the length is moved to where the last one's cost says that the crossing is.
const STEPS: usize = 2;

/// Launches that one executor's pilot takes, as far as is known beforehand.
const LAUNCHES: usize = 5;

/// What a task costs besides its work, in core-nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Costs {
    empty: u64,
    empty_ns: f64,
    /// Where work and cost are about the same: half of the best rate.
    pub(super) at_half_ns: f64,
}

impl Costs {
    /// Of an executor that could not be measured.
    pub(super) const NONE: Self = Self { empty: 0, empty_ns: 0.0, at_half_ns: 0.0 };

    /// At a length.
    pub(super) fn at(&self, length: u64) -> f64 {
        if length <= self.empty { self.empty_ns } else { self.at_half_ns }
    }
}

/// Launches outside of the record.
pub(super) struct Pilot<'a, 'b> {
    fixed: &'a Fixed,
    launcher: Launcher<'a>,
    options: &'a Options,
    cores: u32,
    observer: &'b mut dyn Observer,
    /// Launches so far, and how many there will be.
    done: &'b mut usize,
    total: usize,
    /// Tasks that a sample has for each that was asked for: workloads of several phases have more.
    phases: f64,
}

impl<'a, 'b> Pilot<'a, 'b> {
    pub(super) fn new(
        fixed: &'a Fixed,
        launcher: Launcher<'a>,
        options: &'a Options,
        cores: u32,
        observer: &'b mut dyn Observer,
        done: &'b mut usize,
    ) -> Self {
        Self { fixed, launcher, options, cores, observer, done, total: 0, phases: 1.0 }
    }

    /// How many pairs of an executor and its workers there will be, for whoever waits.
    pub(super) fn expects(&mut self, pairs: usize) {
        self.total = LAUNCHES * (pairs + 1);
    }

    /// Nanoseconds per unit of work, in a plain loop: at the first length, from 1000 units on,
    /// whose tasks take ten microseconds.
    pub(super) fn unit_ns(&mut self) -> Result<f64, Interrupted> {
        let (one, most) = (NonZeroU32::MIN, self.fixed.lengths.max.max(1));
        let mut length = most.min(1_000);
        loop {
            let ns = self.ns(ExecutorName::Sequential, one, length, length as f64)?;
            // What fails here fails in the run, with its reason; any unit will do until then.
            let Some(ns) = ns else { return Ok(1.0) };
            if ns >= 1e4 || length >= most {
                return Ok(ns / length as f64);
            }
            length = (length * 10).min(most);
        }
    }

    /// The costs of an executor's tasks; `None` where a launch failed.
    ///
    /// Half of the best rate is reached where work and cost are equal. So the length is set to the
    /// cost that the last one showed, which settles at once where the cost is the same at all
    /// lengths and in a few steps where it is not.
    pub(super) fn costs(
        &mut self,
        executor: ExecutorName,
        workers: NonZeroU32,
        unit_ns: f64,
    ) -> Result<Option<Costs>, Interrupted> {
        let empty = self.fixed.lengths.min;
        let Some(empty_ns) = self.ns(executor, workers, empty, 2e3)? else { return Ok(None) };
        let mut cost = empty_ns;
        for _ in 0..STEPS {
            let length = ((cost / unit_ns) as u64).clamp(empty.max(1), self.fixed.lengths.max);
            let Some(ns) = self.ns(executor, workers, length, 2.0 * cost)? else { return Ok(None) };
            cost = (ns - length as f64 * unit_ns).max(unit_ns);
        }
        Ok(Some(Costs { empty, empty_ns, at_half_ns: cost }))
    }

    /// The number of tasks to measure with, where a task takes this many core-nanoseconds.
    pub(super) fn tasks(&self, ns: f64, workers: NonZeroU32, limits: Limits) -> u64 {
        self.tasks_for(SAMPLE_NS, ns, workers, limits)
    }

    fn tasks_for(&self, sample_ns: f64, ns: f64, workers: NonZeroU32, limits: Limits) -> u64 {
        let (workers, phases) = (workers.get(), self.phases);
        lengths::tasks(ns * phases, sample_ns, workers.min(self.cores), workers, limits)
    }

    /// Core-nanoseconds per task at a length; `guess` says how many there may be. A sample that
    /// was too short is taken again, with as many tasks as it says.
    fn ns(
        &mut self,
        executor: ExecutorName,
        workers: NonZeroU32,
        length: u64,
        mut guess: f64,
    ) -> Result<Option<f64>, Interrupted> {
        loop {
            let tasks = self.tasks_for(PILOT_NS, guess, workers, self.fixed.counts);
            let Some((wall, total)) = self.sample(executor, workers, length, tasks)? else {
                return Ok(None);
            };
            self.phases = total as f64 / tasks as f64;
            let ns = granularity(wall, workers.get(), self.cores, total);
            if wall >= SHORTEST_NS || guess <= ns || tasks >= self.fixed.counts.max {
                return Ok(Some(ns));
            }
            // Not all at once: the short sample was mostly its beginning and its end.
            guess = ns.max(guess / 64.0).min(guess / 2.0);
        }
    }

    /// Wall time and tasks of a warm sample; `None` where the launch failed.
    fn sample(
        &mut self,
        executor: ExecutorName,
        workers: NonZeroU32,
        length: u64,
        tasks: u64,
    ) -> Result<Option<(f64, u64)>, Interrupted> {
        let Fixed { entry, .. } = *self.fixed;
        let name = entry.definition.name;
        *self.done += 1;
        self.total = self.total.max(*self.done);
        let what = format!("{name}: lengths for {executor} x {workers}");
        self.observer.launching(*self.done - 1, self.total, &what);
        let folder = std::path::Path::new(super::SCRATCH);
        let group = self
            .fixed
            .parameters(&self.options.preset, length, tasks)
            .and_then(|parameters| Group::new(entry, parameters, self.options, folder));
        let Ok(group) = group else { return Ok(None) };
        if entry.unsupported(executor.as_str(), &group.parameters).is_some() {
            return Ok(None);
        }
        let id = group.cell_id(executor, workers, self.options.chunk);
        let cell = PlannedCell { group: 0, executor: executor.into(), workers, id };
        let timeout = self.options.timeout.unwrap_or(SHORTEST_TIMEOUT);
        let order = Order {
            group: &group,
            cell: &cell,
            mode: Mode::Time,
            reference: None,
            timeout,
            start_timeout: timeout,
            slice: Duration::ZERO,
            samples: 1,
            hurried: false,
            sequence: 0,
            folder: None,
        };
        let launched = self.launcher.launch(&order)?;
        let sound = launched.launch.failure.is_none();
        let last = launched.launch.samples.last().filter(|_| sound);
        Ok(last.map(|sample| {
            let total = launched.answer.as_ref().and_then(total).unwrap_or(tasks);
            (sample.wall_ns as f64, total.max(1))
        }))
    }
}

/// The tasks of all phases, where the answer says so.
fn total(answer: &Answer) -> Option<u64> {
    let json = answer.to_json();
    let count = json.get(COUNT)?;
    count.as_u64().or_else(|| count.as_str()?.parse().ok())
}
