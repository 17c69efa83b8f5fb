//! One measurement in its own process: see README.md in this folder.

mod child;
pub(crate) mod command;
mod parent;
mod probe;
mod supervisor;
pub mod wire;

pub(crate) use child::cell_main;
pub use parent::{Cell, LaunchError};
pub(crate) use supervisor::supervise_main;
