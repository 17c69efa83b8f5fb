//! Each executor against the same loop written by hand: does the harness measure the model or
//! itself?
//!
//! ```text
//! cargo bench --bench overhead                         criterion's report of both sides
//! cargo bench --bench overhead -- --ratios [--json]    the ratios; `cargo xtask overhead`
//! cargo bench --bench overhead -- --ratios rayon/noop  only those with this in executor/loop
//! cargo bench --bench overhead -- --granularity [--json]  cost per task, METG, efficiency;
//!                                                      `cargo xtask granularity`
//! ```
//!
//! The work is `spin`: with no steps, so that nothing is measured but the executor, and with ten
//! microseconds a task, as short as a sensible task gets. Both sides call the same kernel, and the
//! answer of each sample is checked after its clock has stopped. What the loops by hand look like
//! is said in [`twins`].

mod comparison;
mod granularity;
mod groups;
mod print;
mod python;
mod ratios;
mod side;
mod statistics;
mod twins;

use std::process::ExitCode;

use manyhands::executors::ExecutorName;

use side::Length;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("overhead: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> side::Result<()> {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if !has("--ratios") && !has("--granularity") {
        return groups::run();
    }
    // Cargo adds `--bench` on its own account.
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let wants = |executor: ExecutorName, length: Length| {
        let name = format!("{executor}/{}", length.name());
        wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()))
    };
    if has("--granularity") {
        let outcome = granularity::measure(|executor| {
            wanted.is_empty() || wanted.iter().any(|part| executor.as_str() == part.as_str())
        })?;
        print::granularities(&outcome, has("--json"));
        return Ok(());
    }
    if has("--json") {
        return ratios::compare(wants, print::object);
    }
    print::head();
    ratios::compare(wants, print::row)
}
