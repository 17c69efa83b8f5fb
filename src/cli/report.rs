//! `manyhands report`: render a record, as a page or as a trace.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use manyhands_record::Record;
use manyhands_record::trace::{Packing, perfetto};

use crate::error::{Error, Exit};
use crate::run::RECORD_FILE;

/// The report's name in the folder of its run.
#[cfg(feature = "reports")]
const REPORT_FILE: &str = "report.html";

/// The name of the file for Perfetto in the folder of its run.
const TRACE_FILE: &str = "trace.json.gz";

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder of a run, or a record.json
    #[arg(value_name = "DIR|RECORD")]
    record: PathBuf,
    /// What to make of it
    #[arg(long, value_name = "FORMAT", default_value = "html")]
    format: Format,
    /// Where to write it; - for standard output. Without it: report.html or trace.json.gz beside
    /// the record
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A page for any browser
    Html,
    /// The tasks of traced launches, for ui.perfetto.dev: compressed, unless it goes to standard
    /// output or to a FILE that ends in .json
    Trace,
}

pub(super) fn report(arguments: &ReportArgs) -> Result<Exit, Error> {
    let path = file_of(&arguments.record);
    let record = read(&path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let content = |out: Option<&Path>| match arguments.format {
        Format::Html => html(&record, folder).map(String::into_bytes),
        Format::Trace => tasks(&record, folder, packing(out)),
    };
    match arguments.out.as_deref() {
        Some(out) if out == Path::new("-") => super::print_bytes(&content(Some(out))?),
        Some(out) => {
            let written = crate::run::write_whole(out, &content(Some(out))?);
            written.map_err(|error| {
                Error::usage(format!(
                    "{error}; give --out a file in a folder that you may write to"
                ))
            })?;
            Ok(Exit::Ok)
        }
        None if arguments.format == Format::Trace => {
            let file = folder.join(TRACE_FILE);
            crate::run::write_whole(&file, &content(None)?)?;
            super::print(&format!("trace  {}\n", file.display()))
        }
        None => {
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

/// Text where somebody may look at it.
fn packing(out: Option<&Path>) -> Packing {
    let plain = |out: &Path| out == Path::new("-") || out.extension().is_some_and(|e| e == "json");
    if out.is_some_and(plain) { Packing::Plain } else { Packing::Gzip }
}

/// The tasks of the record's traced launches.
fn tasks(record: &Record, folder: &Path, packing: Packing) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    perfetto(record, folder, packing, &mut content).map_err(Error::usage)?;
    Ok(content)
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
    crate::run::write_whole(&file, html(record, folder)?.as_bytes())?;
    Ok(Some(file))
}

/// This build draws no reports.
#[cfg(not(feature = "reports"))]
pub(super) fn write(_: &Record, _: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(None)
}

/// The page, with timelines of the traced launches whose files are in the folder. One that cannot be
/// read is told of and left out: what it comes to is in the record.
#[cfg(feature = "reports")]
fn html(record: &Record, folder: &Path) -> Result<String, Error> {
    let mut traces = manyhands_reports::Traces::new();
    for launch in manyhands_reports::timelines(record) {
        let Some(trace) = &launch.trace else { continue };
        match manyhands_record::trace::read(folder, trace) {
            Ok(events) => _ = traces.insert(launch.sequence, events),
            Err(why) => eprintln!("note: no timeline: {why}"),
        }
    }
    manyhands_reports::html_with_traces(record, &traces).map_err(Error::failed)
}

#[cfg(not(feature = "reports"))]
fn html(_: &Record, _: &Path) -> Result<String, Error> {
    Err(Error::usage("this manyhands was built without reports; build it with --features reports"))
}
