//! Bare `manyhands`: names the machine, shows in ten seconds what it is about, says what next.

use std::num::NonZeroU32;
use std::time::Duration;

use manyhands_contract::Catalogue;

use super::progress::Progress;
use super::table;
use crate::error::{Error, Exit};
use crate::executors::ExecutorName;
use crate::measure::host;
use crate::run::options::{Options, ROUNDS};
use crate::run::{self, Setting};
use crate::signals::Interrupt;
use crate::versions;

const DEMONSTRATION: [&str; 2] = ["primes", "fetch"];

/// Work that computes and work that waits, three ways each: the whole subject in small.
pub(super) fn demo(catalogue: &Catalogue, colour: bool) -> Result<Exit, Error> {
    let machine = host::describe(versions::of_build());
    super::print(&greeting(&machine))?;
    if DEMONSTRATION.iter().any(|name| catalogue.find(name).is_none()) {
        return super::print(NEXT);
    }
    let interrupt = Interrupt::install()
        .map_err(|error| Error::failed(format!("cannot take over Ctrl-C: {error}")))?;
    let folder = tempfile::tempdir()
        .map_err(|error| Error::failed(format!("cannot make a temporary folder: {error}")))?;
    let setting = Setting {
        catalogue,
        program: &super::own_program()?,
        machine,
        folder: folder.path().to_owned(),
        interrupt: &interrupt,
    };
    let mut progress = Progress::new();
    let record = run::run(&setting, &options(), &mut progress);
    progress.finish();
    let record = record?;
    super::print(&table::table(&record, colour))?;
    super::print(NEXT)?;
    Ok(run::exit_of(&record))
}

fn greeting(machine: &manyhands_record::Machine) -> String {
    let processor = machine.processor.as_deref().unwrap_or(&machine.architecture);
    let cores = machine.usable_cores;
    let plural = if cores == 1 { "" } else { "s" };
    let version = versions::MANYHANDS;
    format!(
        "manyhands {version} on {processor}, {cores} usable core{plural}, {}\n\n",
        machine.kernel.as_deref().unwrap_or(&machine.os)
    )
}

const NEXT: &str = "\
next:  manyhands run              compare five executors on five workloads, with a report (1 min)
       manyhands list             what else there is to compare
       manyhands doctor           how far this machine's numbers can be trusted
";

fn options() -> Options {
    Options {
        workloads: DEMONSTRATION.map(str::to_owned).to_vec(),
        executors: vec![ExecutorName::Sequential, ExecutorName::Threads, ExecutorName::Async],
        preset: "quick".to_owned(),
        rounds: NonZeroU32::new(ROUNDS),
        budget: Some(Duration::from_secs(10)),
        seed: 42,
        ..Options::default()
    }
}
