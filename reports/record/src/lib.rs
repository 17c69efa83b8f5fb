//! The record of a run: everything that was measured, and what can be said of it.
//!
//! What measures never draws, what draws never measures: this crate is the wall between them. It
//! holds the [`schema`] of `record.json` ([`mod@file`] reads and writes it), the [`journal`] that a
//! record grows in, and the [`statistics`] that turn raw samples into statements: pure functions,
//! each with its source. [`verdict::groups`] applies them to a whole record, [`sentence`] says
//! the outcome in words, [`models`] what more workers bring, and [`mod@format`] writes the numbers.
//! [`precision`] says when a run has measured enough, [`mod@aa`] what a run of equal cells says about
//! the machine, and [`change`] what changed between two runs. What the tasks of traced samples did
//! lies in files of its own: [`mod@trace`].

pub mod aa;
pub mod change;
pub mod counters;
pub mod file;
#[cfg(test)]
mod fixture;
pub mod format;
pub mod journal;
pub mod models;
pub mod precision;
pub mod schema;
pub mod sentence;
pub mod statistics;
pub mod summary;
pub mod trace;
pub mod verdict;

pub use aa::{Aa, aa};
pub use file::RecordError;
pub use schema::{
    Bound, Card, Cell, CellId, Chunk, Doubt, ExecutorText, Failure, FailureKind, Hardware, Header,
    Histogram, Launch, Machine, Memory, Mode, Record, Reference, Sample, Severity, Shares, Status,
    Trace, WorkloadText,
};
pub use statistics::{CellOutliers, Decomposition, Estimate, Interval, Outliers};
pub use summary::{AtBound, CellSummary, Ratio, Verdict};
pub use verdict::{Group, Unranked, groups, noise_floor};
