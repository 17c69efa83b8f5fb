//! `processes:fork`: workers are copies of the cell's process, made when it had prepared the
//! workload and still had one thread. They share the input's pages until somebody writes.

use std::process::ExitCode;

use manyhands_contract::Map;
use manyhands_record::{Failure, FailureKind};

use super::super::{Actual, Executor, Setup, failed};
use super::crew::Crew;
use super::serve::{self, Channel};
use super::spawn::OverSockets;
use super::sys;
use crate::measure::Usage;

/// `processes:fork`.
#[derive(Debug)]
pub(in crate::executors) struct Fork<M: Map>(OverSockets<M>);

impl<M: Map> Executor<M> for Fork<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        one_thread()?;
        let coordinator = std::process::id();
        let crew = Crew::fork(setup.workers.get(), |stream| {
            if sys::die_with(coordinator) {
                serve::serve(&*setup.work, &setup.storage, Channel::new(stream));
            }
            ExitCode::SUCCESS
        })?;
        Ok(Self(OverSockets::new(setup.work, setup.storage, crew)))
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        self.0.phase(phase, tasks, chunk)
    }

    fn reset(&mut self, work: &M) -> Result<(), Failure> {
        self.0.reset(work)
    }

    fn workers_usage(&mut self) -> Result<Usage, Failure> {
        self.0.usage()
    }

    fn actual(&self) -> Actual {
        self.0.actual()
    }

    fn stop(self) -> Result<(), Failure> {
        self.0.stop()
    }
}

/// A lock that another thread holds at the moment of a fork stays locked in the child for ever:
/// the allocator's, for one.
fn one_thread() -> Result<(), Failure> {
    match sys::single_threaded() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let reason = "a process with more than one thread cannot be forked safely, and this \
                          one has more; use processes, which starts workers with exec";
            Err(failed(FailureKind::Unsupported, reason))
        }
        Err(error) => {
            let reason = format!("cannot tell whether this process has one thread: {error}");
            Err(failed(FailureKind::Unsupported, reason))
        }
    }
}
