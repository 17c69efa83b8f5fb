//! A plain loop: the baseline of every speed-up.

use std::sync::Arc;

use manyhands_contract::Map;
use manyhands_record::Failure;

use super::locals::new_local;
use super::{Actual, Executor, Setup, chunk_range, run_chunk};

/// One thread, no hand-over. The chunk only bounds the stretch that a panic's message names.
pub(super) struct Sequential<M: Map> {
    work: Arc<M>,
    local: M::Local,
}

impl<M: Map> Executor<M> for Sequential<M> {
    fn start(setup: Setup<M>) -> Result<Self, Failure> {
        let local = new_local(&*setup.work)?;
        Ok(Self { work: setup.work, local })
    }

    fn phase(
        &mut self,
        phase: &M::Phase,
        tasks: usize,
        chunk: usize,
    ) -> Result<M::Partial, Failure> {
        let mut into = self.work.empty(phase);
        for index in 0..tasks.div_ceil(chunk) {
            let range = chunk_range(index, chunk, tasks);
            run_chunk(&*self.work, &mut self.local, phase, range, &mut into)?;
        }
        Ok(into)
    }

    fn actual(&self) -> Actual {
        Actual { threads: 1, processes: 1 }
    }

    fn stop(self) -> Result<(), Failure> {
        Ok(())
    }
}
