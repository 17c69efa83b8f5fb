//! What CI runs, on any machine.
fn main() {}
