//! What is measured, and on what: time, CPU time, memory, the machine and what speaks against it.
//!
//! Nothing here knows a workload or an executor, and nothing here draws. What a platform cannot
//! tell is absent, with its reason where there is a place for one; it is never 0.

pub mod affinity;
pub mod clock;
pub mod counters;
pub mod doubts;
pub mod host;
pub mod memory;
pub mod usage;

pub use clock::Clock;
pub use counters::{Counters, Counts};
pub use memory::{children, own_pss, own_tree};
pub use usage::Usage;
