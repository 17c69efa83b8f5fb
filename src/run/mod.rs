//! A run: the plan, the references, the rounds, the record.

mod allotment;
mod baseline;
pub mod commands;
mod granularity;
mod header;
pub mod input;
mod journal;
pub mod launch;
pub mod options;
pub mod order;
pub mod plan;
mod resume;
mod rounds;
mod template;

use std::path::{Path, PathBuf};
use std::time::Instant;

use manyhands_contract::Catalogue;
use manyhands_record::journal::{Line, Planned};
use manyhands_record::{Failure, FailureKind, Machine, Record, Status};

use crate::error::{Error, Exit};
use crate::signals::Interrupt;

use journal::Journal;
pub use journal::write_whole;
use launch::Launcher;
use options::Options;
use plan::{Plan, PlannedCell};
pub use resume::Resumed;
use rounds::{Run, Stop};

/// The record's name in the folder of its run.
pub const RECORD_FILE: &str = "record.json";

/// Where generated input lies in the folder of a run; removed when the run is complete.
const SCRATCH: &str = "input";

/// What a run tells while it goes on. Called between launches only: nothing is drawn while a
/// sample is timed.
pub trait Observer {
    /// `done` of `total` launches are over; next comes `what`.
    fn launching(&mut self, done: usize, total: usize, what: &str);
    /// Something that the user should know.
    fn note(&mut self, text: &str);
}

/// Where and with what a run takes place.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The workloads that there are.
    pub catalogue: &'a Catalogue,
    /// The program that answers to `PROGRAM __manyhands ...`.
    pub program: &'a Path,
    /// The machine, examined.
    pub machine: Machine,
    /// The folder of the run.
    pub folder: PathBuf,
    /// How a user stops the run.
    pub interrupt: &'a Interrupt,
}

/// Measures what was asked and writes `record.json` and `journal.ndjson`.
///
/// # Errors
/// What was asked and cannot be done. What fails later is in the record.
pub fn run(
    setting: &Setting<'_>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Record, Error> {
    let began = Instant::now();
    let scratch = setting.folder.join(SCRATCH);
    let cores = setting.machine.usable_cores;
    let plan = if options.granularity && options.commands.is_empty() {
        granularity::plan(setting, options, observer)?
    } else {
        Plan::new(setting.catalogue, options, cores, &scratch)?
    };
    let header = header::header(setting, options, &plan);
    let start = Line::Start { header: Box::new(header), cells: planned(&plan) };
    let journal = Journal::create(&setting.folder, vec![start])?;
    go(setting, options, plan, journal, began, observer)
}

/// Goes on with a run that was interrupted.
///
/// # Errors
/// As [`run`], and when the journal is damaged or was made elsewhere.
pub fn resume(
    setting: &Setting<'_>,
    options: &Options,
    resumed: Resumed,
    observer: &mut dyn Observer,
) -> Result<Record, Error> {
    let began = Instant::now();
    let scratch = setting.folder.join(SCRATCH);
    let cores = setting.machine.usable_cores;
    let plan = if options.granularity {
        granularity::plan_again(setting.catalogue, options, resumed.cells())?
    } else {
        Plan::new(setting.catalogue, options, cores, &scratch)?
    };
    let (lines, notes) = resumed.carry_over(&plan, planned(&plan));
    notes.iter().for_each(|note| observer.note(note));
    let journal = Journal::create(&setting.folder, lines)?;
    go(setting, options, plan, journal, began, observer)
}

fn planned(plan: &Plan) -> Vec<Planned> {
    let bound = |cell: &PlannedCell| {
        plan.groups[cell.group].bound.as_ref().map(|bound| manyhands_record::Bound {
            floor_ns: bound.floor_ns,
            reason: bound.reason.clone(),
        })
    };
    plan.cells.iter().map(|cell| Planned { id: cell.id.clone(), bound: bound(cell) }).collect()
}

fn go(
    setting: &Setting<'_>,
    options: &Options,
    plan: Plan,
    journal: Journal,
    began: Instant,
    observer: &mut dyn Observer,
) -> Result<Record, Error> {
    let _alone = alone_in(&setting.folder)?;
    let launcher =
        Launcher { program: setting.program, seed: options.seed, interrupt: setting.interrupt };
    let mut run = Run::new(launcher, &setting.folder, options, plan, journal, began, observer);
    let status = match run.measure() {
        Ok(status) => status,
        Err(Stop::Interrupted) => Status::Interrupted { rounds: run.complete_rounds()? },
        Err(Stop::Error(error)) => return Err(error),
    };
    let complete = !matches!(status, Status::Interrupted { .. });
    let record = run.end(status)?;
    write_whole(&setting.folder.join(RECORD_FILE), record.to_json().as_bytes())?;
    if complete {
        // An interrupted run keeps its input for the one that goes on with it.
        let _ = std::fs::remove_dir_all(setting.folder.join(SCRATCH));
    }
    Ok(record)
}

/// Keeps a second run out of the folder for as long as what it gives lives: two would write one
/// journal. The kernel gives the lock back however this process ends.
fn alone_in(folder: &Path) -> Result<std::fs::File, Error> {
    use rustix::fs::{FlockOperation, flock};
    let open = std::fs::File::open(folder);
    let locked = open.and_then(|file| {
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file)
    });
    locked.map_err(|error| {
        let folder = folder.display();
        Error::usage(format!("cannot lock {folder}: {error}; another run may be going on in it"))
    })
}

/// The one reason for which every cell failed, where there is one: it is better told once than in
/// a row for each.
pub fn common_failure(record: &Record) -> Option<&Failure> {
    let mut failures = record.cells.iter().map(|cell| cell.failure());
    let first = failures.next()??;
    let same = |failure: Option<&Failure>| failure.is_some_and(|f| f.reason == first.reason);
    (record.cells.len() > 1 && failures.all(same)).then_some(first)
}

/// The exit code that a record calls for.
pub fn exit_of(record: &Record) -> Exit {
    if matches!(record.status, Status::Interrupted { .. }) {
        return Exit::Interrupted;
    }
    let failures: Vec<_> =
        record.cells.iter().filter_map(|cell| cell.failure()).map(|failure| failure.kind).collect();
    if failures.contains(&FailureKind::WrongAnswer) {
        Exit::WrongAnswer
    } else if failures.iter().any(|kind| *kind != FailureKind::Unsupported) {
        Exit::Failed
    } else if !record.cells.is_empty() && failures.len() == record.cells.len() {
        Exit::Unsupported
    } else {
        Exit::Ok
    }
}

/// What the header of a record says of now.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// Now, as part of a folder's name: no colons, which some systems and tools do not like there.
pub(crate) fn now_in_a_name() -> String {
    now().replace(':', "-")
}
