//! Sweeping the length of a task: `manyhands run spin --granularity`.
//!
//! Each executor gets lengths of its own: the stated ones, at which all are compared, and several
//! around the length at which it reaches half of the best rate, which a short [`pilot`] finds
//! before the plan is fixed. The pilot's figures choose what is measured and are not part of the
//! record. Each length gets as many tasks as make a sample of some milliseconds: granularity is per
//! task, so executors need not have the same number of them.

mod lengths;
mod pilot;

use std::num::NonZeroU32;

use manyhands_contract::{Catalogue, Definition, Entry, ParameterKind, Parameters};
use manyhands_record::CellId;

use super::launch::{Interrupted, Launcher};
use super::options::Options;
use super::plan::{Group, Plan, PlannedCell};
use super::{Observer, SCRATCH, Setting};
use crate::error::{Error, Exit};
use crate::executors::ExecutorName;
use lengths::Limits;
use pilot::{Costs, Pilot};

/// The parameter that counts tasks, in every workload whose tasks have a length.
const COUNT: &str = "tasks";

/// Plans a run that sweeps the length of a task. Takes a few launches for it.
///
/// # Errors
/// A workload whose tasks have no length, parameters that the sweep itself sets, and all that
/// [`Plan::new`] refuses; a user who stops it.
pub(super) fn plan(
    setting: &Setting<'_>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Plan, Error> {
    check(setting.catalogue, options)?;
    let cores = setting.machine.usable_cores.max(1);
    let options = with_workers(options, cores);
    let scratch = setting.folder.join(SCRATCH);
    // What is held fixed, and by whom it is run: all but the lengths.
    let base = Plan::new(setting.catalogue, &options, cores, &scratch)?;
    let launcher =
        Launcher { program: setting.program, seed: options.seed, interrupt: setting.interrupt };
    let mut plan = Plan { groups: Vec::new(), cells: Vec::new() };
    let mut done = 0;
    for (number, group) in base.groups.iter().enumerate() {
        let cells = base.cells.iter().filter(|cell| cell.group == number);
        let who: Vec<_> = cells.map(|cell| (cell.executor, cell.workers)).collect();
        let fixed = Fixed::new(group.entry, &group.parameters);
        let mut pilot = Pilot::new(&fixed, launcher, &options, cores, observer, &mut done);
        pilot.expects(base.groups.len() * who.len());
        let pieces = pieces(&fixed, &mut pilot, &who).map_err(stopped)?;
        add(&mut plan, &fixed, &options, pieces)?;
    }
    Ok(plan)
}

/// The plan of an earlier part of the run, from the cells that it had: its pilot is not taken
/// again, as other lengths could come of it.
///
/// # Errors
/// When a cell has parameters that its workload does not take.
pub(super) fn plan_again<'a>(
    catalogue: &Catalogue,
    options: &Options,
    cells: impl Iterator<Item = &'a CellId>,
) -> Result<Plan, Error> {
    check(catalogue, options)?;
    let mut plan = Plan { groups: Vec::new(), cells: Vec::new() };
    for id in cells {
        let entry = *catalogue.get(&id.workload).map_err(Error::usage)?;
        let texts = id.parameters.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let parameters = Parameters::from_texts(entry.definition, texts).map_err(Error::usage)?;
        let executor = id.executor.parse().map_err(Error::usage)?;
        let workers = NonZeroU32::new(id.workers).unwrap_or(NonZeroU32::MIN);
        add_cell(&mut plan, entry, parameters, options, (executor, workers))?;
    }
    Ok(plan)
}

/// What the header of a record says: the parameter that was swept.
pub(super) fn swept(options: &Options, plan: &Plan) -> Option<String> {
    let first = plan.groups.first().filter(|_| options.granularity)?;
    first.entry.definition.length.map(str::to_owned)
}

/// As many workers as cores, unless told otherwise: below that, cores stand idle.
fn with_workers(options: &Options, cores: u32) -> Options {
    let mut options = options.clone();
    if options.workers.is_empty() {
        options.workers.extend(NonZeroU32::new(cores));
    }
    options
}

/// Whether every workload that was named has tasks with a length, the same parameter in all, and
/// that length is left to the sweep.
fn check(catalogue: &Catalogue, options: &Options) -> Result<(), Error> {
    let able = || catalogue.entries().iter().filter(|entry| is_able(entry.definition));
    let names = || able().map(|entry| entry.definition.name).collect::<Vec<_>>().join(", ");
    if options.workloads.is_empty() {
        return Err(Error::usage(format!(
            "--granularity sweeps the length of a task; name a workload that has one: {}",
            names()
        )));
    }
    let mut swept = None;
    for name in &options.workloads {
        let definition = catalogue.get(name).map_err(Error::usage)?.definition;
        let Some(length) = definition.length.filter(|_| is_able(definition)) else {
            return Err(Error::usage(format!(
                "{name} has no parameter for the length of a task, which --granularity sweeps; \
                 these have: {}",
                names()
            )));
        };
        if *swept.get_or_insert(length) != length {
            return Err(Error::usage(format!(
                "--granularity sweeps one parameter, and {name} calls it {length}; give it a run \
                 of its own"
            )));
        }
        let given = |name: &str| options.parameters.iter().any(|(other, _)| other == name);
        if let Some(own) = [length, COUNT].into_iter().find(|name| given(name)) {
            return Err(Error::usage(format!(
                "--granularity chooses {length} and {COUNT} itself; leave -p {own} out"
            )));
        }
    }
    Ok(())
}

/// Whether a workload's tasks have a length that can be swept: two whole numbers make its work.
fn is_able(definition: &Definition) -> bool {
    let whole = |name| limits(definition, name).is_some();
    definition.length.is_some_and(whole) && whole(COUNT)
}

fn limits(definition: &Definition, name: &str) -> Option<Limits> {
    let parameter = definition.parameters.iter().find(|parameter| parameter.name == name)?;
    match parameter.kind {
        ParameterKind::Integer { min, max } => Some(Limits { min, max }),
        _ => None,
    }
}

/// What one sweep holds fixed.
struct Fixed {
    entry: Entry,
    /// The parameter that is swept.
    length: &'static str,
    lengths: Limits,
    counts: Limits,
    /// All other parameters.
    others: Vec<(String, String)>,
}

impl Fixed {
    /// `entry` was checked to have tasks with a length.
    fn new(entry: Entry, parameters: &Parameters) -> Self {
        let length = entry.definition.length.expect("the workload was checked");
        let limits = |name| limits(entry.definition, name).expect("the workload was checked");
        let mut others = parameters.texts();
        others.retain(|name, _| name != length && name != COUNT);
        Self {
            entry,
            length,
            lengths: limits(length),
            counts: limits(COUNT),
            others: others.into_iter().collect(),
        }
    }

    /// The parameters with this length and this many tasks.
    fn parameters(&self, preset: &str, length: u64, tasks: u64) -> Result<Parameters, Error> {
        let mut changes = self.others.clone();
        changes.push((self.length.to_owned(), length.to_string()));
        changes.push((COUNT.to_owned(), tasks.to_string()));
        self.entry.definition.parameters(preset, &changes).map_err(Error::usage)
    }
}

/// One cell to be: an executor with its workers, a length of task, a number of tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    who: (ExecutorName, NonZeroU32),
    length: u64,
    tasks: u64,
}

/// The lengths of each executor and the tasks at each, from what the pilot finds.
fn pieces(
    fixed: &Fixed,
    pilot: &mut Pilot<'_, '_>,
    who: &[(ExecutorName, NonZeroU32)],
) -> Result<Vec<Piece>, Interrupted> {
    let unit_ns = pilot.unit_ns()?;
    let mut pieces = Vec::new();
    for &(executor, workers) in who {
        let costs = pilot.costs(executor, workers, unit_ns)?;
        let lengths = match &costs {
            Some(costs) => lengths::lengths(unit_ns, costs.at_half_ns, fixed.lengths),
            // It will fail in the run as it did here, and say why: once is enough.
            None => [lengths::stated(unit_ns, fixed.lengths)].into(),
        };
        let costs = costs.unwrap_or(Costs::NONE);
        for length in lengths {
            let ns = length as f64 * unit_ns + costs.at(length);
            let tasks = pilot.tasks(ns, workers, fixed.counts);
            pieces.push(Piece { who: (executor, workers), length, tasks });
        }
    }
    Ok(pieces)
}

fn add(
    plan: &mut Plan,
    fixed: &Fixed,
    options: &Options,
    mut pieces: Vec<Piece>,
) -> Result<(), Error> {
    // Within an executor they ascend already; stable, so executors keep their order.
    pieces.sort_by_key(|piece| piece.length);
    for Piece { who, length, tasks } in pieces {
        let parameters = fixed.parameters(&options.preset, length, tasks)?;
        add_cell(plan, fixed.entry, parameters, options, who)?;
    }
    Ok(())
}

/// Adds a cell, and its group where it is the first of it.
fn add_cell(
    plan: &mut Plan,
    entry: Entry,
    parameters: Parameters,
    options: &Options,
    (executor, workers): (ExecutorName, NonZeroU32),
) -> Result<(), Error> {
    let texts = parameters.texts();
    let name = entry.definition.name;
    let known = plan
        .groups
        .iter()
        .position(|group| group.entry.definition.name == name && group.parameters.texts() == texts);
    let group = match known {
        Some(group) => group,
        None => {
            // No workload with a length of task reads files: none is generated.
            let folder = std::path::Path::new(SCRATCH);
            plan.groups.push(Group::new(entry, parameters, options, folder)?);
            plan.groups.len() - 1
        }
    };
    let id = plan.groups[group].cell_id(executor, workers, options.chunk);
    plan.cells.push(PlannedCell { group, executor, workers, id });
    Ok(())
}

fn stopped(_: Interrupted) -> Error {
    let message = "interrupted while the lengths of tasks were chosen; nothing was measured yet";
    Error { exit: Exit::Interrupted, message: message.to_owned() }
}

#[cfg(all(test, feature = "workloads"))]
mod tests {
    use super::*;

    fn options(workloads: &[&str], parameters: &[(&str, &str)]) -> Options {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), vec![(*value).to_owned()]);
        Options {
            workloads: workloads.iter().map(|name| (*name).to_owned()).collect(),
            parameters: parameters.iter().map(pair).collect(),
            preset: "quick".to_owned(),
            granularity: true,
            ..Options::default()
        }
    }

    #[test]
    fn only_workloads_whose_tasks_have_a_length_are_swept() {
        let catalogue = manyhands_workloads::catalogue();
        assert_eq!(check(&catalogue, &options(&["spin"], &[])), Ok(()));
        for (workloads, parameters, words) in [
            (&["primes"][..], &[][..], "primes has no parameter for the length of a task"),
            (&[], &[], "name a workload that has one: spin"),
            (&["spin"], &[("steps", "5")], "chooses steps and tasks itself; leave -p steps out"),
            (&["spin"], &[("tasks", "5")], "leave -p tasks out"),
        ] {
            let error = check(&catalogue, &options(workloads, parameters)).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[test]
    fn a_definition_that_names_a_length_can_be_swept_and_reads_no_files() {
        for entry in manyhands_workloads::catalogue().entries() {
            let definition = entry.definition;
            if definition.length.is_some() {
                assert!(is_able(definition) && definition.input.is_none(), "{}", definition.name);
            }
        }
    }

    #[test]
    fn a_plan_is_made_again_from_its_own_cells() {
        let catalogue = manyhands_workloads::catalogue();
        let options = options(&["spin"], &[]);
        let entry = *catalogue.get("spin").expect("it is there");
        let base = entry.definition.parameters("quick", &[]).expect("defaults");
        let fixed = Fixed::new(entry, &base);
        let two = NonZeroU32::MIN.saturating_add(1);
        let piece = |executor, length, tasks| Piece { who: (executor, two), length, tasks };
        let pieces = vec![
            piece(ExecutorName::Threads, 0, 1024),
            piece(ExecutorName::Threads, 64, 512),
            piece(ExecutorName::Rayon, 0, 1024),
            piece(ExecutorName::Rayon, 64, 1024),
        ];
        let mut plan = Plan { groups: Vec::new(), cells: Vec::new() };
        add(&mut plan, &fixed, &options, pieces).expect("within the limits");
        assert_eq!((plan.groups.len(), plan.cells.len()), (3, 4));
        let ids: Vec<_> = plan.cells.iter().map(|cell| cell.id.clone()).collect();
        let again = plan_again(&catalogue, &options, ids.iter()).expect("the same");
        let again: Vec<_> = again.cells.into_iter().map(|cell| cell.id).collect();
        assert_eq!(again, ids);
    }
}
