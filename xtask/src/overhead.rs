//! `cargo xtask overhead`: each executor against the same loop written by hand.

use crate::shell::{cargo, run};

/// Runs the benchmark in its paired mode; it prints the table, or a JSON object a line.
pub(crate) fn overhead(json: bool) -> Result<(), String> {
    let mut arguments = vec!["bench", "--quiet", "--bench", "overhead", "--", "--ratios"];
    if json {
        arguments.push("--json");
        // Nothing but the objects may be on standard output.
        let status = cargo(&arguments).status().map_err(|error| error.to_string())?;
        return if status.success() { Ok(()) } else { Err(format!("overhead: {status}")) };
    }
    run("overhead", &mut cargo(&arguments))
}
