//! `cargo xtask loom`: every interleaving of the code that needs `unsafe` to share memory.

use std::process::{Command, Stdio};

use crate::shell::{cargo, run};

/// The packages with such code, and the modules that its model is in.
const MODELS: [(&str, &str); 2] = [("manyhands-contract", "claims"), ("manyhands", "shm")];

pub(crate) fn loom() -> Result<(), String> {
    for (package, module) in MODELS {
        let tests = build(package)?;
        let mut models = Command::new(&tests);
        models.arg(module);
        run(&format!("loom: {package} {module}"), &mut models)?;
    }
    Ok(())
}

/// Builds a package's own tests with loom's types in place of the real ones; gives the program.
/// The flag is for that package alone, so that nothing else is built again for it.
fn build(package: &str) -> Result<String, String> {
    let output = cargo(&["rustc", "--package", package, "--lib", "--profile", "test"])
        .args(["--message-format", "json", "--", "--cfg", "manyhands_loom"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("loom: {package}: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let program = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(str::to_owned))
        .next_back();
    match (output.status.success(), program) {
        (true, Some(program)) => Ok(program),
        _ => Err(format!("loom: {package}: {}", output.status)),
    }
}
