//! What CI runs, on any machine: `cargo xtask test`.

mod docs;
mod granularity;
mod loom;
mod overhead;
mod page;
mod shell;
mod test;
mod truth;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test               everything that must hold: format, lints, tests, docs, pages
cargo xtask loom               every interleaving of the code that shares memory
cargo xtask docs               run the commands that the book and the README show
cargo xtask overhead [--json]  each executor against the same loop written by hand
cargo xtask granularity [--json]  what a task costs under each, and how long it must be
cargo xtask truth [--json]     do the statistics find what was planted?
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["test" | "ci"] => test::test(),
        ["loom"] => loom::loom(),
        ["docs"] => docs::docs(),
        ["overhead"] => overhead::overhead(false),
        ["overhead", "--json"] => overhead::overhead(true),
        ["truth"] => truth::truth(false),
        ["truth", "--json"] => truth::truth(true),
        ["granularity"] => granularity::granularity(false),
        ["granularity", "--json"] => granularity::granularity(true),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("there is no task '{}'; there are:\n{USAGE}", words.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
