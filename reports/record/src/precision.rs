//! When a run has measured enough: adaptive stopping.
//!
//! A run that looks at its intervals and stops as soon as they are narrow stops too often where
//! the spread happened to look small, and its intervals then cover less than they say: known
//! since Anscombe (1952) and Chow and Robbins (1965) of sequential intervals of fixed width.
//! Simulated for this project with normal noise (`cargo xtask truth` does it again): intervals
//! that call themselves 95 % cover 92.5 % where about 17 rounds are needed, and more where fewer
//! or many more are. A spread that looks small by chance seldom does so for long: if the interval
//! must be narrow after each of three rounds in a row, coverage stays above 93 %, for two
//! rounds more. Fewer looks (every quarter more rounds) do not help, and asking for a more
//! certain interval only moves the dip to quieter cells.

use crate::statistics::Times;
use crate::statistics::interval::{LogMean, MIN_LAUNCHES};
use crate::{Cell, Record};

/// Rounds in a row after which a cell's interval must have been narrow.
pub const IN_A_ROW: usize = 3;

/// Below this many rounds no cell is precise: the sixth is the first with an interval.
pub const FEWEST_ROUNDS: u32 = (MIN_LAUNCHES + IN_A_ROW - 1) as u32;

/// Whether a run may stop: no cell is [`pending`].
pub fn reached(cells: &[Cell], precision: f64) -> bool {
    cells.iter().all(|cell| !is_pending(cell, precision))
}

/// The cells that need more rounds, by their place: those whose interval is not yet narrower
/// than +-`precision` (0.02 is 2 %), or has not been for [`IN_A_ROW`] rounds. A cell that failed
/// or is unsupported is not waited for.
pub fn pending(cells: &[Cell], precision: f64) -> Vec<usize> {
    (0..cells.len()).filter(|&i| is_pending(&cells[i], precision)).collect()
}

/// How many cells of a record need more rounds, and how many there are that could be timed;
/// `None` where the record asks for no precision.
pub fn pending_of(record: &Record) -> Option<(usize, usize)> {
    let precision = record.header.precision?;
    let timed = record.cells.iter().filter(|cell| cell.failure().is_none()).count();
    Some((pending(&record.cells, precision).len(), timed))
}

fn is_pending(cell: &Cell, precision: f64) -> bool {
    cell.failure().is_none() && !is_precise(cell, precision)
}

/// Whether a cell's 95 % interval is narrow enough: half its width on the log scale is at most
/// ln(1 + `precision`), now and after each of the [`IN_A_ROW`] - 1 launches before the last.
/// Never below as many launches more than [`interval::MIN_LAUNCHES`].
///
/// [`interval::MIN_LAUNCHES`]: crate::statistics::interval::MIN_LAUNCHES
pub fn is_precise(cell: &Cell, precision: f64) -> bool {
    let most = precision.ln_1p();
    let Some(logs) = Times::of(cell).map(|times| times.values()) else { return false };
    let narrow = |&without: &usize| {
        let earlier = &logs[..logs.len().saturating_sub(without)];
        LogMean::of(earlier).and_then(|mean| mean.half_width()).is_some_and(|half| half <= most)
    };
    (0..IN_A_ROW).all(|without| narrow(&without))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, failed, record, timed};

    #[test]
    fn a_cell_is_precise_once_its_interval_was_narrow_three_rounds_in_a_row() {
        let quiet = [1_000, 1_001, 999, 1_000, 1_002, 998, 1_000, 1_001];
        assert!(!is_precise(&timed("threads", &quiet[..6]), 0.02));
        assert!(!is_precise(&timed("threads", &quiet[..7]), 0.02));
        assert!(is_precise(&timed("threads", &quiet), 0.02));
        // Half the width is 0.11 % of the time.
        assert!(!is_precise(&timed("threads", &quiet), 0.001));
        // A wild round opens the interval, and the count begins anew.
        let mut wild = quiet.to_vec();
        wild[6] = 1_300;
        assert!(!is_precise(&timed("threads", &wild), 0.02));
    }

    #[test]
    fn the_limit_is_half_the_interval_on_the_log_scale() {
        // The widest of the last three intervals decides.
        let walls =
            [1_000_000, 1_020_000, 990_000, 1_005_000, 1_010_000, 985_000, 1_001_000, 1_003_000];
        let half = |rounds: usize| {
            let interval = Times::of(&timed("threads", &walls[..rounds])).unwrap().estimate();
            let interval = interval.interval.unwrap();
            (interval.high / interval.low).sqrt() - 1.0
        };
        let widest = [6, 7, 8].map(half).into_iter().fold(0.0, f64::max);
        let cell = timed("threads", &walls);
        assert!(is_precise(&cell, widest * 1.000_001) && !is_precise(&cell, widest * 0.999));
    }

    #[test]
    fn what_failed_is_not_waited_for_and_what_was_not_measured_is() {
        let quiet = timed("threads", &[1_000; 8]);
        let mut bad = timed("rayon", &[1_000, 2_000]);
        bad.launches.push(failed(2));
        let cells = vec![quiet, bad, timed("async", &[500, 900, 700]), cell("processes", vec![])];
        assert_eq!(pending(&cells, 0.02), [2, 3]);
        assert!(!reached(&cells, 0.02) && reached(&cells[..2], 0.02) && reached(&[], 0.02));
        let mut record = record(cells);
        assert_eq!(pending_of(&record), None);
        record.header.precision = Some(0.02);
        assert_eq!(pending_of(&record), Some((2, 3)));
    }
}
