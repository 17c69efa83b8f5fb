//! `cargo xtask granularity`: what a task costs under each executor and written by hand.

use crate::shell::{cargo, run};

/// Runs the benchmark in its sweeping mode; it prints the table, or a JSON object a line.
pub(crate) fn granularity(json: bool) -> Result<(), String> {
    let mut arguments = vec!["bench", "--quiet", "--bench", "overhead", "--", "--granularity"];
    if json {
        arguments.push("--json");
        // Nothing but the objects may be on standard output.
        let status = cargo(&arguments).status().map_err(|error| error.to_string())?;
        return if status.success() { Ok(()) } else { Err(format!("granularity: {status}")) };
    }
    run("granularity", &mut cargo(&arguments))
}
