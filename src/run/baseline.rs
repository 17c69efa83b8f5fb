//! The reference answers: what every sample's answer is checked against.

use std::num::NonZeroU32;
use std::time::Duration;

use manyhands_contract::Answer;
use manyhands_record::journal::Line;
use manyhands_record::{Failure, FailureKind, Launch, Mode, Reference};

use super::launch::{Launched, Order};
use super::options::{BASELINE_TIMEOUT, SHORTEST_TIMEOUT, TIMEOUT_FACTOR};
use super::plan::PlannedCell;
use super::rounds::{Run, Stop};
use crate::executors::ExecutorName;

/// A group's reference answer, and how long the sequential form takes.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    pub(super) answer: Option<Answer>,
    pub(super) wall: Option<Duration>,
    /// How long it took to load the input and start.
    pub(super) start: Duration,
    /// Why there is no answer.
    pub(super) failure: Option<Failure>,
}

impl Baseline {
    /// Input that cannot be loaded fails every executor alike.
    pub(super) fn input_failure(&self) -> Option<&Failure> {
        self.failure.as_ref().filter(|failure| failure.kind == FailureKind::Input)
    }

    /// An experiment without a sequential form takes the first answer that any executor gives as
    /// its reference: all others must agree with it.
    pub(super) fn is_open(&self) -> bool {
        let unsupported = |failure: &Failure| failure.kind == FailureKind::Unsupported;
        self.answer.is_none() && self.failure.as_ref().is_some_and(unsupported)
    }

    /// The larger of 10 s and 20 times the sequential time.
    pub(super) fn timeout(&self) -> Duration {
        self.wall.unwrap_or_default().saturating_mul(TIMEOUT_FACTOR).max(SHORTEST_TIMEOUT)
    }

    /// The larger of 10 s and 20 times what the sequential form took to load its input and start:
    /// of the workers of a process pool each loads it again.
    pub(super) fn start_timeout(&self, cell: &PlannedCell) -> Duration {
        let copies = if cell.executor.is_process_pool() { cell.workers.get() + 1 } else { 1 };
        let start = self.start.saturating_mul(copies).saturating_mul(TIMEOUT_FACTOR);
        start.max(SHORTEST_TIMEOUT)
    }

    /// Why an answer that a cell gave cannot be believed.
    pub(super) fn unverified(&self) -> Failure {
        let why = self.failure.as_ref().map_or("it gave no answer", |failure| &failure.reason);
        let reason = format!("no reference answer to check against: sequentially, {why}");
        Failure { kind: FailureKind::Error, reason, log: None }
    }
}

impl Run<'_> {
    /// The sequential form of each group, for the answers that all others are checked against.
    /// It is run even where `sequential` is not compared: an answer is never taken on trust.
    pub(super) fn take_baselines(&mut self) -> Result<(), Stop> {
        for group in 0..self.plan.groups.len() {
            let baseline = self.baseline(group)?;
            self.baselines.push(baseline);
        }
        Ok(())
    }

    fn baseline(&mut self, number: usize) -> Result<Baseline, Stop> {
        if !self.options.commands.is_empty() {
            return self.command_baseline(number);
        }
        let group = &self.plan.groups[number];
        let executor = ExecutorName::Sequential;
        self.done += 1;
        if let Some(reason) = group.entry.unsupported(executor.as_str(), &group.parameters) {
            let kind = FailureKind::Unsupported;
            let failure = Some(Failure { kind, reason, log: None });
            return Ok(Baseline { failure, ..Baseline::default() });
        }
        let workers = NonZeroU32::MIN;
        let id = group.cell_id(executor, workers, self.options.chunk);
        let what = format!("{}: the reference answer", id.workload);
        let cell = PlannedCell { group: number, executor: executor.into(), workers, id };
        self.observer.launching(self.done - 1, self.total, &what);
        let order = Order {
            group,
            cell: &cell,
            mode: Mode::Time,
            reference: None,
            timeout: self.options.timeout.unwrap_or(BASELINE_TIMEOUT),
            start_timeout: BASELINE_TIMEOUT,
            slice: Duration::ZERO,
            samples: 0,
            hurried: false,
            sequence: 0,
            folder: None,
        };
        let launched = self.launcher.launch(&order)?;
        if let Some(answer) = &launched.answer {
            self.keep_reference(&cell, answer)?;
        }
        Ok(baseline_of(launched))
    }

    /// Takes a launch's answer as the reference of a group that has no sequential form.
    pub(super) fn take_reference(&mut self, index: usize, answer: &Answer) -> Result<(), Stop> {
        let cell = self.plan.cells[index].clone();
        self.keep_reference(&cell, answer)?;
        self.baselines[cell.group].answer = Some(answer.clone());
        Ok(())
    }

    fn keep_reference(&mut self, cell: &PlannedCell, answer: &Answer) -> Result<(), Stop> {
        self.journal.append(Line::Reference(Reference {
            workload: cell.id.workload.clone(),
            parameters: cell.id.parameters.clone(),
            input: cell.id.input.clone(),
            answer: answer.to_json(),
        }))?;
        Ok(())
    }
}

fn baseline_of(launched: Launched) -> Baseline {
    let Launch { samples, prepare_ns, startup_ns, .. } = &launched.launch;
    let start = prepare_ns.unwrap_or(0) + startup_ns.unwrap_or(0);
    Baseline {
        start: Duration::from_nanos(start),
        wall: samples.first().map(|sample| Duration::from_nanos(sample.wall_ns)),
        answer: launched.answer,
        failure: launched.launch.failure,
    }
}
