//! Worker-local state for executors whose workers are not fixed threads.

use std::sync::{Mutex, PoisonError};

use manyhands_contract::Map;
use manyhands_record::{Failure, FailureKind};

/// Local states that are not in use. A stack behind a lock: the one used last is the one whose
/// memory and connection are warmest, and it is held for a push or a pop.
pub(super) struct Locals<M: Map> {
    idle: Mutex<Vec<M::Local>>,
}

impl<M: Map> Locals<M> {
    pub(super) fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }

    /// An idle state, or a new one.
    pub(super) fn take(&self, work: &M) -> Result<M::Local, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| new_local(work), Ok)
    }

    /// Gives a state back. After a failure it is dropped instead, as it may be broken.
    pub(super) fn put(&self, local: M::Local) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(local);
    }
}

/// Makes one worker's local state; what goes wrong there is the cell's failure.
pub(super) fn new_local<M: Map>(work: &M) -> Result<M::Local, Failure> {
    super::caught(|| work.local()).map_err(|failure| Failure {
        reason: format!("a worker could not start: {}", failure.reason),
        kind: if failure.kind == FailureKind::Panic { failure.kind } else { FailureKind::Error },
        log: None,
    })
}
