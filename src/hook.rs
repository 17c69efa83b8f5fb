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

/// Call this first in `main`: in a process that a run started to supervise, to measure, to work,
/// to serve or to take part in an experiment, it does that and ends; in any other it returns at once.
pub fn worker_hook() {
    worker_hook_with(catalogue);
}

/// [`worker_hook`] for programs with workloads of their own.
pub fn worker_hook_with(catalogue: impl FnOnce() -> Catalogue) {
    // A user's own argument may be any bytes; the roles' are all text.
    let mut arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
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
        #[cfg(feature = "workloads")]
        "probe" => manyhands_workloads::overhead::probe_main(&arguments),
        _ => {
            eprintln!("'{MARK} {role}' is how a run starts its own processes; use 'manyhands run'");
            ExitCode::from(2)
        }
    };
    exit(code)
}

/// `ExitCode` cannot be given to `std::process::exit`: spell out those that the roles return.
fn exit(code: ExitCode) -> ! {
    let known = [0, 1, 2].into_iter().find(|number| ExitCode::from(*number) == code);
    std::process::exit(i32::from(known.unwrap_or(1)))
}
