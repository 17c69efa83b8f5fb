//! What a workload is.
//!
//! A *workload* is a named, parametrised piece of work with one right answer. This crate holds
//! what both sides of that sentence share: the [`Map`] contract that executors run, the
//! [`Definition`] that people read, [`Parameters`], [`Answer`]s that know their tolerances, and
//! the [`Storage`] that bulk data lives in; and the machine's [`limits`], by which both sides refuse
//! what it cannot grant. It knows nothing of clocks, processes or reports.

pub mod answer;
pub mod catalogue;
mod claims;
pub mod definition;
pub mod erased;
pub mod generate;
pub mod limits;
pub mod map;
pub mod parameters;
pub mod probe;
pub mod storage;
pub mod watched;

pub use answer::{Answer, Mismatch, Tolerance};
pub use catalogue::{Catalogue, Code, Entry};
pub use definition::{Bound, Definition, Kind, Preset, Shape};
pub use erased::Erased;
pub use map::{Context, Handover, InputError, Map, Region, Step, TaskError, TaskFailure, Workload};
pub use parameters::{Parameter, ParameterError, ParameterKind, Parameters, Value};
pub use probe::{Experiment, Probe, ProbeContext, ProbeError};
pub use storage::{Input, Output, Storage};
pub use watched::{Mark, Seat, TaskFuture, Watched, Watcher};
