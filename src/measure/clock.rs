//! The wall clock: monotonic, in whole nanoseconds.
//!
//! `Instant` is `CLOCK_MONOTONIC` on Linux and `CLOCK_UPTIME_RAW` on macOS. CPU time is no
//! substitute: it stands still while a program waits, which is what half of the workloads do.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// How often [`examine`] reads the clock: a third of a millisecond where a read takes 30 ns.
const READS: u32 = 10_000;

/// A clock that was started at some moment and counts nanoseconds from it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts counting now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Nanoseconds since [`Clock::start`]. It never runs backwards.
    pub fn elapsed_ns(&self) -> u64 {
        // 2^64 ns are 584 years: saturating is a formality.
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What reading the clock costs and how finely it counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClockFacts {
    /// The smallest step seen between two readings that differed, in nanoseconds; absent if the
    /// clock did not move. Where a reading takes longer than a tick, this is the reading's time.
    pub resolution_ns: Option<u64>,
    /// Mean time of one reading, in nanoseconds.
    pub cost_ns: f64,
}

/// Measures the clock itself; takes less than a millisecond where the clock is not a slow one.
pub fn examine() -> ClockFacts {
    let clock = Clock::start();
    examine_readings(|| clock.elapsed_ns())
}

fn examine_readings(mut read: impl FnMut() -> u64) -> ClockFacts {
    let first = read();
    let mut last = first;
    let mut smallest = None::<u64>;
    for _ in 0..READS {
        let now = read();
        let step = now.saturating_sub(last);
        if step > 0 {
            smallest = Some(smallest.map_or(step, |s| s.min(step)));
        }
        last = now;
    }
    let total = last.saturating_sub(first);
    ClockFacts { resolution_ns: smallest, cost_ns: total as f64 / f64::from(READS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_never_runs_backwards() {
        let clock = Clock::start();
        let readings: Vec<u64> = (0..1000).map(|_| clock.elapsed_ns()).collect();
        assert!(readings.is_sorted());
    }

    #[test]
    fn the_resolution_is_the_smallest_step_and_the_cost_is_the_mean() {
        // A clock that ticks every 100 ns and takes 50 ns to read: every other reading repeats.
        let mut true_time = 0;
        let facts = examine_readings(|| {
            true_time += 50;
            true_time / 100 * 100
        });
        assert_eq!(facts, ClockFacts { resolution_ns: Some(100), cost_ns: 50.0 });
    }

    #[test]
    fn a_clock_that_stands_still_has_no_resolution() {
        let facts = examine_readings(|| 7);
        assert_eq!(facts, ClockFacts { resolution_ns: None, cost_ns: 0.0 });
    }
}
