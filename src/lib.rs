//! manyhands runs the same work under different concurrency models, checks that all give the same
//! answer, measures time, memory and scaling honestly, and draws the comparison.
//!
//! The program is this library with three lines around it. To compare the models on work of your
//! own, write those three lines yourself:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     // A run starts this same program again for its cells and workers: this must come first.
//!     manyhands::worker_hook();
//!     manyhands::main_with(&manyhands::catalogue()) // .with::<YourWorkload>()
//! }
//! ```
//!
//! What a workload is, is said in [`manyhands_contract`]; `examples/own_workload.rs` is a whole one.

pub mod cell;
mod cli;
mod error;
pub mod executors;
mod hook;
pub mod measure;
mod prepared;
pub mod run;
mod signals;
pub mod trace;
pub mod versions;

pub use cli::main_with;
pub use error::{Error, Exit};
pub use hook::{catalogue, worker_hook, worker_hook_with};
pub use manyhands_contract as contract;
pub use signals::Interrupt;
