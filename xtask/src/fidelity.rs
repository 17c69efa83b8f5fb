//! `cargo xtask fidelity`: manyhands beside criterion on the same functions and beside hyperfine
//! on the same commands.

use std::process::Stdio;

use crate::shell::{can_install, cargo, exists, install, program, run};

/// Runs the comparison; it prints the table, or a JSON object a line. Fails when a ratio is
/// further from 1 than 2 %.
pub(crate) fn fidelity(json: bool) -> Result<(), String> {
    hyperfine(json)?;
    let mut arguments = vec!["bench", "--quiet", "--bench", "fidelity"];
    if json {
        arguments.extend(["--", "--json"]);
        // Nothing but the objects may be on standard output.
        let status = cargo(&arguments).status().map_err(|error| error.to_string())?;
        return if status.success() { Ok(()) } else { Err(format!("fidelity: {status}")) };
    }
    run("fidelity", &mut cargo(&arguments))
}

/// Installs hyperfine where we may. Without it half of the comparison is skipped, and says so; on
/// CI that is a failure: a check that never runs protects nobody.
fn hyperfine(json: bool) -> Result<(), String> {
    if !exists("hyperfine") && can_install() {
        if json { install_quietly()? } else { install("hyperfine")? }
    }
    let on_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    if exists("hyperfine") || !on_ci {
        return Ok(());
    }
    Err("fidelity: hyperfine is not installed, and its half of the comparison would be skipped; \
         install it: apt-get install hyperfine"
        .into())
}

/// What apt says would stand among the objects.
fn install_quietly() -> Result<(), String> {
    for arguments in [&["-qq", "update"][..], &["-qq", "install", "-y", "hyperfine"]] {
        let mut apt = program("apt-get", arguments);
        let apt = apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        let status = apt.status().map_err(|error| format!("apt-get: {error}"))?;
        if !status.success() {
            return Err(format!("apt-get {}: {status}", arguments.join(" ")));
        }
    }
    Ok(())
}
