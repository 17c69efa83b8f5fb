//! Models of what was measured: a curve, its parameters with intervals, and when there are none.

pub mod granularity;
