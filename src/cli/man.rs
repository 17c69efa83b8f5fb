//! `manyhands man`: the manual page.

use clap::CommandFactory;

use super::Cli;
use crate::error::{Error, Exit};

/// One page, every subcommand on it: a reader looks in one place.
pub(super) fn man() -> Result<Exit, Error> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(Error::failed)?;
    for subcommand in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let man = clap_mangen::Man::new(subcommand.clone());
        let heading = format!(".SH \"MANYHANDS {}\"\n", subcommand.get_name().to_uppercase());
        page.extend_from_slice(heading.as_bytes());
        man.render_description_section(&mut page)
            .and_then(|()| man.render_synopsis_section(&mut page))
            .and_then(|()| man.render_options_section(&mut page))
            .map_err(Error::failed)?;
    }
    super::print_bytes(&page)
}
