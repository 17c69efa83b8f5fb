//! Workloads of kind `overhead`: what a concurrency model itself costs.

use std::process::ExitCode;

use manyhands_contract::Catalogue;

pub mod spin;
mod sys;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<spin::Spin>()
}

/// What a process does that takes part in an experiment: `PROGRAM __manyhands probe WORKLOAD
/// ARGUMENTS...`. It ends when the thread that started it ends.
pub fn probe_main(arguments: &[String]) -> ExitCode {
    sys::end_with_parent();
    let (workload, _arguments) = match arguments {
        [workload, arguments @ ..] => (workload.as_str(), arguments),
        [] => ("", arguments),
    };
    match workload {
        _ => {
            eprintln!("'{workload}' has no processes of its own; use 'manyhands run'");
            ExitCode::from(2)
        }
    }
}
