//! The flags of `manyhands run` for programs of the user's own.

use clap::Args;

use crate::error::Error;
use crate::run::commands::{self, Commands};

/// Your own programs.
#[derive(Debug, Clone, Args)]
pub(super) struct CommandArgs {
    /// Measure a program of your own instead of workloads; {workers} stands for the numbers of -w.
    /// No shell is involved: write sh -c '...' for one (repeatable, to compare several)
    #[arg(long, value_name = "CMD", help_heading = "Commands")]
    command: Vec<String>,
    /// Values for the placeholder {NAME} of commands; several lists: all combinations
    #[arg(
        short = 'L',
        long = "list",
        value_name = "NAME=VALUE,..",
        requires = "command",
        help_heading = "Commands"
    )]
    list: Vec<String>,
    /// Run CMD before each sample, untimed; placeholders work here too
    #[arg(long, value_name = "CMD", requires = "command", help_heading = "Commands")]
    prepare: Option<String>,
    /// Run CMD after each sample, untimed; placeholders work here too
    #[arg(long, value_name = "CMD", requires = "command", help_heading = "Commands")]
    cleanup: Option<String>,
    /// Fail commands that do not all print the same. Without it what they print is discarded, and
    /// only exit code 0 is asked for
    #[arg(long, requires = "command", help_heading = "Commands")]
    check_output: bool,
}

impl CommandArgs {
    /// Refuses what else was asked for and means nothing to commands: whether it was asked for,
    /// its name, and why.
    pub(super) fn check(&self, others: &[(bool, &str, &str)]) -> Result<(), Error> {
        match others.iter().find(|(asked, ..)| *asked && !self.command.is_empty()) {
            None => Ok(()),
            Some((_, what, why)) => Err(Error::usage(format!(
                "{what} cannot go with --command: {why}; leave one of the two out"
            ))),
        }
    }

    /// What was typed, its lists taken apart.
    pub(super) fn commands(&self) -> Result<Commands, Error> {
        Ok(Commands {
            commands: self.command.clone(),
            lists: commands::lists(&self.list)?,
            prepare: self.prepare.clone(),
            cleanup: self.cleanup.clone(),
            check_output: self.check_output,
        })
    }
}
