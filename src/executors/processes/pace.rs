//! How many chunks a worker should have in flight.

use super::serve::HOLD;

/// From here on a worker replies after every chunk, which covers a round trip through the
/// coordinator many times over; so one that runs and one that waits are enough, and more would
/// only be unfair at the end.
const LONG_NS: f64 = HOLD.as_nanos() as f64;

/// Work to keep in flight per worker: a few times what it holds results back for, so that it
/// never runs dry while its results are on their way.
const AHEAD_NS: f64 = 4.0 * LONG_NS;

/// Chunks in flight per worker when they are as short as can be: a write carries half of them at a
/// time, so beyond this a batch's two system calls and switches are lost among its frames.
const MOST: usize = 512;

/// In flight while nothing is known, and when chunks are long.
const LEAST: usize = 2;

/// A running estimate of how long a chunk takes, kept from phase to phase.
#[derive(Debug, Default)]
pub(super) struct Pace {
    chunk_ns: Option<f64>,
}

impl Pace {
    /// Takes note of chunks that took `busy_ns` together. The average forgets by a quarter per
    /// report: one odd report does not change the window much, ten do.
    pub(super) fn saw(&mut self, chunks: usize, busy_ns: u64) {
        let now = busy_ns as f64 / chunks.max(1) as f64;
        self.chunk_ns = Some(self.chunk_ns.map_or(now, |before| before + (now - before) / 4.0));
    }

    /// Chunks that one worker may have in flight.
    pub(super) fn window(&self) -> usize {
        match self.chunk_ns {
            Some(ns) if ns < LONG_NS => ((AHEAD_NS / ns) as usize).clamp(LEAST, MOST),
            _ => LEAST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_chunks_travel_in_crowds_and_long_ones_in_pairs() {
        let window = |chunk_ns: u64| {
            let mut pace = Pace::default();
            pace.saw(10, chunk_ns * 10);
            pace.window()
        };
        assert_eq!([0, 100, 10_000, 249_999, 250_000].map(window), [MOST, MOST, 100, 4, LEAST]);
        assert_eq!(Pace::default().window(), LEAST);
    }
}
