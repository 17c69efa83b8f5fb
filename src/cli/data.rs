//! `manyhands data`: write a workload's input.

use std::path::PathBuf;

use clap::Args;
use manyhands_contract::Catalogue;

use super::arguments::{self, WorkArgs};
use crate::error::{Error, Exit};
use crate::run::input;

#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// The workload
    workload: String,
    /// The folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    work: WorkArgs,
}

pub(super) fn data(arguments: &DataArgs, catalogue: &Catalogue) -> Result<Exit, Error> {
    let entry = catalogue.get(&arguments.workload).map_err(Error::usage)?;
    let changes = arguments::single(&arguments.work.param)?;
    let preset = arguments.work.preset.as_str();
    let parameters = entry.definition.parameters(preset, &changes).map_err(Error::usage)?;
    let (seed, folder) = (arguments.work.seed, &arguments.out);
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let folder = folder.display();
        return Err(Error::usage(format!(
            "{folder} is not empty; give --out a new folder, so that input and other files do not \
             mix"
        )));
    }
    // Input goes into a folder of its own: a corpus is everything below a folder, and the
    // parameters are not part of it.
    let written = match entry.definition.input {
        Some(_) => input::generate(entry, &parameters, seed, &folder.join("input")),
        None => Ok(()),
    };
    written
        .and_then(|()| input::write_parameters(entry, &parameters, seed, folder))
        .map_err(Error::usage)?;
    Ok(Exit::Ok)
}
