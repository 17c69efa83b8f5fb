//! Arguments that several subcommands share, and how they are spelt.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use manyhands_contract::parameters::parse_duration;
use manyhands_record::Chunk;

use crate::error::Error;
use crate::executors::ExecutorName;

/// What a workload is made of.
#[derive(Debug, Clone, Args)]
pub(super) struct WorkArgs {
    /// Change parameters; several values are swept: -p limit=1e5,1e6
    #[arg(short = 'p', long = "param", value_name = "KEY=VALUE,..")]
    pub(super) param: Vec<String>,
    /// Size of the work
    #[arg(long, value_name = "SIZE", default_value = "quick")]
    pub(super) preset: PresetName,
    /// Seed of everything that is drawn: input, delays, the order of cells
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(super) seed: u64,
}

/// Your own files.
#[derive(Debug, Clone, Args)]
pub(super) struct InputArgs {
    /// Use your own file or folder as input (repeatable)
    #[arg(long, value_name = "PATH")]
    pub(super) input: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PresetName {
    /// CPU: about 30 ms on one core; I/O: 64 requests of 5 ms
    Quick,
    /// CPU: about 300 ms; I/O: 500 requests of 20 ms
    Standard,
    /// CPU: about 3 s; I/O: 10,000 requests of 20 ms
    Large,
}

impl PresetName {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Large => "large",
        }
    }
}

/// The paths, checked to be such as records and cells can be told of.
pub(super) fn input(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    match paths.iter().find(|path| path.to_str().is_none()) {
        None => Ok(paths.to_vec()),
        Some(path) => Err(Error::usage(format!(
            "--input {}: the name is not UTF-8; rename it, or give the folder that it is in",
            path.display()
        ))),
    }
}

/// `1,2,4` or `1..8` (both ends included), or a mix.
pub(super) fn workers(typed: &[String]) -> Result<Vec<NonZeroU32>, Error> {
    let mut counts = Vec::new();
    for part in typed.iter().flat_map(|text| text.split(',')) {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (worker_count(first, part)?, worker_count(last, part)?);
        if first > last {
            return Err(Error::usage(format!(
                "-w {part} goes down; write the smaller number first: -w {last}..{first}"
            )));
        }
        if last.get() - first.get() >= MOST_COUNTS {
            return Err(Error::usage(format!(
                "-w {part} is more than {MOST_COUNTS} numbers; name those you need: -w 1,10,100"
            )));
        }
        counts.extend((first.get()..=last.get()).filter_map(NonZeroU32::new));
    }
    Ok(counts)
}

/// A range of more numbers than this is a slip of the finger.
const MOST_COUNTS: u32 = 1024;

/// As many futures as anybody was seen to wait for; threads and processes meet their own limits,
/// and those of the machine, long before, and say which.
const MOST_WORKERS: u32 = 1_000_000;

fn worker_count(text: &str, part: &str) -> Result<NonZeroU32, Error> {
    text.parse().ok().filter(|count: &NonZeroU32| count.get() <= MOST_WORKERS).ok_or_else(|| {
        Error::usage(format!(
            "-w {part} is not a number of workers: give whole numbers from 1 on, at most \
             {MOST_WORKERS}, as in -w 1,2,4 or -w 1..8"
        ))
    })
}

/// `threads,rayon`, each checked against the executors that there are.
pub(super) fn executors(typed: &[String]) -> Result<Vec<ExecutorName>, Error> {
    let mut names = Vec::new();
    for part in typed.iter().flat_map(|text| text.split(',')) {
        let name = part.parse().map_err(Error::usage)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(if names.is_empty() { ExecutorName::MODELS.to_vec() } else { names })
}

/// `auto` or a number of tasks.
pub(super) fn chunk(typed: &str) -> Result<Chunk, Error> {
    match (typed, typed.parse::<u64>()) {
        ("auto", _) => Ok(Chunk::Auto),
        (_, Ok(n @ 1..)) => Ok(Chunk::Tasks(n)),
        _ => Err(Error::usage(format!(
            "--chunk {typed} is not a number of tasks: give auto or a whole number from 1 on"
        ))),
    }
}

/// `60s`, `500ms`, `2min`.
pub(super) fn duration(typed: Option<&str>, flag: &str) -> Result<Option<Duration>, Error> {
    let parse = |text| {
        parse_duration(text).filter(|duration| !duration.is_zero()).ok_or_else(|| {
            Error::usage(format!(
                "{flag} {text} is not a length of time: give one as in {flag} 60s"
            ))
        })
    };
    typed.map(parse).transpose()
}

/// `2%` or `0.02`: a share of something, above 0 and below 1.
pub(super) fn share(typed: &str, flag: &str) -> Result<f64, Error> {
    percentage(typed).filter(|share| *share > 0.0 && *share < 1.0).ok_or_else(|| {
        Error::usage(format!(
            "{flag} {typed} is not a share: give one between 0 and 100 %, as in {flag} 2%"
        ))
    })
}

/// `5%` or `0.05`: by how much something may grow, at most tenfold.
pub(super) fn growth(typed: &str, flag: &str) -> Result<f64, Error> {
    percentage(typed).filter(|growth| (0.0..=10.0).contains(growth)).ok_or_else(|| {
        Error::usage(format!(
            "{flag} {typed} is not a share: give one from 0% to 1000%, as in {flag} 5%"
        ))
    })
}

/// A number with a percent sign, or without one below 1: whoever writes 5 means 5 %.
fn percentage(typed: &str) -> Option<f64> {
    match typed.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => typed.parse().ok().filter(|share| *share < 1.0),
    }
}

/// `key=value`, `key=v1,v2` (a sweep), `k1=v1,k2=v2`. A comma begins a new key where a key and an
/// equals sign follow it, and another value of the same key elsewhere; `key=,` is the comma itself.
pub(super) fn parameters(typed: &[String]) -> Result<Vec<(String, Vec<String>)>, Error> {
    let mut parsed: Vec<(String, Vec<String>)> = Vec::new();
    for text in typed {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| is_key(key)) else {
            return Err(Error::usage(format!(
                "-p {text} is not KEY=VALUE; write it as in -p limit=1000000"
            )));
        };
        if value == "," {
            push(&mut parsed, key, value);
            continue;
        }
        let mut key = key;
        for part in value.split(',') {
            match part.split_once('=') {
                Some((next, value)) if is_key(next) => {
                    key = next;
                    push(&mut parsed, key, value);
                }
                _ => push(&mut parsed, key, part),
            }
        }
    }
    Ok(parsed)
}

fn push(parsed: &mut Vec<(String, Vec<String>)>, key: &str, value: &str) {
    match parsed.iter_mut().find(|(other, _)| other == key) {
        Some((_, values)) => values.push(value.to_owned()),
        None => parsed.push((key.to_owned(), vec![value.to_owned()])),
    }
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// One value for each parameter, for subcommands that do not sweep.
pub(super) fn single(typed: &[String]) -> Result<Vec<(String, String)>, Error> {
    parameters(typed)?
        .into_iter()
        .map(|(key, mut values)| match (values.pop(), values.is_empty()) {
            (Some(value), true) => Ok((key, value)),
            _ => Err(Error::usage(format!("-p {key} has several values here; give one"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn workers_are_lists_and_ranges() {
        let counts = workers(&texts(&["1,2", "4..6"])).expect("well-formed");
        assert_eq!(counts.iter().map(|n| n.get()).collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
        for wrong in ["0", "3..1", "", "x", "1..", "1..999999", "-2"] {
            let error = workers(&texts(&[wrong])).unwrap_err();
            assert_eq!(error.exit, crate::error::Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn shares_are_percentages_or_fractions() {
        assert_eq!(share("5%", "--precision"), Ok(0.05));
        assert_eq!(share("0.02", "--precision"), Ok(0.02));
        for wrong in ["", "%", "0", "100%", "-1%", "nan", "2 percent"] {
            assert!(share(wrong, "--precision").is_err(), "{wrong}");
        }
        for (typed, growth) in [("5%", 0.05), ("0.05", 0.05), ("0%", 0.0), ("150 %", 1.5)] {
            assert_eq!(super::growth(typed, "--fail-above"), Ok(growth), "{typed}");
        }
        for wrong in ["5", "-1%", "%", "nan%", "five%", "2000%"] {
            assert!(growth(wrong, "--fail-above").is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_sweep_and_follow_each_other() {
        let parsed = |text: &str| parameters(&texts(&[text])).expect("well-formed");
        let pair = |key: &str, values: &[&str]| (key.to_owned(), texts(values));
        assert_eq!(parsed("limit=10,20"), [pair("limit", &["10", "20"])]);
        assert_eq!(parsed("group=g,column=c"), [pair("group", &["g"]), pair("column", &["c"])]);
        assert_eq!(parsed("delimiter=,"), [pair("delimiter", &[","])]);
        assert_eq!(parsed("column="), [pair("column", &[""])]);
        assert!(parameters(&texts(&["limit"])).is_err());
    }
}
