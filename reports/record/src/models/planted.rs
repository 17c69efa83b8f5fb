//! Curves whose parameters are known, for tests.

use super::fit::Points;
use super::usl;
use crate::fixture::{launch, record, timed};
use crate::statistics::noise::SplitMix64;
use crate::{Cell, Record};

/// Times in ns: six rounds of 1, 2, 4, 8, 16 and 32 workers; serial fraction 0.1, 2 % of noise of
/// cells and of rounds, drawn with NumPy.
pub(super) const TIMES_OF_AMDAHL: [[u64; 6]; 6] = [
    [996637, 553394, 323809, 204916, 157478, 127952],
    [957241, 538388, 316763, 206823, 151270, 125334],
    [988685, 550050, 322961, 215782, 156899, 127805],
    [986632, 548372, 325762, 211793, 160697, 131016],
    [924252, 516766, 316013, 205604, 153114, 125563],
    [1029108, 530603, 318177, 218357, 156136, 128073],
];

/// The same with contention 0.05 and coherence 0.002.
pub(super) const TIMES_OF_USL: [[u64; 6]; 6] = [
    [1000386, 519751, 290099, 173451, 143993, 144476],
    [1010920, 544597, 300327, 183904, 144617, 143277],
    [971251, 507128, 289566, 178313, 137755, 136850],
    [994117, 513329, 295973, 181897, 139121, 141655],
    [984761, 537927, 307314, 177720, 135292, 138156],
    [1054279, 547741, 310900, 192211, 145098, 147722],
];

pub(super) fn points(times: &[[u64; 6]; 6]) -> Points {
    let rounds = times.iter().map(|round| round.iter().map(|&t| -(t as f64).ln()).collect());
    Points { workers: vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0], rounds: rounds.collect() }
}

/// Normal noise: twelve uniform numbers minus 6.
pub(super) struct Noise(SplitMix64);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub(super) fn next(&mut self) -> f64 {
        (0..12).map(|_| self.0.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
    }
}

/// An executor that needs 1 ms with one worker.
pub(super) struct Planted {
    pub(super) contention: f64,
    pub(super) coherence: f64,
    pub(super) rounds: u32,
    /// The standard deviation of a launch's logarithm; a round's mood has the same.
    pub(super) noise: f64,
}

impl Planted {
    fn ns(&self, workers: f64) -> f64 {
        1e6 / usl::speedup(self.contention, self.coherence, workers)
    }

    pub(super) fn points(&self, workers: &[f64]) -> Points {
        let round: Vec<f64> = workers.iter().map(|&n| -self.ns(n).ln()).collect();
        Points { workers: workers.to_vec(), rounds: vec![round; self.rounds as usize] }
    }

    pub(super) fn noisy(&self, workers: &[f64], random: &mut Noise) -> Points {
        let mut points = self.points(workers);
        for round in &mut points.rounds {
            let mood = self.noise * random.next();
            round.iter_mut().for_each(|log| *log += mood + self.noise * random.next());
        }
        points
    }

    /// A record of a machine with 64 cores. A launch's samples differ by half of its noise.
    pub(super) fn record(&self, workers: &[u32], random: &mut Noise) -> Record {
        let moods: Vec<f64> = (0..self.rounds).map(|_| self.noise * random.next()).collect();
        let cell = |&workers: &u32| -> Cell {
            let mut cell = timed("threads", &[]);
            cell.id.workers = workers;
            for (round, mood) in (0..).zip(&moods) {
                let level = self.ns(f64::from(workers)).ln() + mood + self.noise * random.next();
                let walls: Vec<u64> = (0..4)
                    .map(|_| (level + 0.5 * self.noise * random.next()).exp() as u64)
                    .collect();
                cell.launches.push(launch(round, &walls));
            }
            cell
        };
        let mut record = record(workers.iter().map(cell).collect());
        record.header.machine.usable_cores = 64;
        record
    }
}
