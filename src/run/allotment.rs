//! How much time and how many samples each launch gets.

use std::time::Duration;

use manyhands_record::{Launch, Mode};

use super::launch::MOST_SAMPLES;
use super::plan::PlannedCell;
use super::rounds::Run;

/// The share of the budget that launches plan with: the rest is for some of them to be late.
const SLICED: f64 = 0.85;

/// What a launch costs besides its samples, until one has been seen: two processes started.
const LAUNCH_COST: Duration = Duration::from_millis(50);

impl Run<'_> {
    /// Time for a launch: what a cold and a warm sample of its cell take, and an equal share of
    /// what is left of the budget when all launches to come get as much. So slow cells cost fast
    /// ones samples, but nobody a round.
    pub(super) fn slice(&self, index: usize) -> Duration {
        let Some(budget) = self.options.budget() else { return Duration::from_millis(500) };
        let to_come = (self.total - self.done).max(1) as u32;
        let least: Duration = self.least.iter().sum();
        let least = least.mul_f64(f64::from(to_come) / self.least.len() as f64);
        let left = budget.mul_f64(SLICED).saturating_sub(self.began.elapsed());
        self.least[index] + left.saturating_sub(least) / to_come
    }

    /// What the least launch of each cell may take, before any has been seen: the sequential time
    /// twice, which is too much for all that scale and is corrected by their first launch.
    pub(super) fn guess_least(&mut self) {
        let guess = |cell: &PlannedCell| {
            let baseline = &self.baselines[cell.group];
            LAUNCH_COST + baseline.start + 2 * baseline.wall.unwrap_or_default()
        };
        self.least = self.plan.cells.iter().map(guess).collect();
    }

    /// Learns from a launch: all of its time but for the samples beyond the first two.
    pub(super) fn learn_least(&mut self, index: usize, took: Duration, launch: &Launch) {
        let beyond = launch.samples.iter().skip(2).map(|sample| sample.wall_ns).sum();
        self.least[index] = took.saturating_sub(Duration::from_nanos(beyond));
    }

    /// Samples after the cold one, at most.
    pub(super) fn samples(&self, _index: usize, mode: Mode) -> u32 {
        match mode {
            Mode::Time => MOST_SAMPLES,
            Mode::Memory | Mode::Trace => 1,
        }
    }
}
