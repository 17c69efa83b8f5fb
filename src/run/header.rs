//! What a record says before the first launch: what was run, where, when, with what.

use std::collections::BTreeSet;

use manyhands_contract::Definition;
use manyhands_record::schema::SCHEMA;
use manyhands_record::{ExecutorText, Header, WorkloadText};

use super::Setting;
use super::granularity;
use super::launch::MOST_SAMPLES;
use super::options::Options;
use super::plan::Plan;
use crate::executors::ExecutorName;
use crate::measure::doubts::doubts;
use crate::versions;

pub(super) fn header(setting: &Setting<'_>, options: &Options, plan: &Plan) -> Header {
    Header {
        schema: SCHEMA.to_owned(),
        version: versions::MANYHANDS.to_owned(),
        started: super::now(),
        command: options.command.clone(),
        seed: options.seed,
        rounds: options.rounds(),
        samples: MOST_SAMPLES,
        budget_ns: options.budget().map(|budget| budget.as_nanos() as u64),
        precision: options.precision(),
        weak: weak(options, plan),
        granularity: granularity::swept(options, plan),
        aa: options.aa,
        machine: setting.machine.clone(),
        doubts: doubts(&setting.machine),
        workloads: workloads(plan),
        executors: executors(plan),
    }
}

/// The parameter that grows; one name for the run, as a reader meets it in each workload's own
/// parameters anyway.
fn weak(options: &Options, plan: &Plan) -> Option<String> {
    let names = plan.groups.iter().filter_map(|group| group.entry.definition.grows);
    let names: BTreeSet<&str> = names.filter(|_| options.weak).collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

fn workloads(plan: &Plan) -> Vec<WorkloadText> {
    let mut seen = BTreeSet::new();
    let definitions = plan.groups.iter().map(|group| group.entry.definition);
    definitions.filter(|definition| seen.insert(definition.name)).map(workload).collect()
}

fn workload(definition: &Definition) -> WorkloadText {
    WorkloadText {
        name: definition.name.to_owned(),
        version: definition.version,
        kind: definition.kind.to_string(),
        shape: definition.shape.to_string(),
        summary: definition.summary.to_owned(),
        about: definition.about.to_owned(),
        task: definition.task.to_owned(),
        simulated: definition.simulated,
    }
}

fn executors(plan: &Plan) -> Vec<ExecutorText> {
    let mut seen = BTreeSet::new();
    let names = plan.cells.iter().map(|cell| cell.executor);
    names.filter(|name| seen.insert(*name)).map(ExecutorName::record_text).collect()
}
