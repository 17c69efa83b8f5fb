//! `manyhands report`: render the report of a record.

use std::path::{Path, PathBuf};

use clap::Args;
use manyhands_record::Record;

use crate::error::{Error, Exit};
use crate::run::RECORD_FILE;

/// The report's name in the folder of its run.
#[cfg(feature = "reports")]
const REPORT_FILE: &str = "report.html";

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder of a run, or a record.json
    #[arg(value_name = "DIR|RECORD")]
    record: PathBuf,
    /// Where to write the report; - for standard output. Without it: report.html beside the record
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn report(arguments: &ReportArgs) -> Result<Exit, Error> {
    let path = file_of(&arguments.record);
    let record = read(&path)?;
    match arguments.out.as_deref() {
        Some(out) if out == Path::new("-") => super::print(&html(&record)?),
        Some(out) => {
            let written = crate::run::write_whole(out, html(&record)?.as_bytes());
            written.map_err(|error| {
                Error::usage(format!(
                    "{error}; give --out a file in a folder that you may write to"
                ))
            })?;
            Ok(Exit::Ok)
        }
        None => {
            let folder = path.parent().unwrap_or(Path::new("."));
            if let Some(file) = write(&record, folder)? {
                super::print(&format!("report  {}\n", file.display()))?;
            }
            Ok(Exit::Ok)
        }
    }
}

/// A record's file, given it or the folder of its run.
pub(super) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(RECORD_FILE) } else { path.to_owned() }
}

pub(super) fn read(path: &Path) -> Result<Record, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !path.exists() && folder.join(manyhands_record::journal::FILE_NAME).exists() {
        let folder = folder.display();
        return Err(Error::usage(format!(
            "the run in {folder} was cut short and has no record yet; go on with it by 'manyhands \
             run --resume {folder}'"
        )));
    }
    Record::read(path).map_err(Error::usage)
}

/// Writes the report into a folder.
#[cfg(feature = "reports")]
pub(super) fn write(record: &Record, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let file = folder.join(REPORT_FILE);
    crate::run::write_whole(&file, html(record)?.as_bytes())?;
    Ok(Some(file))
}

/// This build draws no reports.
#[cfg(not(feature = "reports"))]
pub(super) fn write(_: &Record, _: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(None)
}

#[cfg(feature = "reports")]
fn html(record: &Record) -> Result<String, Error> {
    manyhands_reports::html(record).map_err(Error::failed)
}

#[cfg(not(feature = "reports"))]
fn html(_: &Record) -> Result<String, Error> {
    Err(Error::usage("this manyhands was built without reports; build it with --features reports"))
}
