//! The workloads that a program knows, by name.

use std::any::TypeId;
use std::path::Path;
use std::sync::Arc;

use crate::definition::{Bound, Definition};
use crate::erased::Erased;
use crate::map::{Context, InputError, Workload};
use crate::parameters::{Parameters, nearest};
use crate::probe::{Experiment, Probe, ProbeContext, ProbeError};
use crate::watched::Watcher;

/// One workload of a [`Catalogue`]: its definition and how to make it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What `list` and `describe` print.
    pub definition: &'static Definition,
    /// The workload's type: its name could be another's in another catalogue, and constants have
    /// no address to tell them by.
    pub type_id: fn() -> TypeId,
    /// [`Workload::generate`].
    pub generate: fn(&Parameters, u64, &Path) -> Result<(), InputError>,
    /// How to run it.
    pub code: Code,
    /// [`Workload::bound`].
    pub bound: fn(&Parameters, u64) -> Option<Bound>,
}

/// How a workload is run, by its shape.
#[derive(Debug, Clone, Copy)]
pub enum Code {
    /// A [`Workload`].
    Map {
        /// [`Workload::prepare`], erased.
        prepare: fn(&Context<'_>) -> Result<Erased, InputError>,
        /// The same, with somebody to watch its tasks.
        watched: fn(&Context<'_>, Arc<dyn Watcher>) -> Result<Erased, InputError>,
    },
    /// A [`Probe`].
    Probe {
        /// [`Probe::unsupported`].
        unsupported: fn(&str, &Parameters) -> Option<String>,
        /// [`Probe::start`].
        start: fn(&ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError>,
    },
}

impl Entry {
    /// The entry of a workload.
    pub const fn of<W: Workload>() -> Self {
        Self {
            definition: W::DEFINITION,
            type_id: TypeId::of::<W>,
            generate: W::generate,
            code: Code::Map {
                prepare: |context| W::prepare(context).map(Erased::new),
                watched: |context, watcher| {
                    W::prepare(context).map(|work| Erased::watched(work, watcher))
                },
            },
            bound: W::bound,
        }
    }

    /// The entry of a probe.
    pub const fn of_probe<P: Probe>() -> Self {
        Self {
            definition: P::DEFINITION,
            type_id: TypeId::of::<P>,
            generate: |_, _, _| Ok(()),
            code: Code::Probe { unsupported: P::unsupported, start: P::start },
            bound: |_, _| None,
        }
    }

    /// Why an executor cannot run this workload; `None` where it can.
    pub fn unsupported(&self, executor: &str, parameters: &Parameters) -> Option<String> {
        match self.code {
            Code::Map { .. } => None,
            Code::Probe { unsupported, .. } => unsupported(executor, parameters),
        }
    }
}

/// The workloads that a program knows, in the order in which `list` prints them.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

impl Catalogue {
    /// No workloads.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workload.
    ///
    /// # Panics
    /// When there is one of that name already.
    #[must_use]
    pub fn with<W: Workload>(self) -> Self {
        self.with_entry(Entry::of::<W>())
    }

    /// Adds a workload of shape `probe`.
    ///
    /// # Panics
    /// When there is one of that name already.
    #[must_use]
    pub fn with_probe<P: Probe>(self) -> Self {
        self.with_entry(Entry::of_probe::<P>())
    }

    fn with_entry(mut self, entry: Entry) -> Self {
        let name = entry.definition.name;
        assert!(self.find(name).is_none(), "two workloads are named '{name}'");
        self.entries.push(entry);
        self
    }

    /// All workloads.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The workload of that name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.definition.name == name)
    }

    /// The workload of that name.
    ///
    /// # Errors
    /// One line with the nearest name and all names.
    pub fn get(&self, name: &str) -> Result<&Entry, String> {
        self.find(name).ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|e| e.definition.name).collect();
            let hint = nearest(name, names.iter().copied())
                .map_or(String::new(), |near| format!("did you mean '{near}'? "));
            format!("there is no workload '{name}'; {hint}there are {}", names.join(", "))
        })
    }
}
