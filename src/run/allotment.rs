//! How much time and how many samples each launch gets.

use std::time::Duration;

use manyhands_record::statistics::{Decomposition, Times, quantile};
use manyhands_record::{Cell, Launch, Mode};

use super::launch::MOST_SAMPLES;
use super::plan::PlannedCell;
use super::rounds::Run;
use crate::error::Error;

/// The share of the budget that launches plan with: the rest is for some of them to be late.
const SLICED: f64 = 0.85;

/// What a launch costs besides its samples, until one has been seen: two processes started.
const LAUNCH_COST: Duration = Duration::from_millis(50);

/// Launches of a cell that must be there before their variance decides anything.
const TELLING: u32 = 3;

/// Samples after the cold one, at least: of two, neither is an outlier by itself.
const FEWEST_SAMPLES: u32 = 2;

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

    /// Before a round: how many samples a launch of each cell should take. As many as there may be
    /// until a few launches have told where the variance lies; then as many as say most in a
    /// given time (Kalibera and Jones 2013). What is saved is there for more rounds.
    pub(super) fn allot_samples(&mut self, round: u32) -> Result<(), Error> {
        self.worthwhile.resize(self.plan.cells.len(), MOST_SAMPLES);
        if round >= TELLING {
            let record = self.record()?;
            for (worthwhile, cell) in self.worthwhile.iter_mut().zip(&record.cells) {
                *worthwhile = worthwhile_samples(cell).unwrap_or(MOST_SAMPLES);
            }
        }
        Ok(())
    }

    /// Samples after the cold one, at most.
    pub(super) fn samples(&self, index: usize, mode: Mode) -> u32 {
        match mode {
            Mode::Time => self.worthwhile[index],
            Mode::Memory | Mode::Trace => 1,
        }
    }
}

/// Samples after the cold one that a launch of this cell should take; unknown where the launches
/// do not tell where the variance lies.
fn worthwhile_samples(cell: &Cell) -> Option<u32> {
    let times = Times::of(cell).filter(|times| !times.cold)?;
    let launch_cost = median(cell.sound_launches(Mode::Time).filter_map(cost_beside_samples))?;
    let decomposition = Decomposition::of_times(&times)?;
    let sample_cost = times.estimate().ns;
    Some(decomposition.samples_per_launch(launch_cost, sample_cost, FEWEST_SAMPLES, MOST_SAMPLES))
}

/// What a launch costs however many samples follow: starting two processes, preparing, starting
/// the executor, the cold sample, ending.
fn cost_beside_samples(launch: &Launch) -> Option<f64> {
    let cold = launch.samples.first()?.wall_ns;
    let around = [launch.prepare_ns, launch.startup_ns, launch.teardown_ns];
    let around: u64 = around.into_iter().flatten().sum();
    Some((LAUNCH_COST.as_nanos() as u64 + cold + around) as f64)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    quantile::median(&values.collect::<Vec<_>>())
}
