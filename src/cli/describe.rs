//! `manyhands describe`: a workload in full.

use std::fmt::Write;

use clap::Args;
use manyhands_contract::parameters::nearest;
use manyhands_contract::{Catalogue, Definition, Parameter};

use crate::error::{Error, Exit};
use crate::executors::ExecutorName;

#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// A workload or an executor; see 'manyhands list'
    name: String,
}

pub(super) fn describe(arguments: &DescribeArgs, catalogue: &Catalogue) -> Result<Exit, Error> {
    if let Ok(executor) = arguments.name.parse::<ExecutorName>() {
        return super::print(&executor_text(executor));
    }
    match catalogue.find(&arguments.name) {
        Some(entry) => super::print(&workload_text(entry.definition)),
        None => Err(unknown(&arguments.name, catalogue)),
    }
}

fn unknown(name: &str, catalogue: &Catalogue) -> Error {
    let workloads = catalogue.entries().iter().map(|entry| entry.definition.name);
    let executors = ExecutorName::ALL.map(ExecutorName::as_str);
    let hint = nearest(name, workloads.chain(executors))
        .map_or(String::new(), |near| format!("did you mean '{near}'? "));
    Error::usage(format!(
        "there is no workload or executor '{name}'; {hint}'manyhands list' shows all of them"
    ))
}

fn executor_text(executor: ExecutorName) -> String {
    let text = executor.record_text();
    let crates: Vec<_> =
        executor.crates().iter().map(|name| crate::versions::with_version(name)).collect();
    let library = if crates.is_empty() { "std".to_owned() } else { crates.join(", ") };
    format!(
        "{}: {}\n\nconstruct  {}\nlibrary    {library}\ntransport  {}\nworkers    {}\n",
        text.name,
        text.summary,
        executor.construct(),
        executor.transport(),
        text.workers,
    )
}

fn workload_text(definition: &Definition) -> String {
    let mut out = String::new();
    let Definition { name, version, kind, shape, summary, task, answer, .. } = definition;
    let _ = writeln!(out, "{name}: {summary}\n");
    let _ = writeln!(out, "{}\n", wrapped(definition.about, ""));
    let simulated = if definition.simulated { "; its waiting is simulated" } else { "" };
    let _ = writeln!(out, "kind     {kind}, shape {shape}, version {version}{simulated}");
    let _ = writeln!(out, "task     {}", wrapped(task, "         "));
    let _ = writeln!(out, "answer   {}", wrapped(answer, "         "));
    let input = definition.input.unwrap_or("none: the parameters are the whole input");
    let _ = writeln!(out, "input    {}", wrapped(input, "         "));
    parameters(&mut out, definition);
    presets(&mut out, definition);
    let _ = writeln!(out, "\ntry      manyhands run {name}");
    if definition.length.is_some() {
        let _ = writeln!(out, "         manyhands run {name} --granularity");
    }
    out
}

fn parameters(out: &mut String, definition: &Definition) {
    if definition.parameters.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nparameters (-p key=value)");
    let width = definition.parameters.iter().map(|p| p.name.len()).max().unwrap_or(0);
    for parameter in definition.parameters {
        let margin = " ".repeat(width + 4);
        let unit = if parameter.unit.is_empty() {
            String::new()
        } else {
            format!(", in {}", parameter.unit)
        };
        let default = match usual(definition, parameter) {
            "" => "empty unless given".to_owned(),
            default => format!("{default} unless given"),
        };
        let text = format!("{}: {}{unit}; {default}", parameter.about, parameter.kind);
        let _ = writeln!(out, "  {:width$}  {}", parameter.name, wrapped(&text, &margin));
    }
}

/// What a parameter is in the preset that is used unless another is asked for.
fn usual<'a>(definition: &'a Definition, parameter: &'a Parameter) -> &'a str {
    let quick = definition.presets.iter().find(|preset| preset.name == "quick");
    let values = quick.map_or(&[][..], |preset| preset.values);
    let changed = values.iter().find(|(name, _)| *name == parameter.name);
    changed.map_or(parameter.default, |(_, value)| value)
}

fn presets(out: &mut String, definition: &Definition) {
    let _ = writeln!(out, "\npresets (--preset)");
    for preset in definition.presets {
        let values: Vec<_> =
            preset.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let values = if values.is_empty() { "the defaults".to_owned() } else { values.join(" ") };
        let _ = writeln!(out, "  {:8}  {values}", preset.name);
    }
}

/// Words in lines of at most 90 columns, every line but the first behind `margin`.
fn wrapped(text: &str, margin: &str) -> String {
    const WIDTH: usize = 90;
    let mut out = String::new();
    let mut column = margin.len();
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > margin.len() {
            if column + 1 + length > WIDTH {
                out.push('\n');
                out.push_str(margin);
                column = margin.len();
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_behind_their_margin() {
        let text = "word ".repeat(30);
        let lines = wrapped(&text, "    ");
        assert!(lines.lines().all(|line| line.len() <= 90));
        assert!(lines.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(lines.split_whitespace().count(), 30);
    }
}
