//! Tasks of rayon.

use std::sync::atomic::{AtomicUsize, Ordering};

use manyhands_contract::{ProbeError, TaskError};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Form, nothing};

/// `rayon`: `scope` and `spawn`. The pool is there before; its threads are what may be alive.
pub(super) struct Rayon(ThreadPool);

impl Rayon {
    pub(super) fn start(threads: usize) -> Result<Self, ProbeError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let refused =
            |error| ProbeError::Failed(format!("cannot start {threads} threads: {error}"));
        pool.map(Self).map_err(refused)
    }
}

impl Form for Rayon {
    fn run(&mut self, count: usize, _alive: usize) -> Result<usize, TaskError> {
        let done = AtomicUsize::new(0);
        self.0.scope(|scope| {
            for _ in 0..count {
                // Relaxed: the end of the scope publishes it.
                scope.spawn(|_| {
                    done.fetch_add(nothing(), Ordering::Relaxed);
                });
            }
        });
        Ok(done.into_inner())
    }

    fn actual(&self, _alive: usize) -> (usize, usize) {
        (self.0.current_num_threads(), 1)
    }

    fn construct(&self) -> &'static str {
        "rayon::scope and spawn, on a pool that is there before"
    }
}
