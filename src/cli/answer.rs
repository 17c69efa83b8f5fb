//! `manyhands answer`: run a workload once and print its verified answer.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use manyhands_contract::{Answer, Catalogue};
use manyhands_record::{Chunk, FailureKind, Mode};

use super::arguments::{self, InputArgs, WorkArgs};
use crate::error::{Error, Exit};
use crate::executors::ExecutorName;
use crate::run::launch::{Launcher, Order};
use crate::run::options::{BASELINE_TIMEOUT, Options};
use crate::run::plan::{Group, PlannedCell};
use crate::signals::Interrupt;

#[derive(Debug, Args)]
pub(super) struct AnswerArgs {
    /// The workload
    workload: String,
    /// The executor
    #[arg(short = 'e', long = "executor", value_name = "EXECUTOR", default_value = "sequential")]
    executor: String,
    /// How many tasks may be in flight
    #[arg(short = 'w', long = "workers", value_name = "N", default_value = "1")]
    workers: String,
    /// Tasks handed out at once
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    chunk: String,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    input: InputArgs,
}

/// The answer of any executor but the sequential one is checked against the sequential one: what
/// is printed can be relied on.
pub(super) fn answer(arguments: &AnswerArgs, catalogue: &Catalogue) -> Result<Exit, Error> {
    let executor: ExecutorName = arguments.executor.parse().map_err(Error::usage)?;
    let workers = match arguments::workers(std::slice::from_ref(&arguments.workers))?[..] {
        [workers] => workers,
        _ => return Err(Error::usage("answer takes one number of workers: -w 2")),
    };
    let options = options(arguments, executor)?;
    let scratch = tempfile::tempdir()
        .map_err(|error| Error::failed(format!("cannot make a temporary folder: {error}")))?;
    let group = group(arguments, catalogue, &options, scratch.path())?;
    let interrupt = Interrupt::install()
        .map_err(|error| Error::failed(format!("cannot take over Ctrl-C: {error}")))?;
    let program = super::own_program()?;
    let launcher = Launcher { program: &program, seed: options.seed, interrupt: &interrupt };
    let one = NonZeroU32::MIN;
    let mut answer = once(&launcher, &group, (ExecutorName::Sequential, one), None, options.chunk)?;
    if executor != ExecutorName::Sequential {
        answer = once(&launcher, &group, (executor, workers), Some(&answer), options.chunk)?;
    }
    super::print(&format!("{answer}\n"))
}

fn once(
    launcher: &Launcher<'_>,
    group: &Group,
    (executor, workers): (ExecutorName, NonZeroU32),
    reference: Option<&Answer>,
    chunk: Chunk,
) -> Result<Answer, Error> {
    let id = group.cell_id(executor, workers, chunk);
    let cell = PlannedCell { group: 0, executor: executor.into(), workers, id };
    let order = Order {
        group,
        cell: &cell,
        mode: Mode::Time,
        reference,
        timeout: BASELINE_TIMEOUT,
        start_timeout: BASELINE_TIMEOUT,
        slice: Duration::ZERO,
        samples: 0,
        hurried: false,
        sequence: 0,
        folder: None,
    };
    let interrupted = |_| Error {
        exit: Exit::Interrupted,
        message: "interrupted; there is no answer".to_owned(),
    };
    let launched = launcher.launch(&order).map_err(interrupted)?;
    if let Some(failure) = launched.launch.failure {
        let exit = match failure.kind {
            FailureKind::WrongAnswer => Exit::WrongAnswer,
            FailureKind::Input => Exit::Usage,
            FailureKind::Unsupported => Exit::Unsupported,
            _ => Exit::Failed,
        };
        let log = failure.log.map_or(String::new(), |log| format!("\n{log}"));
        let message =
            format!("{} {executor} x {workers}: {}{log}", cell.id.workload, failure.reason);
        return Err(Error { exit, message });
    }
    launched.answer.ok_or_else(|| Error::failed("the cell gave no answer"))
}

fn group(
    arguments: &AnswerArgs,
    catalogue: &Catalogue,
    options: &Options,
    scratch: &std::path::Path,
) -> Result<Group, Error> {
    let entry = *catalogue.get(&arguments.workload).map_err(Error::usage)?;
    if entry.definition.input.is_none() && !options.input.is_empty() {
        let name = entry.definition.name;
        return Err(Error::usage(format!("{name} reads no files; leave --input out")));
    }
    let changes = arguments::single(&arguments.work.param)?;
    let parameters =
        entry.definition.parameters(&options.preset, &changes).map_err(Error::usage)?;
    Group::new(entry, parameters, options, scratch)
}

fn options(arguments: &AnswerArgs, executor: ExecutorName) -> Result<Options, Error> {
    Ok(Options {
        workloads: vec![arguments.workload.clone()],
        executors: vec![executor],
        workers: Vec::new(),
        parameters: Vec::new(),
        preset: arguments.work.preset.as_str().to_owned(),
        chunk: arguments::chunk(&arguments.chunk)?,
        seed: arguments.work.seed,
        input: arguments::input(&arguments.input.input)?,
        ..Options::default()
    })
}
