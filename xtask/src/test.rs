//! `cargo xtask test`: everything that must hold, with all its own set-up.

use crate::shell::{cargo, run};
use crate::{docs, loom, page, truth};

/// What could not be run here. On CI that is a failure: a check that never runs protects nobody.
pub(crate) type Skipped = Option<String>;

/// Cheap checks first, so that a slip is told in seconds.
pub(crate) fn test() -> Result<(), String> {
    run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run("tests", &mut cargo(&["test", "--workspace"]))?;
    run(
        "the library without features",
        &mut cargo(&["check", "--package", "manyhands", "--lib", "--no-default-features"]),
    )?;
    loom::loom()?;
    truth::truth(false)?;
    run("release build", &mut cargo(&["build", "--release"]))?;
    docs::docs()?;
    let skipped: Vec<String> = page::page()?.into_iter().collect();
    conclude(&skipped)
}

fn conclude(skipped: &[String]) -> Result<(), String> {
    for what in skipped {
        println!("skipped: {what}");
    }
    let on_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    match skipped.len() {
        0 => {
            println!("everything was run, nothing skipped");
            Ok(())
        }
        _ if !on_ci => Ok(()),
        count => Err(format!("{count} checks were skipped, which on CI is a failure")),
    }
}
