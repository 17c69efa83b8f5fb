//! Every workload under every executor that has a form for it, with 1, 2 and 3 workers, gives the
//! sequential answer.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use manyhands::Interrupt;
use manyhands::contract::{Answer, Entry};
use manyhands::executors::ExecutorName;
use manyhands::run::launch::{Launcher, Order};
use manyhands::run::options::Options;
use manyhands::run::plan::{Group, PlannedCell};
use manyhands_record::{Chunk, Mode};

/// A workload and changes to its parameters.
type Line = (&'static str, &'static [(&'static str, &'static str)]);

/// Sizes that make several chunks for three workers, and end soon; several lines where a parameter
/// chooses other code.
const SMALL: &[Line] = &[
    ("squares", &[("n", "10000")]),
    ("primes", &[("limit", "30000"), ("block", "500")]),
    ("mandelbrot", &[("width", "64"), ("height", "48"), ("max-iterations", "100")]),
    ("csv", &[("rows", "3000"), ("range", "4096")]),
    ("wordcount", &[("files", "20")]),
    ("hash", &[("files", "20")]),
    ("risk", &[("portfolios", "40"), ("days", "200"), ("assets", "5")]),
    ("sleep", &[("tasks", "20"), ("delay", "1ms")]),
    ("fetch", &[("requests", "20"), ("delay", "1ms")]),
    ("files", &[("files", "20")]),
    ("ingest", &[("sources", "12"), ("delay", "1ms")]),
    ("spin", &[("tasks", "300"), ("steps", "100")]),
    ("spawn", &[("count", "10")]),
    ("idle", &[]),
    ("brigade", &[("passes", "100"), ("by", "pipe")]),
    ("deadlock", &[("transfers", "100")]),
    ("spin", &[("tasks", "40"), ("steps", "9"), ("phases", "3")]),
    ("spin", &[("tasks", "40"), ("steps", "9"), ("phases", "5"), ("pattern", "stencil")]),
    ("spin", &[("tasks", "40"), ("steps", "9"), ("phases", "8"), ("pattern", "tree")]),
    ("spin", &[("tasks", "40"), ("steps", "9"), ("phases", "8"), ("pattern", "fft")]),
    ("spin", &[("tasks", "40"), ("steps", "9"), ("phases", "4"), ("pattern", "all-to-all")]),
    ("spin", &[("tasks", "40"), ("steps", "9"), ("phases", "4"), ("pattern", "nearest")]),
    ("spin", &[("tasks", "40"), ("steps", "9"), ("phases", "4"), ("pattern", "random")]),
    ("imbalance", &[("tasks", "40"), ("steps", "100")]),
    ("payload", &[("tasks", "40"), ("size", "10001")]),
    ("payload", &[("tasks", "5"), ("size", "5M"), ("move", "copied")]),
    ("contention", &[("updates", "10000"), ("form", "mutex")]),
    ("contention", &[("updates", "10000"), ("form", "channel")]),
    ("contention", &[("updates", "10000"), ("form", "async-mutex")]),
    ("race", &[("updates", "10000")]),
    ("false-sharing", &[("updates", "10000")]),
];

fn options(changes: &[(&str, &str)]) -> Options {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), vec![(*value).to_owned()]);
    Options {
        workloads: Vec::new(),
        executors: Vec::new(),
        workers: Vec::new(),
        parameters: changes.iter().map(pair).collect(),
        preset: "quick".to_owned(),
        chunk: Chunk::Auto,
        seed: 7,
        ..Options::default()
    }
}

fn group(entry: &Entry, changes: &[(&str, &str)], folder: &std::path::Path) -> Group {
    let texts: Vec<_> = changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let parameters = entry.definition.parameters("quick", &texts).expect("known parameters");
    Group::new(*entry, parameters, &options(changes), folder).expect("generated input")
}

fn answer(
    launcher: &Launcher<'_>,
    group: &Group,
    executor: ExecutorName,
    workers: u32,
    reference: Option<&Answer>,
) -> Result<Answer, String> {
    let workers = NonZeroU32::new(workers).expect("positive");
    let id = group.cell_id(executor, workers, Chunk::Auto);
    let cell = PlannedCell { group: 0, executor: executor.into(), workers, id };
    let order = Order {
        group,
        cell: &cell,
        mode: Mode::Time,
        reference,
        timeout: Duration::from_secs(60),
        start_timeout: Duration::from_secs(60),
        slice: Duration::ZERO,
        // The second sample sees what the first one left behind.
        samples: 1,
        hurried: false,
        sequence: 0,
        folder: None,
    };
    let launched = launcher.launch(&order).expect("not interrupted");
    match launched.launch.failure {
        Some(failure) => Err(format!("{}: {}\n{:?}", failure.kind, failure.reason, failure.log)),
        None => Ok(launched.answer.expect("a sound launch has an answer")),
    }
}

#[test]
fn every_workload_answers_alike_under_every_executor() {
    let catalogue = manyhands::catalogue();
    let names: Vec<_> = catalogue.entries().iter().map(|entry| entry.definition.name).collect();
    let mut tested: Vec<_> = SMALL.iter().map(|(name, _)| *name).collect();
    tested.sort_unstable();
    tested.dedup();
    let mut known = names.clone();
    known.sort_unstable();
    assert_eq!(tested, known, "a workload without a line in this battery");

    let interrupt = Interrupt::install().expect("signal handlers");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_manyhands"));
    let launcher = Launcher { program: &program, seed: 7, interrupt: &interrupt };
    let mut wrong = Vec::new();
    for (name, changes) in SMALL {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let entry = catalogue.get(name).expect("known");
        let group = group(entry, changes, &folder.path().join("input"));
        let reference = answer(&launcher, &group, ExecutorName::Sequential, 1, None)
            .unwrap_or_else(|failure| panic!("{name} sequential: {failure}"));
        for executor in ExecutorName::ALL {
            if let Some(reason) = entry.unsupported(executor.as_str(), &group.parameters) {
                assert!(!reason.is_empty(), "{name} {executor}");
                continue;
            }
            for workers in [1, 2, 3] {
                let found = answer(&launcher, &group, executor, workers, Some(&reference));
                if let Err(failure) = found {
                    wrong.push(format!("{name} {changes:?} {executor} x {workers}: {failure}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
