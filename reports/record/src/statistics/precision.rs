//! Whether a run has measured for long enough.

use super::Times;
use crate::Record;

/// Whether every cell's interval is narrower than +-`precision` of its time. Cells that failed
/// are not waited for.
pub fn reached(record: &Record, precision: f64) -> bool {
    let sound = record.cells.iter().filter(|cell| cell.failure().is_none());
    sound.filter_map(Times::of).all(|times| {
        let interval = times.estimate().interval;
        interval.is_some_and(|i| (i.high / i.low).ln() / 2.0 <= precision.ln_1p())
    })
}
