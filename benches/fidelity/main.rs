//! Does the harness measure what others measure? The same functions, in this same binary, by
//! criterion and by manyhands; the same commands by hyperfine and by manyhands.
//!
//! ```text
//! cargo bench --bench fidelity [-- --json]    all comparisons; `cargo xtask fidelity`
//! cargo bench --bench fidelity -- memory      only those with this in their name
//! ```
//!
//! The two sides of a comparison take turns in short blocks, A B B A and then B A A B, so that a
//! machine that gets slower or faster meanwhile does so for both; each block is a process of its
//! own. A round of four blocks gives one ratio. Rounds go on until the 95 % interval of their
//! geometric mean is narrower than +-1 %, or there were twelve. What must be within 2 % is the
//! median of the rounds' ratios, of times that are medians themselves.

mod functions;
mod rounds;
mod sides;

use std::path::Path;
use std::process::ExitCode;

use rounds::Found;
use sides::{Comparison, Result};

/// How far from 1 a ratio may be.
const ALLOWED: std::ops::RangeInclusive<f64> = 0.98..=1.02;

fn main() -> ExitCode {
    // A run of manyhands starts this program again for its cells.
    manyhands::worker_hook_with(functions::catalogue);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["run", ..] => return manyhands::main_with(&functions::catalogue()),
        ["criterion", function, folder] => functions::by_criterion(function, Path::new(folder)),
        ["call", function, times] => functions::call(function, times),
        _ => compare(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("fidelity: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn compare(words: &[&str]) -> Result<()> {
    let json = words.contains(&"--json");
    // Cargo adds `--bench` on its own account.
    let wanted: Vec<_> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let all = sides::comparisons()?;
    let wanted = |comparison: &&Comparison| {
        wanted.is_empty() || wanted.iter().any(|part| comparison.what.contains(**part))
    };
    if !json {
        println!("{:<38}{:<11}{:>8}  {:<16}rounds", "", "against", "ratio", "95 % interval");
    }
    let mut outside = Vec::new();
    for comparison in all.iter().filter(wanted) {
        let found = rounds::go(comparison, folder.path())?;
        print(comparison, &found, json);
        if !ALLOWED.contains(&found.ratio) {
            outside.push(complaint(comparison, &found));
        }
    }
    if outside.is_empty() { Ok(()) } else { Err(outside.join("; ")) }
}

fn print(comparison: &Comparison, found: &Found, json: bool) {
    let Comparison { what, against, .. } = comparison;
    let Found { ratio, interval, rounds, .. } = found;
    if json {
        println!("{}", serde_json::json!({"what": what, "against": against, "ratio": ratio}));
        return;
    }
    let interval = interval.map_or("-".to_owned(), |i| format!("[{:.4}, {:.4}]", i.low, i.high));
    println!("{what:<38}{against:<11}{ratio:>8.4}  {interval:<16}{rounds:>6}");
}

fn complaint(comparison: &Comparison, found: &Found) -> String {
    let Comparison { what, against, .. } = comparison;
    let Found { ratio, rounds, least, most, .. } = found;
    let (low, high) = (ALLOWED.start(), ALLOWED.end());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{what}: manyhands measures {ratio:.4} times what {against} does, allowed are {low} to \
         {high}; its {rounds} rounds gave {least:.4} to {most:.4}, at a load \
         of {load}: on a busy machine it matters to the scheduler how long a program has run, and \
         the two run for different times"
    )
}
