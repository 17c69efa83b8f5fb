//! How much time and how many samples each launch gets.

use std::time::Duration;

use manyhands_record::precision;
use manyhands_record::statistics::{Decomposition, Times};
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

/// Samples after the cold one, at least, where there is time for them: the first ones after it are
/// still slower, by 2 to 3 % of a function of 2 ms, and a median of two would be theirs.
const FEWEST_SAMPLES: u32 = 6;

impl Run<'_> {
    /// Time for a launch: what a cold and a warm sample of its cell take, and an equal share of
    /// what is left of the budget when all launches to come get as much. So slow cells cost fast
    /// ones samples, but nobody a round.
    ///
    /// A round beyond those that were planned begins only if there is time for one more like the
    /// last, so its launches get what they got before: medians of as many samples.
    pub(super) fn slice(&self, index: usize, round: u32) -> Duration {
        if round >= self.planned {
            return self.slices[index];
        }
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
        self.beside = vec![LAUNCH_COST; self.least.len()];
        self.slices = self.least.clone();
    }

    /// After the first round, which showed what a round costs at least: lays the budget out for
    /// as many rounds as it takes to stop early, if it has room for them.
    pub(super) fn plan_rounds(&mut self) {
        let (Some(_), Some(budget)) = (self.options.precision(), self.options.budget()) else {
            return;
        };
        let wanted = precision::FEWEST_ROUNDS.max(self.planned);
        let round: Duration = self.least.iter().sum();
        let left = budget.mul_f64(SLICED).saturating_sub(self.began.elapsed());
        if round * (wanted - 1) <= left {
            self.total += (wanted - self.planned) as usize * self.plan.cells.len();
            self.planned = wanted;
        }
    }

    /// Learns from a launch: all of its time but for the samples beyond the first two.
    pub(super) fn learn_least(&mut self, index: usize, took: Duration, launch: &Launch) {
        let beyond = launch.samples.iter().skip(2).map(|sample| sample.wall_ns).sum();
        self.least[index] = took.saturating_sub(Duration::from_nanos(beyond));
        let samples = launch.samples.iter().map(|sample| sample.wall_ns).sum();
        self.beside[index] = took.saturating_sub(Duration::from_nanos(samples));
    }

    /// Before a round: how many samples a launch of each cell should take. As many as there may be
    /// until a few launches have told where the variance lies; then as many as say most in a
    /// given time (Kalibera and Jones 2013). What is saved is there for more rounds.
    pub(super) fn allot_samples(&mut self, round: u32) -> Result<(), Error> {
        self.worthwhile.resize(self.plan.cells.len(), MOST_SAMPLES);
        if round >= TELLING {
            let record = self.record()?;
            let cells = record.cells.iter().zip(&self.beside);
            for (worthwhile, (cell, beside)) in self.worthwhile.iter_mut().zip(cells) {
                *worthwhile = worthwhile_samples(cell, *beside).unwrap_or(MOST_SAMPLES);
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
fn worthwhile_samples(cell: &Cell, beside: Duration) -> Option<u32> {
    let times = Times::of(cell).filter(|times| !times.cold)?;
    // The cold sample is a launch's cost too, for it says nothing of the steady state.
    let launch_cost = beside.as_nanos() as f64 + times.cold_estimate().ns;
    let decomposition = Decomposition::of_times(&times)?;
    let sample_cost = times.estimate().ns;
    Some(decomposition.samples_per_launch(launch_cost, sample_cost, FEWEST_SAMPLES, MOST_SAMPLES))
}
