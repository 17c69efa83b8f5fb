//! A plain loop.

use std::sync::Arc;

use manyhands::contract::Map;
use manyhands_workloads::overhead::spin::Spin;

use super::{Stopped, Twin, run_task};

/// One thread.
pub(super) struct Loop {
    spin: Arc<Spin>,
}

impl Loop {
    pub(super) fn new(spin: Arc<Spin>) -> Self {
        Self { spin }
    }
}

impl Twin for Loop {
    fn run(&mut self) -> Result<u64, Stopped> {
        let (mut last, mut xor) = (0, 0);
        for task in 0..self.spin.tasks(&()) {
            run_task(&self.spin, &mut last, task, &mut xor)?;
        }
        Ok(xor)
    }
}
