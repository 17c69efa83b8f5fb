//! Tells the program which versions of which crates it is made of, for the fairness cards:
//! libraries do not say so themselves, and the lock file is what the compiler used.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let lock = Path::new(&root).join("Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(lock).unwrap_or_default();
    println!("cargo:rustc-env=MANYHANDS_CRATES={}", crates(&lock));
    println!("cargo:rustc-env=MANYHANDS_RUSTC={}", compiler());
    let profile = env::var("PROFILE").unwrap_or_default();
    println!("cargo:rustc-env=MANYHANDS_PROFILE={profile}");
}

/// `name=version;` for every package of a lock file. The format is stable, generated and one
/// key a line, so a parser for all of TOML would be a dependency for nothing.
fn crates(lock: &str) -> String {
    let mut out = String::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(value) = quoted(line, "name = ") {
            name = value;
        } else if let Some(version) = quoted(line, "version = ") {
            write!(out, "{name}={version};").expect("writing to a string");
        }
    }
    out
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    // `rustc 1.95.0 (59807616e 2026-04-14)`
    text.and_then(|text| text.split_whitespace().nth(1).map(str::to_owned)).unwrap_or_default()
}
