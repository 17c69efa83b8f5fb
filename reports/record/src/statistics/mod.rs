//! From raw samples to statements with their doubt: pure functions, each with its source.
//!
//! A launch gives one value ([`launch`]), the launches of a cell an estimate with its interval
//! ([`interval`]), two cells a ratio paired by round ([`ratio`]). What a difference must exceed
//! to be one is in [`noise`] and [`holm`], how large it must be to be seen in [`detectable`]; the
//! verdicts themselves are in [`crate::verdict`]. Two runs are compared by [`welch`]. What the
//! samples are like is in [`outliers`] and [`variance`].

pub mod detectable;
pub mod holm;
pub mod interval;
pub mod launch;
pub mod noise;
pub mod outliers;
pub mod quantile;
pub mod ratio;
pub mod steady;
pub mod student;
pub mod variance;
pub mod welch;

pub use interval::{Estimate, Interval};
pub use launch::Times;
pub use outliers::{CellOutliers, Outliers};
pub use ratio::Paired;
pub use variance::Decomposition;
pub use welch::Unpaired;
