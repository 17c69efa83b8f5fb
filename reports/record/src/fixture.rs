//! Small records for tests.

use std::collections::BTreeMap;

use crate::{
    Cell, CellId, Chunk, Failure, FailureKind, Header, Launch, Machine, Memory, Mode, Record,
    Sample, Status, WorkloadText, schema::SCHEMA,
};

pub(crate) fn sample(wall_ns: u64) -> Sample {
    Sample {
        wall_ns,
        user_ns: Some(wall_ns),
        system_ns: Some(0),
        voluntary: Some(2),
        ..Sample::default()
    }
}

/// A launch in time mode; the first of `walls` is the cold sample.
pub(crate) fn launch(round: u32, walls: &[u64]) -> Launch {
    Launch {
        mode: Mode::Time,
        round,
        sequence: round,
        startup_ns: Some(50),
        samples: walls.iter().copied().map(sample).collect(),
        ..Launch::default()
    }
}

pub(crate) fn failed(round: u32) -> Launch {
    failed_by(round, FailureKind::TimedOut, "it took longer than 10 s")
}

pub(crate) fn failed_by(round: u32, kind: FailureKind, reason: &str) -> Launch {
    let failure = Failure { kind, reason: reason.to_owned(), log: None };
    Launch { failure: Some(failure), ..launch(round, &[]) }
}

/// A launch in memory mode.
pub(crate) fn memory(before: u64, peak: u64) -> Launch {
    let memory = Memory {
        before: Some(before),
        peak: Some(peak),
        readings: 10,
        gap_ns: Some(1_000_000),
        processes: 1,
        threads: 2,
        ..Memory::default()
    };
    Launch { mode: Mode::Memory, memory: Some(memory), ..launch(0, &[100]) }
}

/// A cell of `primes`, 2 workers unless it is `sequential`.
pub(crate) fn cell(executor: &str, launches: Vec<Launch>) -> Cell {
    let id = CellId {
        workload: "primes".to_owned(),
        version: 1,
        parameters: BTreeMap::from([("limit".to_owned(), "1000".to_owned())]),
        input: None,
        executor: executor.to_owned(),
        workers: if executor == "sequential" { 1 } else { 2 },
        chunk: Chunk::Auto,
        label: None,
        rate: None,
    };
    Cell { id, bound: None, launches }
}

/// A cell with a launch for each of `walls`, whose warm samples all take that long.
pub(crate) fn timed(executor: &str, walls: &[u64]) -> Cell {
    let launches = (0..).zip(walls).map(|(round, &wall)| launch(round, &[2 * wall, wall, wall]));
    cell(executor, launches.collect())
}

/// Six rounds around `wall`, in percent: the spread of `spread` around 100, which is an even
/// one for an even seed and another for an odd one.
pub(crate) fn six(wall: u64, seed: usize) -> Vec<u64> {
    let percent = [[100, 101, 99, 100, 102, 98], [99, 100, 101, 101, 99, 100]];
    percent[seed % 2].iter().map(|share| wall * share / 100).collect()
}

pub(crate) fn header() -> Header {
    Header {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        started: "2026-01-31T12:00:00Z".to_owned(),
        command: vec!["run".to_owned(), "primes".to_owned()],
        seed: u64::MAX,
        rounds: 6,
        samples: 2,
        budget_ns: None,
        precision: None,
        weak: None,
        granularity: None,
        aa: false,
        machine: Machine::default(),
        doubts: vec![],
        workloads: vec![WorkloadText {
            name: "primes".to_owned(),
            version: 1,
            kind: "cpu".to_owned(),
            shape: "map".to_owned(),
            summary: String::new(),
            about: String::new(),
            task: String::new(),
            simulated: false,
        }],
        executors: vec![],
    }
}

pub(crate) fn record(cells: Vec<Cell>) -> Record {
    Record { header: header(), status: Status::Complete, references: vec![], cells }
}
