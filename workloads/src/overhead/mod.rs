//! Workloads of kind `overhead`: what a concurrency model itself costs.

use std::process::ExitCode;

use manyhands_contract::Catalogue;

pub mod brigade;
pub mod contention;
mod crew;
pub mod deadlock;
pub mod false_sharing;
mod helpers;
pub mod idle;
pub mod imbalance;
pub mod payload;
pub mod race;
mod shared;
pub mod spawn;
pub mod spin;
mod sys;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<spin::Patterned>()
        .with::<imbalance::Imbalance>()
        .with::<payload::Payload>()
        .with_probe::<spawn::Spawn>()
        .with_probe::<idle::Idle>()
        .with_probe::<brigade::Brigade>()
        .with_probe::<contention::Contention>()
        .with_probe::<race::Race>()
        .with_probe::<false_sharing::FalseSharing>()
        .with_probe::<deadlock::Deadlock>()
}

/// What a process does that takes part in an experiment: `PROGRAM __manyhands probe WORKLOAD
/// ARGUMENTS...`. It ends when the thread that started it ends.
pub fn probe_main(arguments: &[String]) -> ExitCode {
    sys::end_with_parent();
    let (workload, arguments) = match arguments {
        [workload, arguments @ ..] => (workload.as_str(), arguments),
        [] => ("", arguments),
    };
    match workload {
        "spawn" => spawn::main(),
        "idle" => idle::main(arguments),
        "brigade" => brigade::main(),
        "deadlock" => deadlock::main(arguments),
        _ => {
            eprintln!("'{workload}' has no processes of its own; use 'manyhands run'");
            ExitCode::from(2)
        }
    }
}
