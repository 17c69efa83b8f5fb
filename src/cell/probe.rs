//! A probe's form for one executor, driven as an executor is.

use std::path::Path;

use manyhands_contract::{Answer, Experiment, Parameters, ProbeContext, ProbeError, TaskError};
use manyhands_record::{Failure, FailureKind};

use super::wire::WirePrepare;
use crate::executors::{Actual, Running};
use crate::measure::Usage;

/// How [`manyhands_contract::Code::Probe`] starts one.
pub(super) type Start = fn(&ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError>;

/// A started experiment.
pub(super) struct Probing(Box<dyn Experiment>);

impl Probing {
    pub(super) fn start(
        start: Start,
        order: &WirePrepare,
        parameters: &Parameters,
        seed: u64,
        helper: &Path,
    ) -> Result<Self, Failure> {
        let workers = order.workers as usize;
        let context = ProbeContext { parameters, seed, executor: &order.executor, workers, helper };
        start(&context).map(Self).map_err(|error| match error {
            ProbeError::Unsupported(reason) => failure(FailureKind::Unsupported, reason),
            ProbeError::Failed(reason) => failure(FailureKind::Error, reason),
        })
    }

    pub(super) fn card(&self) -> Vec<(&'static str, String)> {
        self.0.card()
    }
}

impl Running for Probing {
    fn reset(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn sample(&mut self) -> Result<Answer, Failure> {
        self.0.sample().map_err(task_failure)
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        self.0.counters()
    }

    fn workers_usage(&mut self) -> Result<Usage, Failure> {
        let [user_ns, system_ns, voluntary, involuntary] =
            self.0.others_usage().map_err(task_failure)?;
        Ok(Usage { user_ns, system_ns, voluntary, involuntary })
    }

    fn actual(&self) -> Actual {
        let (threads, processes) = self.0.actual();
        Actual { threads, processes }
    }

    fn tasks_and_chunk(&self) -> (usize, usize) {
        (self.0.tasks(), 1)
    }

    fn stop(self: Box<Self>) -> Result<(), Failure> {
        self.0.stop().map_err(task_failure)
    }
}

fn task_failure(TaskError(reason): TaskError) -> Failure {
    failure(FailureKind::Error, reason)
}

fn failure(kind: FailureKind, reason: String) -> Failure {
    Failure { kind, reason, log: None }
}
