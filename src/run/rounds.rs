//! The rounds of a run: which launch comes next, and when there are enough.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use manyhands_contract::Code;
use manyhands_record::journal::{Line, complete_rounds};
use manyhands_record::{Failure, FailureKind, Launch, Mode, Record, Status};

use super::Observer;
use super::baseline::Baseline;
use super::journal::Journal;
use super::launch::{Interrupted, Launched, Launcher, Order};
use super::options::{Options, ROUNDS};
use super::order;
use super::plan::Plan;
use crate::error::Error;

/// Why a run ends before its rounds are done.
pub(super) enum Stop {
    Interrupted,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Interrupted> for Stop {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// A run while it goes on.
pub(super) struct Run<'a> {
    pub(super) launcher: Launcher<'a>,
    /// Where the record will lie, and trace files beside it.
    pub(super) folder: &'a Path,
    pub(super) options: &'a Options,
    pub(super) plan: Plan,
    pub(super) journal: Journal,
    pub(super) began: Instant,
    pub(super) observer: &'a mut dyn Observer,
    /// Launches that are over, and launches that are planned.
    pub(super) done: usize,
    pub(super) total: usize,
    /// By group, once they are taken.
    pub(super) baselines: Vec<Baseline>,
    /// Rounds that the budget is laid out for.
    pub(super) planned: u32,
    /// The time of a launch with a cold and a warm sample, by cell.
    pub(super) least: Vec<Duration>,
    /// What a launch costs beside its samples, by cell.
    pub(super) beside: Vec<Duration>,
    /// The time that a launch was last given, by cell.
    pub(super) slices: Vec<Duration>,
    /// Samples after the cold one that are worth their time, by cell.
    pub(super) worthwhile: Vec<u32>,
    /// The next launch's place among all launches.
    sequence: u32,
    /// Launches that an earlier part of the run took: cell, mode, round.
    taken: HashSet<(usize, Mode, u32)>,
    /// Cells that have failed.
    failed: HashSet<usize>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        launcher: Launcher<'a>,
        folder: &'a Path,
        options: &'a Options,
        plan: Plan,
        journal: Journal,
        began: Instant,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let passes = options.rounds() as usize + options.watching_modes().count();
        let total = plan.groups.len() + plan.cells.len() * passes;
        Self {
            launcher,
            folder,
            options,
            plan,
            journal,
            began,
            observer,
            done: 0,
            total,
            baselines: Vec::new(),
            planned: options.rounds(),
            least: Vec::new(),
            beside: Vec::new(),
            slices: Vec::new(),
            worthwhile: Vec::new(),
            sequence: 0,
            taken: HashSet::new(),
            failed: HashSet::new(),
        }
    }

    /// Measures until there are enough rounds: as many as were planned and, where a precision was
    /// asked for, until it is reached; fewer when the budget ends before.
    pub(super) fn measure(&mut self) -> Result<Status, Stop> {
        self.recall();
        self.take_baselines()?;
        self.guess_least();
        for round in 0.. {
            let round_began = Instant::now();
            self.allot_samples(round)?;
            self.round(round, Mode::Time)?;
            let took = round_began.elapsed();
            if round == 0 {
                self.plan_rounds();
                for mode in self.options.watching_modes() {
                    self.round(0, mode)?;
                }
            }
            if round + 1 >= self.options.rounds() {
                if let Some(status) = self.enough(round + 1)? {
                    return Ok(status);
                }
                self.total = self.done + self.plan.cells.len();
            }
            if self.is_out_of_time(round + 1, took) {
                let rounds = self.complete_rounds()?;
                return Ok(Status::OutOfTime { rounds });
            }
        }
        unreachable!("rounds are counted until one of them is the last")
    }

    /// How the run ends if `rounds` are enough: those that were planned have taken place.
    fn enough(&self, rounds: u32) -> Result<Option<Status>, Stop> {
        let Some(precision) = self.options.precision() else { return Ok(Some(Status::Complete)) };
        let record = self.record()?;
        let precise = manyhands_record::precision::reached(&record.cells, precision);
        Ok(precise.then_some(Status::Precise { rounds }))
    }

    /// Whether another round like the last one would end after the budget.
    fn is_out_of_time(&self, done: u32, last_round: Duration) -> bool {
        // No round is exactly like the last one, and the report is yet to be written. But the
        // rounds that intervals need are worth the last second of it.
        let (longer, share) = if done < ROUNDS { (1.0, 0.99) } else { (1.05, 0.97) };
        self.options.budget().is_some_and(|budget| {
            self.began.elapsed() + last_round.mul_f64(longer) > budget.mul_f64(share)
        })
    }

    fn round(&mut self, round: u32, mode: Mode) -> Result<(), Stop> {
        for index in order::round(&self.plan, self.options.seed, round) {
            if !self.is_settled(index, mode, round) && self.can(index, mode) {
                let launched = self.launch(index, round, mode)?;
                self.keep(index, round, launched)?;
            }
            self.done += 1;
        }
        Ok(())
    }

    /// An experiment has no list of tasks that could be traced.
    fn can(&self, index: usize, mode: Mode) -> bool {
        let entry = &self.plan.groups[self.plan.cells[index].group].entry;
        mode != Mode::Trace || matches!(entry.code, Code::Map { .. })
    }

    /// A cell that has failed is not tried again, and a resumed run has launches already.
    fn is_settled(&self, index: usize, mode: Mode, round: u32) -> bool {
        self.failed.contains(&index) || self.taken.contains(&(index, mode, round))
    }

    /// What a resumed run need not do again.
    fn recall(&mut self) {
        for line in self.journal.lines() {
            if let Line::Launch { cell, launch } = line {
                self.taken.insert((*cell, launch.mode, launch.round));
                self.sequence = self.sequence.max(launch.sequence + 1);
                if launch.failure.is_some() {
                    self.failed.insert(*cell);
                }
            }
        }
    }

    fn launch(&mut self, index: usize, round: u32, mode: Mode) -> Result<Launched, Stop> {
        let cell = &self.plan.cells[index];
        let (group, baseline) = (&self.plan.groups[cell.group], &self.baselines[cell.group]);
        if let Some(failure) = baseline.input_failure() {
            return Ok(Launched::failed(mode, failure.clone()));
        }
        if let Some(reason) = group.entry.unsupported(cell.executor.as_str(), &group.parameters) {
            let kind = FailureKind::Unsupported;
            return Ok(Launched::failed(mode, Failure { kind, reason, log: None }));
        }
        let what = format!("{} {} x {}", cell.id.workload, cell.executor, cell.workers);
        self.observer.launching(self.done, self.total, &what);
        let order = Order {
            group,
            cell,
            mode,
            reference: baseline.answer.as_ref(),
            timeout: self.options.timeout.unwrap_or_else(|| baseline.timeout()),
            start_timeout: baseline.start_timeout(cell),
            slice: self.slice(index, round),
            samples: self.samples(index, mode),
            hurried: self.options.budget().is_some(),
            sequence: self.sequence,
            folder: Some(self.folder),
        };
        let slice = order.slice;
        let began = self.began.elapsed();
        let mut launched = self.launcher.launch(&order)?;
        launched.launch.began_ns = began.as_nanos() as u64;
        if mode == Mode::Time {
            let took = self.began.elapsed().saturating_sub(began);
            self.slices[index] = slice;
            self.learn_least(index, took, &launched.launch);
        }
        self.verify(index, &mut launched)?;
        Ok(launched)
    }

    /// A sound launch's answer was checked against the reference, if there is one.
    fn verify(&mut self, index: usize, launched: &mut Launched) -> Result<(), Stop> {
        let baseline = &self.baselines[self.plan.cells[index].group];
        if launched.launch.failure.is_some() || baseline.answer.is_some() {
            return Ok(());
        }
        if baseline.is_open()
            && let Some(answer) = &launched.answer
        {
            return self.take_reference(index, answer);
        }
        // It came through where the sequential form did not: nobody can say if it is right.
        launched.launch.failure = Some(baseline.unverified());
        Ok(())
    }

    fn keep(&mut self, cell: usize, round: u32, launched: Launched) -> Result<(), Stop> {
        let launch = Launch { round, sequence: self.sequence, ..launched.launch };
        self.sequence += 1;
        if launch.failure.is_some() {
            self.failed.insert(cell);
        }
        self.journal.append(Line::Launch { cell, launch: Box::new(launch) })?;
        Ok(())
    }

    pub(super) fn end(&mut self, status: Status) -> Result<Record, Error> {
        self.journal.append(Line::End { status })?;
        self.record()
    }

    pub(super) fn record(&self) -> Result<Record, Error> {
        manyhands_record::journal::record(self.journal.lines()).map_err(Error::failed)
    }

    pub(super) fn complete_rounds(&self) -> Result<u32, Error> {
        Ok(complete_rounds(&self.record()?.cells))
    }
}
