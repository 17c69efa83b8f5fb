//! manyhands.
fn main() {}
