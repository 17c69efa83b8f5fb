//! The other lives of the program: every process of a run is this same program, started with a
//! mark as its first argument and its role as the second.

use std::process::ExitCode;

use manyhands_contract::Catalogue;

/// No file, flag or subcommand that a user could mean is called this.
pub(crate) const MARK: &str = "__manyhands";

/// The program's own workloads: those of this package, unless it was built without them.
pub fn catalogue() -> Catalogue {
    #[cfg(feature = "workloads")]
    return manyhands_workloads::catalogue();
    #[cfg(not(feature = "workloads"))]
    Catalogue::new()
}

/// Call this first in `main`: in a process that a run started to supervise, to measure, to work
/// or to serve, it does that and ends; in any other it returns at once.
pub fn worker_hook() {
    worker_hook_with(catalogue);
}

/// [`worker_hook`] for programs with workloads of their own.
pub fn worker_hook_with(catalogue: impl FnOnce() -> Catalogue) {
    let mut arguments = std::env::args();
    if arguments.nth(1).as_deref() != Some(MARK) {
        return;
    }
    let role = arguments.next().unwrap_or_default();
    let arguments: Vec<_> = arguments.collect();
    let code = match role.as_str() {
        "supervise" => crate::cell::supervise_main(&arguments),
        "cell" => crate::cell::cell_main(&arguments, &catalogue()),
        "worker" => crate::executors::worker_main(&arguments, &catalogue()),
        #[cfg(feature = "workloads")]
        "serve" => manyhands_workloads::servers::serve_main(&arguments),
        _ => {
            eprintln!("'{MARK} {role}' is how a run starts its own processes; use 'manyhands run'");
            ExitCode::from(2)
        }
    };
    exit(code)
}

/// `ExitCode` cannot be given to `std::process::exit` yet, so spell out the two that there are.
fn exit(code: ExitCode) -> ! {
    std::process::exit(i32::from(code != ExitCode::SUCCESS))
}
