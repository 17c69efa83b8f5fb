//! `manyhands run`: measure, write a record and a report, print a table.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, Parser};
use manyhands_contract::Catalogue;
use manyhands_record::Record;

use super::arguments::{self, InputArgs, PresetName, WorkArgs};
use super::command::CommandArgs;
use super::granularity::GranularityArgs;
use super::progress::Progress;
use super::{Cli, Command, table};
use crate::error::{Error, Exit};
use crate::measure::host;
use crate::run::options::Options;
use crate::run::{self, Resumed, Setting};
use crate::signals::Interrupt;
use crate::versions;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Workloads to measure; see 'manyhands list'. None: primes, risk, csv, fetch and ingest
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
    /// Executors to compare; see 'manyhands list executors'. None: the five models
    #[arg(short = 'e', long = "executors", value_name = "EXECUTOR,..")]
    executors: Vec<String>,
    /// Numbers of workers: 1,2,4 or 1..8. None: 1, 2, 4 .. cores to compute; 8 and 64 to wait
    #[arg(short = 'w', long = "workers", value_name = "N,..|A..B")]
    workers: Vec<String>,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    commands: CommandArgs,
    /// Tasks handed out at once; auto = ceil(tasks / (8 x workers))
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    chunk: String,
    /// Rounds to measure, one launch of every cell each; intervals need 6. Without it: as many as
    /// --precision takes, within the budget
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Go on after 8 rounds (or --rounds, if more) until every interval is within +- this share of
    /// its time, or the budget is spent. Without it: 2%, or none with --rounds
    #[arg(long, value_name = "SHARE")]
    precision: Option<String>,
    /// Stop after the round that ends before this time. Without it: 60s, or none with --rounds
    #[arg(long, value_name = "TIME")]
    budget: Option<String>,
    /// Time that a sample may take. Without it: 20 times the sequential time, at least 10s
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Use only this many of the machine's cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    cpus: Option<u32>,
    /// Measure the machine alone: every cell twice, under the labels A and B, whose differences
    /// are all noise
    #[arg(long)]
    aa: bool,
    /// Weak scaling: let the work grow with the number of workers
    #[arg(long, conflicts_with = "aa")]
    weak: bool,
    /// Trace every task in launches of their own: latency, lanes, where the time went
    #[arg(long)]
    trace: bool,
    /// Let tasks fall due at this rate per second, whether or not a worker is free (open loop);
    /// for work that waits. Implies --trace
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    #[command(flatten)]
    granularity: GranularityArgs,
    /// Folder for record, journal and report. Without it: manyhands-out/<time>
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the interrupted run in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["workloads", "executors", "workers", "param",
        "input", "chunk", "rounds", "precision", "budget", "timeout", "cpus", "aa", "weak", "trace", "rate",
        "granularity", "out", "preset", "seed", "command", "list", "prepare", "cleanup", "check_output"])]
    resume: Option<PathBuf>,
    /// Print the record as one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    fn options(&self, command: Vec<String>) -> Result<Options, Error> {
        self.check_commands()?;
        Ok(self.granularity.apply(Options {
            granularity: false,
            workloads: self.workloads.clone(),
            executors: arguments::executors(&self.executors)?,
            workers: arguments::workers(&self.workers)?,
            parameters: arguments::parameters(&self.work.param)?,
            preset: self.work.preset.as_str().to_owned(),
            chunk: arguments::chunk(&self.chunk)?,
            rounds: self.rounds.and_then(NonZeroU32::new),
            budget: arguments::duration(self.budget.as_deref(), "--budget")?,
            precision: (self.precision.as_deref())
                .map(|typed| arguments::share(typed, "--precision"))
                .transpose()?,
            aa: self.aa,
            weak: self.weak,
            trace: self.trace || self.rate.is_some(),
            rate: self.rate.and_then(NonZeroU32::new),
            timeout: arguments::duration(self.timeout.as_deref(), "--timeout")?,
            seed: self.work.seed,
            input: arguments::input(&self.input.input)?,
            commands: self.commands.commands()?,
            command,
        }))
    }

    /// What a run of executors is asked for means nothing to commands.
    fn check_commands(&self) -> Result<(), Error> {
        self.commands.check(&[
            (!self.workloads.is_empty(), "a WORKLOAD", "a command brings its own work"),
            (!self.executors.is_empty(), "-e", "a command is its own executor"),
            (!self.work.param.is_empty(), "-p", "a command has no parameters but those of -L"),
            (self.work.preset != PresetName::Quick, "--preset", "a command has no presets"),
            (self.chunk != "auto", "--chunk", "the tasks inside a command are its own affair"),
            (!self.input.input.is_empty(), "--input", "a command is told of files by its line"),
        ])
    }
}

pub(super) fn run(arguments: &RunArgs, catalogue: &Catalogue, colour: bool) -> Result<Exit, Error> {
    let resumed = arguments.resume.as_deref().map(Resumed::read).transpose()?;
    let earlier = resumed.as_ref().map(|resumed| parse_again(resumed.command())).transpose()?;
    let asked = earlier.as_ref().unwrap_or(arguments);
    if let Some(count) = asked.cpus {
        // Before the machine is described: it is then one of so many cores.
        crate::measure::affinity::restrict_to(count)
            .map_err(|error| Error::usage(format!("--cpus {count}: {error}")))?;
    }
    let machine = host::describe(versions::of_build());
    let interrupt = Interrupt::install()
        .map_err(|error| Error::failed(format!("cannot take over Ctrl-C: {error}")))?;
    let program = super::own_program()?;
    let mut progress = Progress::new();
    let setting = |folder| Setting {
        catalogue,
        program: &program,
        machine: machine.clone(),
        folder,
        interrupt: &interrupt,
    };
    let (record, folder, json) = match (&arguments.resume, resumed) {
        (Some(folder), Some(resumed)) => {
            resumed.check_origin(&machine)?;
            let options = asked.options(resumed.command().to_vec())?;
            let setting = setting(folder.clone());
            let record = run::resume(&setting, &options, resumed, &mut progress);
            progress.finish();
            (record?, folder.clone(), arguments.json || asked.json)
        }
        _ => {
            let options = arguments.options(command_words())?;
            let (folder, made) = make_folder(arguments.out.as_deref())?;
            let record = run::run(&setting(folder.clone()), &options, &mut progress);
            progress.finish();
            if record.is_err() && made {
                clear_away(&folder);
            }
            (record?, folder, arguments.json)
        }
    };
    show(&record, &folder, json, colour)?;
    match run::common_failure(&record) {
        Some(failure) if !json => {
            let log = failure.log.as_ref().map_or(String::new(), |log| format!("\n{log}"));
            let message = format!("every cell failed: {}{log}", failure.reason);
            Err(Error { exit: run::exit_of(&record), message })
        }
        _ => Ok(run::exit_of(&record)),
    }
}

/// The command as it was typed, without the program.
fn command_words() -> Vec<String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Removes the folder of a run that came to an end before its first launch: nothing in it was
/// measured, and it would stand in the way of the next try.
fn clear_away(folder: &Path) {
    let journal = fs::read_to_string(folder.join(manyhands_record::journal::FILE_NAME));
    if !journal.is_ok_and(|journal| journal.contains("\"line\":\"launch\"")) {
        let _ = fs::remove_dir_all(folder);
    }
}

/// The command of the earlier part of a run, parsed as it was then.
fn parse_again(command: &[String]) -> Result<RunArgs, Error> {
    let words = std::iter::once("manyhands".to_owned()).chain(command.iter().cloned());
    match Cli::try_parse_from(words) {
        Ok(Cli { command: Some(Command::Run(arguments)), .. }) => Ok(*arguments),
        _ => Err(Error::failed(format!(
            "cannot resume: the journal's command '{}' is no run; start a new one",
            command.join(" ")
        ))),
    }
}

/// The run's folder and whether it was made for this run. A folder with a record in it is left
/// alone: nothing measured is ever overwritten.
pub(super) fn make_folder(out: Option<&Path>) -> Result<(PathBuf, bool), Error> {
    let folder = out.map_or_else(new_folder, Path::to_owned);
    for name in [run::RECORD_FILE, manyhands_record::journal::FILE_NAME] {
        if folder.join(name).exists() {
            let folder = folder.display();
            return Err(Error::usage(format!(
                "{folder} holds a run already; give --out another folder, or go on with it by \
                 --resume {folder}"
            )));
        }
    }
    let made = !folder.exists();
    let probe = folder.join(".writable");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&probe, ""))
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|error| {
            let folder = folder.display();
            Error::usage(format!(
                "cannot write to {folder}: {error}; give --out a folder that you may write to"
            ))
        })?;
    Ok((folder, made))
}

/// A folder that is not there yet, named by the time; runs of the same second are numbered.
fn new_folder() -> PathBuf {
    let base = Path::new("manyhands-out").join(run::now_in_a_name());
    let numbered = (2..).map(|number| PathBuf::from(format!("{}-{number}", base.display())));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names.find(|name| !name.exists()).expect("there is always a next number")
}

/// The report to its file; the table, or the record, to standard output.
pub(super) fn show(record: &Record, folder: &Path, json: bool, colour: bool) -> Result<(), Error> {
    let report = super::report::write(record, folder)?;
    if json {
        super::print(&(record.to_json() + "\n"))?;
    } else {
        if run::common_failure(record).is_none() {
            super::print(&table::table(record, colour))?;
        }
        let record_file = folder.join(run::RECORD_FILE);
        let mut written = format!("record  {}\n", record_file.display());
        if let Some(report) = report {
            written += &format!("report  {}\n", report.display());
        }
        super::print(&written)?;
    }
    Ok(())
}
