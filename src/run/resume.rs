//! Going on with a run that was interrupted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use manyhands_record::journal::{self, FILE_NAME, Line, Planned};
use manyhands_record::{CellId, Header, Machine};

use super::plan::Plan;
use crate::error::Error;
use crate::versions;

/// What is left of the earlier part of a run.
#[derive(Debug)]
pub struct Resumed {
    header: Header,
    planned: Vec<Planned>,
    lines: Vec<Line>,
    notes: Vec<String>,
}

impl Resumed {
    /// Reads the journal of the run in `folder`.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE_NAME);
        let bytes = fs::read(&path).map_err(|error| {
            let path = path.display();
            Error::usage(format!(
                "cannot resume: cannot read {path}: {error}; give --resume the folder of a run"
            ))
        })?;
        let (mut lines, note) = journal::read(bytes)
            .map_err(|error| Error::failed(format!("cannot resume {}: {error}", path.display())))?;
        if lines.is_empty() {
            let path = path.display();
            return Err(Error::failed(format!("cannot resume: {path} is empty; start a new run")));
        }
        let Line::Start { header, cells } = lines.remove(0) else {
            let path = path.display();
            return Err(Error::failed(format!(
                "cannot resume: {path} does not begin with a start line; start a new run"
            )));
        };
        let notes = note.map(|note| note.to_string()).into_iter().collect();
        Ok(Self { header: *header, planned: cells, lines, notes })
    }

    /// Whether this program on this machine may go on with it.
    ///
    /// # Errors
    /// When it was made by another version or on another machine, whose figures must not be mixed
    /// with ours.
    pub fn check_origin(&self, machine: &Machine) -> Result<(), Error> {
        same_origin(&self.header, machine)
    }

    /// The command of the earlier part, which says what is to be measured.
    pub fn command(&self) -> &[String] {
        &self.header.command
    }

    /// The cells that the earlier part planned.
    pub(super) fn cells(&self) -> impl Iterator<Item = &CellId> {
        self.planned.iter().map(|planned| &planned.id)
    }

    /// The lines that a journal for `plan` begins with: what was measured of cells that are still
    /// the same, and what must be said of the others.
    pub(super) fn carry_over(self, plan: &Plan, planned: Vec<Planned>) -> (Vec<Line>, Vec<String>) {
        let places: BTreeMap<&CellId, usize> =
            plan.cells.iter().enumerate().map(|(place, cell)| (&cell.id, place)).collect();
        let place_of = |old: usize| places.get(&self.planned.get(old)?.id).copied();
        let mut kept = Vec::new();
        for line in &self.lines {
            if let Line::Launch { cell, launch } = line
                && let Some(cell) = place_of(*cell)
            {
                kept.push(Line::Launch { cell, launch: launch.clone() });
            }
            // What earlier resumptions had to say stays true; which cells they began again is
            // settled by now.
            if let Line::Resume { time, notes, .. } = line {
                let (time, notes) = (time.clone(), notes.clone());
                kept.push(Line::Resume { time, again: Vec::new(), notes });
            }
        }
        let mut notes = self.notes.clone();
        notes.extend(self.changed(&places));
        let start = Line::Start { header: Box::new(self.header.clone()), cells: planned };
        let resume = Line::Resume { time: super::now(), again: Vec::new(), notes: notes.clone() };
        let lines = [start].into_iter().chain(kept).chain([resume]).collect();
        (lines, notes)
    }

    /// A note for each cell that had been measured and is not the same any more.
    fn changed(&self, places: &BTreeMap<&CellId, usize>) -> Vec<String> {
        let measured = |index: usize| {
            self.lines
                .iter()
                .any(|line| matches!(line, Line::Launch { cell, .. } if *cell == index))
        };
        let old = self.planned.iter().enumerate();
        old.filter(|(index, planned)| !places.contains_key(&planned.id) && measured(*index))
            .map(|(_, Planned { id, .. })| {
                let CellId { workload, executor, workers, .. } = id;
                format!(
                    "{workload} {executor} x {workers}: its input, parameters or version changed \
                     since; it is measured again"
                )
            })
            .collect()
    }
}

fn same_origin(header: &Header, machine: &Machine) -> Result<(), Error> {
    if header.version != versions::MANYHANDS {
        return Err(Error::usage(format!(
            "cannot resume: the run was made by manyhands {}, this is {}; start a new run",
            header.version,
            versions::MANYHANDS
        )));
    }
    let there = &header.machine;
    let same = there.processor == machine.processor
        && there.logical_cores == machine.logical_cores
        && there.usable_cores == machine.usable_cores;
    let differs = |name: &&String| there.versions.get(*name) != machine.versions.get(*name);
    if let Some(name) = there.versions.keys().find(differs) {
        return Err(Error::usage(format!(
            "cannot resume: the run was made with another {name}; start a new run"
        )));
    }
    if !same {
        return Err(Error::usage(
            "cannot resume: the run was made on another machine, or with other cores; start a new \
             run here",
        ));
    }
    Ok(())
}
