//! A workload for the executors' own tests.

use manyhands_contract::{Answer, Map, Step, TaskError};

/// Its partial is the list of tasks that ran, so that nothing can be lost, doubled or reordered
/// unseen.
#[derive(Debug)]
pub(super) struct Order;

impl Map for Order {
    type Phase = ();
    type Local = ();
    type Partial = Vec<usize>;

    fn local(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        0
    }

    fn empty(&self, (): &()) -> Vec<usize> {
        Vec::new()
    }

    fn run(
        &self,
        (): &mut (),
        (): &(),
        task: usize,
        into: &mut Vec<usize>,
    ) -> Result<(), TaskError> {
        into.push(task);
        Ok(())
    }

    fn merge(&self, left: &mut Vec<usize>, right: Vec<usize>) {
        left.extend(right);
    }

    fn next(&self, (): (), merged: Vec<usize>) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(Answer::new().count("tasks", merged.len() as u64)))
    }
}
