//! A parallel iterator.

use std::sync::Arc;

use manyhands::contract::Map;
use manyhands_workloads::overhead::spin::Spin;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Stopped, Twin, refused, run_task};

/// A rayon pool.
pub(super) struct Pool {
    spin: Arc<Spin>,
    pool: ThreadPool,
}

impl Pool {
    pub(super) fn start(spin: Arc<Spin>, workers: usize) -> Result<Self, Stopped> {
        let pool = ThreadPoolBuilder::new().num_threads(workers).build().map_err(refused)?;
        Ok(Self { spin, pool })
    }
}

impl Twin for Pool {
    fn run(&mut self) -> Result<u64, Stopped> {
        self.pool.install(|| {
            (0..self.spin.tasks(&()))
                .into_par_iter()
                // A task at a time, because chunks of one are compared. Left to itself rayon
                // would hand out long runs of tasks: that is a comparison of chunks.
                .with_max_len(1)
                .map(|task| {
                    let (mut last, mut xor) = (0, 0);
                    run_task(&self.spin, &mut last, task, &mut xor).map(|()| xor)
                })
                .try_reduce(|| 0, |left, right| Ok(left ^ right))
        })
    }
}
