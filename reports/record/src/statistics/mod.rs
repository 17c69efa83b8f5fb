//! From raw samples to statements with their doubt: pure functions, each with its source.
//!
//! A launch gives one value ([`launch`]), the launches of a cell an estimate with its interval
//! ([`interval`]), two cells a ratio paired by round ([`ratio`]). What a difference must exceed
//! to be one is in [`noise`] and [`holm`]; the verdicts themselves are in [`crate::verdict`].

pub mod holm;
pub mod interval;
pub mod launch;
pub mod noise;
pub mod precision;
pub mod quantile;
pub mod ratio;
pub mod steady;
pub mod student;

pub use interval::{Estimate, Interval};
pub use launch::Times;
pub use ratio::Paired;
