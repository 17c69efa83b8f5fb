//! Invented worlds: records whose truth is known, because it was planted.

use std::collections::BTreeMap;

use manyhands_record::schema::SCHEMA;
use manyhands_record::statistics::noise::SplitMix64;
use manyhands_record::{
    Cell, CellId, Chunk, Header, Launch, Machine, Mode, Record, Sample, Status,
};

/// The true time of a cell, in nanoseconds: long enough that whole nanoseconds round nothing.
pub(super) const TRUTH: f64 = 1e7;

/// What the launches' times and the samples' times are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 1 + s z, z standard normal.
    Normal,
    /// exp(s z).
    LogNormal,
    /// exp(s z), but one in ten is disturbed: exp(5 s |z|), only ever slower.
    Contaminated,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Normal, Self::LogNormal, Self::Contaminated];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::LogNormal => "log-normal",
            Self::Contaminated => "contaminated",
        }
    }

    fn factor(self, spread: f64, random: &mut SplitMix64) -> f64 {
        match self {
            Self::Normal => (1.0 + spread * random.normal()).max(0.01),
            Self::Contaminated if random.uniform() < 0.1 => {
                (5.0 * spread * random.normal().abs()).exp()
            }
            Self::LogNormal | Self::Contaminated => (spread * random.normal()).exp(),
        }
    }
}

/// How the times of a cell scatter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scatter {
    pub(super) kind: Kind,
    /// Standard deviation between launches, as a share.
    pub(super) launch: f64,
    /// Standard deviation between the samples of a launch, as a share.
    pub(super) sample: f64,
}

/// A record of one workload: `sequential`, and as many other executors as it takes to have this
/// many cells. No launch has been measured.
pub(super) fn record(cells: usize) -> Record {
    let names = (1..cells).map(|n| format!("executor{n}"));
    let cells = std::iter::once("sequential".to_owned()).chain(names).map(|executor| Cell {
        id: id("noise", &executor),
        bound: None,
        launches: Vec::new(),
    });
    Record {
        header: header(),
        status: Status::Complete,
        references: Vec::new(),
        cells: cells.collect(),
    }
}

pub(super) fn id(workload: &str, executor: &str) -> CellId {
    CellId {
        workload: workload.to_owned(),
        version: 1,
        parameters: BTreeMap::new(),
        input: None,
        executor: executor.to_owned(),
        workers: 1,
        chunk: Chunk::Auto,
        label: None,
        rate: None,
    }
}

fn header() -> Header {
    Header {
        schema: SCHEMA.to_owned(),
        version: String::new(),
        started: String::new(),
        command: Vec::new(),
        seed: 1,
        rounds: 6,
        samples: 5,
        budget_ns: None,
        precision: None,
        weak: None,
        granularity: None,
        aa: false,
        machine: Machine::default(),
        doubts: Vec::new(),
        workloads: Vec::new(),
        executors: Vec::new(),
    }
}

/// A launch without samples in a round.
fn launch(round: usize, samples: usize) -> Launch {
    Launch {
        mode: Mode::Time,
        round: round as u32,
        samples: vec![Sample::default(); samples + 1],
        ..Launch::default()
    }
}

/// Makes room for launches with this many samples beside the cold one, without measuring them.
pub(super) fn make_room(record: &mut Record, launches: usize, samples: usize) {
    for cell in &mut record.cells {
        cell.launches = (0..launches).map(|round| launch(round, samples)).collect();
    }
}

/// Measures all launches of a cell anew; `factor` times [`TRUTH`] is the truth.
pub(super) fn measure(cell: &mut Cell, factor: f64, scatter: Scatter, random: &mut SplitMix64) {
    for launch in &mut cell.launches {
        measure_launch(launch, factor, scatter, random);
    }
}

fn measure_launch(launch: &mut Launch, factor: f64, scatter: Scatter, random: &mut SplitMix64) {
    let Scatter { kind, launch: between, sample: within } = scatter;
    let level = TRUTH * factor * kind.factor(between, random);
    for (n, sample) in launch.samples.iter_mut().enumerate() {
        // The cold sample is slower, and must not be counted.
        let cold = if n == 0 { 3.0 } else { 1.0 };
        sample.wall_ns = (level * cold * kind.factor(within, random)).round() as u64;
    }
}

/// Measures one more round of every cell.
pub(super) fn measure_round(record: &mut Record, scatter: Scatter, random: &mut SplitMix64) {
    for cell in &mut record.cells {
        let mut next = launch(cell.launches.len(), 1);
        measure_launch(&mut next, 1.0, scatter, random);
        cell.launches.push(next);
    }
}
