//! `cargo xtask docs`: runs the commands that the book and the README show, so that none of them
//! can rot. What they print is not compared: it is measured, and differs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use crate::shell::{cargo, root, run};

/// One `$ command` of a page.
struct Shown {
    line: usize,
    command: String,
    /// The exit code that the block's info string promises: `console exit=2`.
    exit: i32,
}

pub(crate) fn docs() -> Result<(), String> {
    run("release build", &mut cargo(&["build", "--release"]))?;
    let mut pages = markdown_below(&root().join("docs/src"))?;
    pages.push(root().join("README.md"));
    let mut ran = 0;
    for page in pages {
        let text = fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
        let folder = fresh_folder(&page)?;
        for shown in commands(&text) {
            execute(&page, &shown, &folder)?;
            ran += 1;
        }
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    println!("== the docs' commands: {ran} ran as they should");
    if ran == 0 { Err("the docs show no command at all".into()) } else { Ok(()) }
}

fn markdown_below(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut pages: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    Ok(pages)
}

/// The `$ manyhands` lines of a page's console blocks.
fn commands(text: &str) -> Vec<Shown> {
    let mut shown = Vec::new();
    let mut block: Option<i32> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            block = match (block, info.strip_prefix("console")) {
                (None, Some(rest)) => Some(promised_exit(rest)),
                _ => None,
            };
        } else if let (Some(exit), Some(command)) = (block, line.trim_start().strip_prefix("$ "))
            && command.starts_with("manyhands")
        {
            shown.push(Shown { line: index + 1, command: command.to_owned(), exit });
        }
    }
    shown
}

fn promised_exit(info: &str) -> i32 {
    info.split_whitespace()
        .find_map(|word| word.strip_prefix("exit="))
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

fn fresh_folder(page: &Path) -> Result<PathBuf, String> {
    let name = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = root().join("target/docs").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Runs one command with our release build first on the path.
fn execute(page: &Path, shown: &Shown, folder: &Path) -> Result<(), String> {
    let place = format!("{}:{}", page.display(), shown.line);
    let began = Instant::now();
    let output = Command::new("sh")
        .args(["-c", &shown.command])
        .current_dir(folder)
        .env("PATH", path_with_release()?)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{place}: cannot start sh: {error}"))?;
    println!("   {:5.1} s  $ {}", began.elapsed().as_secs_f64(), shown.command);
    if output.status.code() == Some(shown.exit) {
        return Ok(());
    }
    let Output { status, stdout, stderr } = output;
    Err(format!(
        "{place}: `{}` gave {status}, expected {}\nin {}\n{}{}",
        shown.command,
        shown.exit,
        folder.display(),
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    ))
}

fn path_with_release() -> Result<std::ffi::OsString, String> {
    let release = root().join("target/release");
    let old = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([release].into_iter().chain(std::env::split_paths(&old)))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_of_console_blocks_are_run() {
        let page = "$ manyhands no\n```console\n$ manyhands list\nworkloads\n```\n```sh\n$ \
                    manyhands no\n```\n```console exit=2\n$ manyhands run nothing\n```\n";
        let found: Vec<_> =
            commands(page).into_iter().map(|s| (s.line, s.command, s.exit)).collect();
        assert_eq!(
            found,
            [(3, "manyhands list".to_owned(), 0), (10, "manyhands run nothing".to_owned(), 2)]
        );
    }
}
