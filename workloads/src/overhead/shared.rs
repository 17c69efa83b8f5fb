//! State that workers update at the same time, and the loop that does.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use manyhands_contract::TaskError;

use super::crew::{Crew, Job};
use super::spin::chain::Chain;

/// A number that many can add to.
pub(super) trait Shared: Send + Sync + 'static {
    /// Adds to it, as this worker.
    fn add(&self, worker: usize, amount: u64);

    /// What it came to, once all workers are done.
    fn total(&self) -> u64;
}

/// The updates of one sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Updates {
    /// How many, over all workers.
    pub(super) count: u64,
    /// Steps of `spin`'s chain that a worker makes by itself before each.
    pub(super) work: u64,
    /// Whether update k adds k, or 1.
    pub(super) numbered: bool,
}

/// What a sample came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    /// Updates that were made.
    pub(super) made: u64,
    /// What they left behind.
    pub(super) total: u64,
    pub(super) elapsed: Duration,
}

impl Outcome {
    /// Of the whole sample, for one update.
    pub(super) fn nanoseconds_per_update(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.made.max(1) as f64
    }
}

impl Updates {
    /// The numbers of a worker's updates: equal slices, as near as may be.
    pub(super) fn slice(self, worker: usize, workers: usize) -> Range<u64> {
        let cut = |index: usize| {
            let part = u128::from(self.count) * index as u128 / workers as u128;
            part as u64 // at most the count
        };
        cut(worker)..cut(worker + 1)
    }

    #[inline(always)]
    pub(super) fn amount(self, number: u64) -> u64 {
        if self.numbered { number } else { 1 }
    }

    /// What all updates add up to, modulo 2^64, when none is lost.
    pub(super) fn sum(self) -> u64 {
        if !self.numbered {
            return self.count;
        }
        let n = u128::from(self.count);
        (n * n.saturating_sub(1) / 2) as u64
    }

    /// The outcome, when every update was made and none was lost.
    ///
    /// # Errors
    /// What is missing: a form that should be right is not.
    pub(super) fn complete(self, outcome: Outcome) -> Result<Outcome, TaskError> {
        let (count, sum) = (self.count, self.sum());
        let Outcome { made, total, .. } = outcome;
        if (made, total) == (count, sum) {
            return Ok(outcome);
        }
        Err(TaskError(format!(
            "{made} of {count} updates were made and came to {total} instead of {sum}, and this \
             form must not lose any"
        )))
    }

    /// All updates one after the other in a variable that nobody shares: the sequential form of
    /// every experiment.
    pub(super) fn alone(self, chain: &Chain) -> Outcome {
        let began = Instant::now();
        let mut total = 0_u64;
        let mut last = 0;
        for number in 0..self.count {
            self.compute(chain, number, &mut last);
            // Kept in memory, as shared state is; or the loop would become a formula.
            total = black_box(total.wrapping_add(self.amount(number)));
        }
        black_box(last);
        Outcome { made: self.count, total, elapsed: began.elapsed() }
    }

    /// A worker's own work before an update.
    #[inline(always)]
    pub(super) fn compute(self, chain: &Chain, number: u64, last: &mut u64) {
        if self.work > 0 {
            chain.run(number, self.work, last);
        }
    }

    /// All updates of `state`, each worker its slice.
    ///
    /// # Errors
    /// As [`Crew::run`].
    pub(super) fn split<S: Shared>(
        self,
        crew: &Crew,
        chain: &Chain,
        state: S,
    ) -> Result<Outcome, TaskError> {
        let began = Instant::now();
        let state = Arc::new(state);
        let made = Arc::new(AtomicU64::new(0));
        let job = self.job(crew.workers(), chain.clone(), Arc::clone(&state), Arc::clone(&made));
        crew.run(&job)?;
        let (made, total) = (made.load(Ordering::Relaxed), state.total());
        Ok(Outcome { made, total, elapsed: began.elapsed() })
    }

    /// One call a worker; inside of it `S` is known, so that an update is what a person would
    /// have written.
    fn job<S: Shared>(
        self,
        workers: usize,
        chain: Chain,
        state: Arc<S>,
        made: Arc<AtomicU64>,
    ) -> Job {
        Arc::new(move |worker| {
            let slice = self.slice(worker, workers);
            let mut last = 0;
            for number in slice.clone() {
                self.compute(&chain, number, &mut last);
                state.add(worker, self.amount(number));
            }
            black_box(last);
            // Relaxed: who reads it has waited for the workers, which orders everything.
            made.fetch_add(slice.end - slice.start, Ordering::Relaxed);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_all_updates_once() {
        for (count, workers) in [(0, 1), (1, 3), (10, 3), (u64::MAX, 7)] {
            let updates = Updates { count, work: 0, numbered: true };
            let slices: Vec<_> = (0..workers).map(|w| updates.slice(w, workers)).collect();
            assert_eq!((slices[0].start, slices[workers - 1].end), (0, count));
            assert!(slices.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    #[test]
    fn a_lost_update_is_an_error_that_says_how_much_is_missing() {
        let updates = Updates { count: 10, work: 0, numbered: true };
        let outcome = |made, total| Outcome { made, total, ..Outcome::default() };
        assert!(updates.complete(outcome(10, 45)).is_ok());
        assert!(updates.complete(outcome(9, 45)).is_err());
        let error = updates.complete(outcome(10, 44)).unwrap_err().to_string();
        assert!(error.contains("came to 44 instead of 45"), "{error}");
    }

    /// `sum(range(n)) % 2**64` in Python 3.
    #[test]
    fn sums_are_those_that_python_gives() {
        let sum = |count| Updates { count, work: 0, numbered: true }.sum();
        let sums = [0, 1, 10, 10_000_000, 10_000_000_000].map(sum);
        assert_eq!(sums, [0, 0, 45, 49_999_995_000_000, 13_106_511_847_580_896_768]);
        let alone = Updates { count: 10, work: 3, numbered: true }.alone(&Chain::new());
        assert_eq!((alone.made, alone.total), (10, 45));
    }
}
