//! The workloads: one file each, by what they spend their time on; the input they read and the
//! servers they talk to.

mod blocks;
pub mod corpus;
pub mod cpu;
pub mod io;
mod keys;
pub mod overhead;
pub mod servers;
#[cfg(test)]
mod testing;

use manyhands_contract::Catalogue;

/// Every workload, in the order in which `list` prints them.
pub fn catalogue() -> Catalogue {
    overhead::add(io::add(cpu::add(Catalogue::new())))
}
