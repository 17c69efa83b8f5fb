//! `manyhands list`: what there is to compare.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use manyhands_contract::Catalogue;
use serde_json::json;

use crate::error::{Error, Exit};
use crate::executors::ExecutorName;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Which of them
    what: Option<What>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Workloads,
    Executors,
}

pub(super) fn list(arguments: &ListArgs, catalogue: &Catalogue) -> Result<Exit, Error> {
    let wanted = |what| arguments.what.is_none_or(|wanted| wanted == what);
    let (workloads, executors) = (wanted(What::Workloads), wanted(What::Executors));
    if arguments.json {
        let mut document = serde_json::Map::new();
        if workloads {
            document.insert("workloads".into(), workloads_json(catalogue));
        }
        if executors {
            document.insert("executors".into(), executors_json());
        }
        return super::print(&format!("{}\n", serde_json::Value::Object(document)));
    }
    let mut out = String::new();
    if workloads {
        let rows = catalogue.entries().iter().map(|entry| entry.definition);
        section(&mut out, "workloads", rows.map(|d| (d.name, d.kind.to_string(), d.summary)));
    }
    if workloads && executors {
        out.push('\n');
    }
    if executors {
        let texts = ExecutorName::ALL.map(|name| (name.as_str(), name.record_text()));
        let rows = texts.iter().map(|(name, text)| (*name, String::new(), text.summary.as_str()));
        section(&mut out, "executors", rows);
    }
    super::print(&out)
}

fn section<'a>(
    out: &mut String,
    title: &str,
    rows: impl Iterator<Item = (&'a str, String, &'a str)> + Clone,
) {
    let width = |text: usize, widest: usize| text.max(widest);
    let name_width = rows.clone().map(|(name, ..)| name.len()).fold(0, width);
    let kind_width = rows.clone().map(|(_, kind, _)| kind.len()).fold(0, width);
    let gap = if kind_width == 0 { "" } else { "  " };
    let _ = writeln!(out, "{title}");
    for (name, kind, summary) in rows {
        let _ = writeln!(out, "  {name:name_width$}{gap}{kind:kind_width$}  {summary}");
    }
}

fn workloads_json(catalogue: &Catalogue) -> serde_json::Value {
    let workload = |definition: &manyhands_contract::Definition| {
        json!({
            "name": definition.name,
            "version": definition.version,
            "kind": definition.kind,
            "shape": definition.shape,
            "summary": definition.summary,
            "simulated": definition.simulated,
            "parameters": definition.parameters.iter().map(|parameter| json!({
                "name": parameter.name,
                "about": parameter.about,
                "unit": parameter.unit,
                "default": parameter.default,
                "allowed": parameter.kind.to_string(),
            })).collect::<Vec<_>>(),
        })
    };
    catalogue.entries().iter().map(|entry| workload(entry.definition)).collect()
}

fn executors_json() -> serde_json::Value {
    let executor = |name: ExecutorName| {
        let text = name.record_text();
        json!({ "name": text.name, "summary": text.summary, "workers": text.workers })
    };
    ExecutorName::ALL.into_iter().map(executor).collect()
}
