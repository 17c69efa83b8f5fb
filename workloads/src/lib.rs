//! The workloads: one file each, by what they spend their time on; the input they read and the
//! servers they talk to.

pub mod cpu;
pub mod io;
pub mod overhead;

use manyhands_contract::Catalogue;

/// Every workload, in the order in which `list` prints them.
pub fn catalogue() -> Catalogue {
    overhead::add(io::add(cpu::add(Catalogue::new())))
}
