//! Which cells a run measures.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use manyhands_contract::parameters::nearest;
use manyhands_contract::{Bound, Catalogue, Definition, Entry, Kind, Parameters};
use manyhands_record::{CellId, Chunk, ExecutorText};

use super::input;
use super::options::{AA_SUITE, Options, SUITE};
use crate::cell::wire::WireCommand;
use crate::error::Error;
use crate::executors::ExecutorName;
use crate::trace::check_open_loop;

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// Cells that are compared with each other: same workload, parameters and input.
#[derive(Debug)]
pub struct Group {
    /// The workload.
    pub entry: Entry,
    /// Its parameters.
    pub parameters: Parameters,
    /// The user's files, or the folder of generated ones.
    pub input: Vec<PathBuf>,
    /// The input's digest.
    pub digest: Option<String>,
    /// A limit on speed that no executor can beat.
    pub bound: Option<Bound>,
}

/// One cell to measure.
#[derive(Debug, Clone)]
pub struct PlannedCell {
    /// Its place in [`Plan::groups`].
    pub group: usize,
    /// Who runs the work.
    pub executor: Contender,
    /// How many tasks may be in flight.
    pub workers: NonZeroU32,
    /// What identifies it in records.
    pub id: CellId,
}

/// Who runs the work of a cell.
#[derive(Debug, Clone)]
pub enum Contender {
    /// An executor.
    Executor(ExecutorName),
    /// A program of the user's own, which brings its work along.
    Command(Box<PlannedCommand>),
}

/// A program of the user's own.
#[derive(Debug, Clone)]
pub struct PlannedCommand {
    /// The command as it was typed, with all values filled in but the number of workers.
    pub name: String,
    /// What a cell is told of it.
    pub wire: WireCommand,
}

impl Contender {
    /// The name in the record.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Executor(name) => name.as_str(),
            Self::Command(command) => &command.name,
        }
    }

    /// The executor, if it is one.
    pub fn name(&self) -> Option<ExecutorName> {
        match self {
            Self::Executor(name) => Some(*name),
            Self::Command(_) => None,
        }
    }

    /// What a cell is told, if it is a command.
    pub fn command(&self) -> Option<&WireCommand> {
        match self {
            Self::Executor(_) => None,
            Self::Command(command) => Some(&command.wire),
        }
    }

    /// Whether its tasks run in other processes, each of which loads the input again.
    pub fn is_process_pool(&self) -> bool {
        matches!(self, Self::Executor(name) if name.is_process_pool())
    }

    /// What the record says of it.
    pub fn record_text(&self) -> ExecutorText {
        match self {
            Self::Executor(name) => name.record_text(),
            Self::Command(command) => ExecutorText {
                name: command.name.clone(),
                summary: "a command, each sample a process of its own".to_owned(),
                workers: "what {workers} is to the command".to_owned(),
            },
        }
    }
}

impl From<ExecutorName> for Contender {
    fn from(name: ExecutorName) -> Self {
        Self::Executor(name)
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything that a run measures.
#[derive(Debug)]
pub struct Plan {
    /// What is compared.
    pub groups: Vec<Group>,
    /// In the order in which a report shows them.
    pub cells: Vec<PlannedCell>,
}

impl Plan {
    /// Checks what was asked and makes the input, generated input in folders below `scratch`.
    ///
    /// # Errors
    /// What was asked for and does not exist, with the nearest name; input that cannot be read.
    pub fn new(
        catalogue: &Catalogue,
        options: &Options,
        cores: u32,
        scratch: &Path,
    ) -> Result<Self, Error> {
        if !options.commands.is_empty() {
            return super::commands::plan(options, cores);
        }
        let entries = chosen(catalogue, options)?;
        check_parameters(&entries, options)?;
        check_input(&entries, options)?;
        check_rate(&entries, options)?;
        let mut plan = Self { groups: Vec::new(), cells: Vec::new() };
        for entry in entries {
            let workers = workers(&entry, options, cores);
            for parameters in sweep(&entry, options)? {
                for (parameters, workers) in grown(&entry, parameters, &workers, options)? {
                    let folder = scratch.join(plan.groups.len().to_string());
                    plan.groups.push(Group::new(entry, parameters, options, &folder)?);
                    plan.add_cells(options, &workers);
                }
            }
        }
        Ok(plan)
    }

    /// The cells of the group that was added last.
    fn add_cells(&mut self, options: &Options, workers: &[NonZeroU32]) {
        let number = self.groups.len() - 1;
        let group = &self.groups[number];
        let mut seen = BTreeSet::new();
        for &executor in &options.executors {
            let counts = match executor {
                // Work that has grown for several workers is not what one loop is compared with.
                ExecutorName::Sequential if options.weak && !workers.contains(&ONE) => continue,
                ExecutorName::Sequential => &[ONE],
                _ => workers,
            };
            for &workers in counts {
                let id = group.cell_id(executor, workers, options.chunk);
                for label in labels(options) {
                    let label = label.map(str::to_owned);
                    let rate = options.rate.map(NonZeroU32::get);
                    let id = CellId { label, rate, ..id.clone() };
                    if seen.insert(id.clone()) {
                        let executor = executor.into();
                        self.cells.push(PlannedCell { group: number, executor, workers, id });
                    }
                }
            }
        }
    }
}

impl Group {
    /// Makes the input, generated input in `folder`, and takes its digest.
    ///
    /// # Errors
    /// When the input cannot be made or read.
    pub fn new(
        entry: Entry,
        parameters: Parameters,
        options: &Options,
        folder: &Path,
    ) -> Result<Self, Error> {
        let input = match (entry.definition.input, options.input.is_empty()) {
            (None, _) => Vec::new(),
            (Some(_), false) => options.input.clone(),
            (Some(_), true) => {
                input::generate(&entry, &parameters, options.seed, folder)
                    .map_err(Error::failed)?;
                vec![folder.to_owned()]
            }
        };
        let digest = if input.is_empty() { None } else { Some(input::digest(&input)?) };
        // A limit that follows from the parameters says nothing of the user's own input.
        let bound = (entry.bound)(&parameters, options.seed);
        Ok(Self { entry, parameters, input, digest, bound })
    }

    /// What identifies a cell of this group in records. `executor`: a [`Contender`] or its name.
    pub fn cell_id(
        &self,
        executor: impl fmt::Display,
        workers: NonZeroU32,
        chunk: Chunk,
    ) -> CellId {
        CellId {
            workload: self.entry.definition.name.to_owned(),
            version: self.entry.definition.version,
            parameters: self.parameters.texts(),
            input: self.digest.clone(),
            executor: executor.to_string(),
            workers: workers.get(),
            chunk,
            label: None,
            rate: None,
        }
    }
}

/// What tells cells apart that are otherwise the same.
pub(super) fn labels(options: &Options) -> &'static [Option<&'static str>] {
    if options.aa { &[Some("A"), Some("B")] } else { &[None] }
}

/// The numbers of workers that a workload is measured with.
fn workers(entry: &Entry, options: &Options, cores: u32) -> Vec<NonZeroU32> {
    if options.workers.is_empty() {
        usual_workers(entry.definition.kind, cores)
    } else {
        options.workers.clone()
    }
}

/// For weak scaling: the parameters for each number of workers, the work in proportion to it.
/// Else the parameters as they are, for all of them.
fn grown(
    entry: &Entry,
    parameters: Parameters,
    workers: &[NonZeroU32],
    options: &Options,
) -> Result<Vec<(Parameters, Vec<NonZeroU32>)>, Error> {
    if !options.weak {
        return Ok(vec![(parameters, workers.to_vec())]);
    }
    let definition = entry.definition;
    let name = definition.grows.ok_or_else(|| {
        let name = definition.name;
        Error::usage(format!(
            "{name} has no parameter that its work is proportional to, so --weak cannot let it \
             grow with the workers; 'manyhands list' shows others, such as spin and hash"
        ))
    })?;
    if !options.input.is_empty() {
        return Err(Error::usage(
            "--weak needs input that can grow with the workers, and --input cannot; leave one out",
        ));
    }
    let grow = |&count: &NonZeroU32| {
        let texts = parameters.texts();
        let base: u64 = texts[name].parse().expect("what grows is a whole number");
        let larger = (name.to_owned(), (base * u64::from(count.get())).to_string());
        let changes: Vec<_> =
            texts.into_iter().filter(|(key, _)| key != name).chain([larger]).collect();
        let parameters = definition.parameters(&options.preset, &changes).map_err(Error::usage)?;
        Ok((parameters, vec![count]))
    };
    workers.iter().map(grow).collect()
}

/// Workers unless told otherwise: powers of two up to the cores, and the cores, for work that
/// computes; 8 and 64 for work that waits, because waiting takes no core.
pub(super) fn usual_workers(kind: Kind, cores: u32) -> Vec<NonZeroU32> {
    let counts: BTreeSet<u32> = match kind {
        Kind::Cpu | Kind::Overhead => {
            let powers = (0..32).map(|exponent| 1 << exponent);
            powers.take_while(|count| *count < cores).chain([cores]).collect()
        }
        Kind::Io | Kind::Mixed => [8, 64].into(),
    };
    counts.into_iter().filter_map(NonZeroU32::new).collect()
}

fn chosen(catalogue: &Catalogue, options: &Options) -> Result<Vec<Entry>, Error> {
    let suite: &[&str] = if options.aa { &AA_SUITE } else { &SUITE };
    let suite: Vec<String> = suite.iter().map(|name| (*name).to_owned()).collect();
    let names = if options.workloads.is_empty() { &suite } else { &options.workloads };
    let mut chosen: Vec<Entry> = Vec::new();
    for name in names {
        let entry = *catalogue.get(name).map_err(Error::usage)?;
        if chosen.iter().all(|other| other.definition.name != entry.definition.name) {
            chosen.push(entry);
        }
    }
    Ok(chosen)
}

/// Every `-p` must mean something to a workload of the run.
fn check_parameters(entries: &[Entry], options: &Options) -> Result<(), Error> {
    for (name, values) in &options.parameters {
        let takes = |entry: &&Entry| has_parameter(entry.definition, name);
        if entries.iter().any(|entry| takes(&entry)) {
            continue;
        }
        let [only] = entries else {
            return Err(unknown_parameter(entries, name));
        };
        let change = (name.clone(), values.first().cloned().unwrap_or_default());
        only.definition.parameters(&options.preset, &[change]).map_err(Error::usage)?;
    }
    Ok(())
}

fn unknown_parameter(entries: &[Entry], name: &str) -> Error {
    let workloads: Vec<_> = entries.iter().map(|entry| entry.definition.name).collect();
    let parameters = entries.iter().flat_map(|entry| entry.definition.parameters);
    let hint = nearest(name, parameters.map(|parameter| parameter.name))
        .map_or(String::new(), |near| format!("did you mean '{near}'? "));
    Error::usage(format!(
        "none of {} has a parameter '{name}'; {hint}see 'manyhands describe WORKLOAD'",
        workloads.join(", ")
    ))
}

fn check_input(entries: &[Entry], options: &Options) -> Result<(), Error> {
    if options.input.is_empty() || entries.iter().any(|entry| entry.definition.input.is_some()) {
        return Ok(());
    }
    let names: Vec<_> = entries.iter().map(|entry| entry.definition.name).collect();
    let (names, verb) = (names.join(", "), if entries.len() == 1 { "reads" } else { "read" });
    Err(Error::usage(format!("{names} {verb} no files; leave --input out")))
}

/// Only requests come at a rate of their own.
fn check_rate(entries: &[Entry], options: &Options) -> Result<(), Error> {
    if options.rate.is_none() {
        return Ok(());
    }
    let refused = entries.iter().find_map(|e| check_open_loop(e.definition).err());
    refused.map_or(Ok(()), |reason| Err(Error::usage(reason)))
}

fn has_parameter(definition: &Definition, name: &str) -> bool {
    definition.parameters.iter().any(|parameter| parameter.name == name)
}

/// Every combination of the values that were given for the workload's parameters.
fn sweep(entry: &Entry, options: &Options) -> Result<Vec<Parameters>, Error> {
    let mut changes: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for (name, values) in &options.parameters {
        if !has_parameter(entry.definition, name) {
            continue;
        }
        let extend = |change: Vec<(String, String)>| {
            values.iter().map(move |value| {
                let mut change = change.clone();
                change.push((name.clone(), value.clone()));
                change
            })
        };
        changes = changes.into_iter().flat_map(extend).collect();
    }
    changes
        .iter()
        .map(|change| entry.definition.parameters(&options.preset, change).map_err(Error::usage))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(kind: Kind, cores: u32) -> Vec<u32> {
        usual_workers(kind, cores).into_iter().map(NonZeroU32::get).collect()
    }

    #[test]
    fn workers_go_up_to_the_cores_for_computing_and_beyond_them_for_waiting() {
        assert_eq!(counts(Kind::Cpu, 1), [1]);
        assert_eq!(counts(Kind::Cpu, 2), [1, 2]);
        assert_eq!(counts(Kind::Overhead, 6), [1, 2, 4, 6]);
        assert_eq!(counts(Kind::Cpu, 16), [1, 2, 4, 8, 16]);
        assert_eq!(counts(Kind::Io, 2), [8, 64]);
    }
}
