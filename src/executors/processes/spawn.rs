//! `processes`: each worker is a process of its own making, with its own copy of the input.

use std::sync::Arc;

use manyhands_contract::{Map, Storage};
use manyhands_record::{Failure, FailureKind};

use super::super::{Actual, Executor, Setup, caught, failed};
use super::crew::{self, Crew};
use super::dispatch;
use super::frames::ToWorker;
use super::pace::Pace;
use crate::executors::Recipe;
use crate::measure::Usage;

/// `processes`.
#[derive(Debug)]
pub(in crate::executors) struct Spawn<M: Map>(OverSockets<M>);

/// What `processes` and `processes:fork` have in common: all but how a worker comes to be.
#[derive(Debug)]
pub(super) struct OverSockets<M: Map> {
    work: Arc<M>,
    storage: Arc<Storage>,
    crew: Crew,
    pace: Pace,
}

impl<M: Map> OverSockets<M> {
    pub(super) fn new(work: Arc<M>, storage: Arc<Storage>, crew: Crew) -> Self {
        Self { work, storage, crew, pace: Pace::default() }
    }

    pub(super) fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let here = (&*self.work, &*self.storage);
        dispatch::run_phase(&mut self.crew, &mut self.pace, here, phase, tasks, chunk)
    }

    pub(super) fn reset(&mut self, work: &M) -> Result<(), Failure> {
        self.crew.ask_all(&ToWorker::Reset, crew::is_ready)?;
        // Regions that workers wrote are here too.
        caught(|| work.reset())
    }

    pub(super) fn usage(&mut self) -> Result<Usage, Failure> {
        self.crew.usage()
    }

    pub(super) fn actual(&self) -> Actual {
        Actual { threads: self.crew.len(), processes: self.crew.len() }
    }

    pub(super) fn stop(self) -> Result<(), Failure> {
        self.crew.stop()
    }
}

/// The recipe, which these executors cannot do without.
pub(super) fn recipe_of<M>(setup: &Setup<M>) -> Result<&Recipe, Failure> {
    setup.recipe.as_ref().ok_or_else(|| {
        let reason =
            "worker processes need a recipe to make the workload again, and none was given";
        failed(FailureKind::Unsupported, reason)
    })
}

impl<M: Map> Executor<M> for Spawn<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let crew = Crew::exec(recipe_of(&setup)?, setup.workers.get(), None)?;
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
