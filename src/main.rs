//! The `manyhands` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    manyhands::worker_hook();
    manyhands::main_with(&manyhands::catalogue())
}
