//! The command line: one file per subcommand.

mod answer;
mod arguments;
mod compare;
mod completions;
mod data;
mod demo;
mod describe;
mod doctor;
mod granularity;
mod list;
mod man;
mod progress;
mod report;
mod run;
mod table;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use manyhands_contract::Catalogue;

use crate::error::{Error, Exit};

/// What clap parses.
#[derive(Debug, Parser)]
#[command(
    name = "manyhands",
    version,
    about = "Runs the same work under different concurrency models and compares them honestly",
    long_about = "Runs the same work sequentially, with threads, with processes, with rayon and \
                  with async; checks that all give the same answer; measures time, memory and \
                  scaling; and draws the comparison. Without a subcommand: a short demonstration.",
    after_help = "Exit codes: 0 ok; 1 a run failed; 2 usage; 3 wrong answer; 4 a bound was not \
                  met; 5 it cannot be told; 6 nothing could run here; 130 interrupted (partial \
                  results saved)."
)]
struct Cli {
    #[command(flatten)]
    style: StyleArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct StyleArgs {
    /// When to use colour; NO_COLOR and TERM=dumb are respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorWhen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColorWhen {
    Auto,
    Always,
    Never,
}

impl StyleArgs {
    /// Whether what goes to standard output is coloured.
    fn colour(&self) -> bool {
        let refused = || {
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
        };
        match self.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => std::io::stdout().is_terminal() && !refused(),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure workloads under several executors; write a record and a report
    Run(Box<run::RunArgs>),
    /// Run a workload once, check it, and print its answer as one line of JSON
    Answer(answer::AnswerArgs),
    /// Write a workload's input to a folder
    Data(data::DataArgs),
    /// List workloads and executors
    List(list::ListArgs),
    /// Explain a workload: what it stands for, its parameters, what to try
    Describe(describe::DescribeArgs),
    /// Render the report of a record
    Report(report::ReportArgs),
    /// Compare two records: what became faster or slower, as far as the runs can tell
    Compare(compare::CompareArgs),
    /// Examine this machine: what speaks against trusting its numbers, and what to do about it
    Doctor(DoctorArgs),
    /// Print a shell's completion script
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The whole program, for a catalogue of workloads: parses the command line, does what it says
/// and gives the exit code. Call [`worker_hook`](crate::worker_hook) before it.
pub fn main_with(catalogue: &Catalogue) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors: clap prints them to standard output.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            complain(&Error::usage(in_one_line(&error)));
            return ExitCode::from(Exit::Usage.code());
        }
    };
    let exit = match dispatch(&cli, catalogue) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error);
            error.exit
        }
    };
    ExitCode::from(exit.code())
}

/// What clap has to say, as our own errors say it: one line, without the usage, which `--help`
/// shows better.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\nUsage:").next().unwrap_or(&text);
    let text = text.split("\nFor more information").next().unwrap_or(text);
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line).trim_end_matches('.');
    format!("{line}; see 'manyhands help'")
}

fn dispatch(cli: &Cli, catalogue: &Catalogue) -> Result<Exit, Error> {
    let colour = cli.style.colour();
    match &cli.command {
        None => demo::demo(catalogue, colour),
        Some(Command::Run(arguments)) => run::run(arguments, catalogue, colour),
        Some(Command::Answer(arguments)) => answer::answer(arguments, catalogue),
        Some(Command::Data(arguments)) => data::data(arguments, catalogue),
        Some(Command::List(arguments)) => list::list(arguments, catalogue),
        Some(Command::Describe(arguments)) => describe::describe(arguments, catalogue),
        Some(Command::Report(arguments)) => report::report(arguments),
        Some(Command::Compare(arguments)) => compare::compare(arguments),
        Some(Command::Doctor(arguments)) => examine(arguments, colour),
        Some(Command::Completions(arguments)) => completions::completions(arguments),
        Some(Command::Man) => man::man(),
    }
}

fn examine(arguments: &DoctorArgs, colour: bool) -> Result<Exit, Error> {
    let machine = crate::measure::host::describe(crate::versions::of_build());
    let doubts = crate::measure::doubts::doubts(&machine);
    let mut out = Vec::new();
    doctor::run(&mut out, &machine, &doubts, arguments.json, colour).map_err(Error::failed)?;
    print_bytes(&out)
}

/// `manyhands: what failed, on what, what to do`
fn complain(error: &Error) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "manyhands: {error}");
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<Exit, Error> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<Exit, Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(Exit::Ok),
    }
}

/// This program's own path, which its cells are started with.
fn own_program() -> Result<std::path::PathBuf, Error> {
    std::env::current_exe()
        .map_err(|error| Error::failed(format!("cannot find this program's own path: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
