//! Commands: a team's own programs, measured with the same care as the executors.
//!
//! All commands of a run, all values of their placeholders and all numbers of workers are one
//! group, so that each is compared with each. There is no sequential form: what speed-ups refer
//! to is the first command with one worker, and reports say so.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use manyhands_contract::parameters::nearest;
use manyhands_contract::{
    Answer, Code, Definition, Entry, Kind, Parameter, ParameterKind, Parameters, Preset,
    ProbeError, Shape,
};
use manyhands_record::journal::Line;
use manyhands_record::verdict::COMMAND;
use manyhands_record::{CellId, Failure, Mode, Reference};

use super::baseline::Baseline;
use super::launch::Order;
use super::options::{BASELINE_TIMEOUT, Options};
use super::plan::{Contender, Group, Plan, PlannedCell, PlannedCommand, labels, usual_workers};
use super::rounds::{Run, Stop};
use super::template::{Template, is_name};
use crate::cell::command::unchecked_answer;
use crate::cell::wire::WireCommand;
use crate::error::Error;

/// The placeholder that `-w` gives values to.
const WORKERS: &str = "workers";

/// What a run was asked to do with commands, as it was typed. No commands: none of it applies.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    /// The command lines to compare.
    pub commands: Vec<String>,
    /// Placeholders and their values, in the order given.
    pub lists: Vec<(String, Vec<String>)>,
    /// Run before each sample, untimed.
    pub prepare: Option<String>,
    /// Run after each sample, untimed.
    pub cleanup: Option<String>,
    /// Whether what the commands print must be the same.
    pub check_output: bool,
}

impl Commands {
    /// Whether a run is one of executors and not of commands.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// What the record says of commands as a workload. Its parameters are what is not in a command's
/// own line and yet changes what is measured.
const DEFINITION: &Definition = &Definition {
    name: COMMAND,
    version: 1,
    kind: Kind::Mixed,
    shape: Shape::Probe,
    summary: "programs of your own, each sample a process of its own",
    about: "A sample is one run of the command from just before its process is started until it \
            has ended, start-up included. Commands are compared with each other; what speed-ups \
            refer to is the first command with one worker.",
    task: "the whole command",
    answer: "exit code 0, or with --check-output the digest of what the command prints",
    input: None,
    parameters: &[
        Parameter {
            name: "cleanup",
            about: "run after each sample, untimed",
            unit: "",
            kind: ParameterKind::Text,
            default: "",
        },
        Parameter {
            name: "output",
            about: "what becomes of the standard output",
            unit: "",
            kind: ParameterKind::Choice(&["discarded", "checked"]),
            default: "discarded",
        },
        Parameter {
            name: "prepare",
            about: "run before each sample, untimed",
            unit: "",
            kind: ParameterKind::Text,
            default: "",
        },
    ],
    presets: &[Preset { name: "quick", values: &[] }],
    grows: None,
    length: None,
    max_chunk: None,
    simulated: false,
};

/// Commands are in no catalogue: a cell is told the words to run, not a name to look up.
const ENTRY: Entry = Entry {
    definition: DEFINITION,
    type_id: std::any::TypeId::of::<Commands>,
    generate: |_, _, _| Ok(()),
    code: Code::Probe {
        unsupported: |_, _| None,
        start: |_| Err(ProbeError::Failed("a command has no name to be started by".to_owned())),
    },
    bound: |_, _| None,
};

/// Which commands a run measures.
///
/// # Errors
/// Unknown placeholders, values that nothing uses, programs that do not exist, and options that
/// mean nothing to commands.
pub(super) fn plan(options: &Options, cores: u32) -> Result<Plan, Error> {
    refuse(options)?;
    let lines = Lines::parse(&options.commands)?;
    lines.check(options)?;
    let mut plan = Plan { groups: vec![group(&options.commands)?], cells: Vec::new() };
    let mut seen = BTreeSet::new();
    for command in &lines.commands {
        for values in combinations(&options.commands.lists) {
            for workers in lines.counts(command, options, cores) {
                let cell = lines.cell(&plan.groups[0], command, &values, workers, options)?;
                if seen.insert(cell.id.clone()) {
                    plan.cells.extend(labels(options).iter().map(|label| {
                        let id = CellId { label: label.map(str::to_owned), ..cell.id.clone() };
                        PlannedCell { id, ..cell.clone() }
                    }));
                }
            }
        }
    }
    Ok(plan)
}

/// What is about tasks means nothing to a program that is one.
fn refuse(options: &Options) -> Result<(), Error> {
    let refused = [
        (options.weak, "--weak", "what grows with the workers is the command's own affair"),
        (options.trace, "--trace", "the tasks inside a command cannot be seen"),
        (options.granularity, "--granularity", "the tasks inside a command are its own affair"),
        (options.rate.is_some(), "--rate", "a command has no tasks that could fall due"),
    ];
    match refused.into_iter().find(|(asked, ..)| *asked) {
        None => Ok(()),
        Some((_, flag, why)) => {
            Err(Error::usage(format!("{flag} cannot go with --command: {why}; leave one out")))
        }
    }
}

fn group(commands: &Commands) -> Result<Group, Error> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let texts = [
        ("cleanup", text(&commands.cleanup)),
        ("output", if commands.check_output { "checked" } else { "discarded" }.to_owned()),
        ("prepare", text(&commands.prepare)),
    ];
    let texts = texts.iter().map(|(name, text)| (*name, text.as_str()));
    let parameters = Parameters::from_texts(DEFINITION, texts).map_err(Error::usage)?;
    Ok(Group { entry: ENTRY, parameters, input: Vec::new(), digest: None, bound: None })
}

type Values<'a> = BTreeMap<&'a str, &'a str>;

/// Every combination of the values of the lists.
fn combinations(lists: &[(String, Vec<String>)]) -> Vec<Values<'_>> {
    lists.iter().fold(vec![Values::new()], |combinations, (name, values)| {
        combinations
            .into_iter()
            .flat_map(|combination| {
                values.iter().map(move |value| {
                    let mut combination = combination.clone();
                    combination.insert(name.as_str(), value.as_str());
                    combination
                })
            })
            .collect()
    })
}

/// The command lines, split into words.
struct Lines {
    commands: Vec<Template>,
    prepare: Option<Template>,
    cleanup: Option<Template>,
}

impl Lines {
    fn parse(typed: &Commands) -> Result<Self, Error> {
        let optional = |flag, text: &Option<String>| {
            text.as_deref().map(|text| Template::parse(flag, text)).transpose()
        };
        let commands = typed.commands.iter().map(|text| Template::parse("--command", text));
        Ok(Self {
            commands: commands.collect::<Result<_, _>>()?,
            prepare: optional("--prepare", &typed.prepare)?,
            cleanup: optional("--cleanup", &typed.cleanup)?,
        })
    }

    /// What goes around each command.
    fn around(&self) -> impl Iterator<Item = &Template> {
        self.prepare.iter().chain(&self.cleanup)
    }

    /// Every placeholder must have values, and all values a placeholder.
    fn check(&self, options: &Options) -> Result<(), Error> {
        let known: Vec<&str> = [WORKERS]
            .into_iter()
            .chain(options.commands.lists.iter().map(|(name, _)| name.as_str()))
            .collect();
        let all = || self.commands.iter().chain(self.around());
        for template in all() {
            if let Some(name) = template.names().into_iter().find(|name| !known.contains(name)) {
                return Err(unknown_placeholder(template, name, &known));
            }
        }
        let used: BTreeSet<&str> = all().flat_map(Template::names).collect();
        if let Some(unused) = known[1..].iter().find(|name| !used.contains(*name)) {
            return Err(Error::usage(format!(
                "-L {unused}=... changes nothing: no command has {{{unused}}}; write it where the \
                 value belongs"
            )));
        }
        let has_workers = |template: &Template| template.names().contains(WORKERS);
        if !options.workers.is_empty() && !self.commands.iter().any(has_workers) {
            return Err(Error::usage(
                "-w changes nothing: no --command has {workers}; write it where the number of \
                 workers belongs, as in './tool --threads {workers}'",
            ));
        }
        Ok(())
    }

    /// The numbers of workers to run a command with: one run where it does not say where the
    /// number belongs.
    fn counts(&self, command: &Template, options: &Options, cores: u32) -> Vec<NonZeroU32> {
        if !command.names().contains(WORKERS) {
            return vec![NonZeroU32::MIN];
        }
        if options.workers.is_empty() {
            return usual_workers(Kind::Cpu, cores);
        }
        options.workers.clone()
    }

    fn cell(
        &self,
        group: &Group,
        command: &Template,
        values: &Values<'_>,
        workers: NonZeroU32,
        options: &Options,
    ) -> Result<PlannedCell, Error> {
        let count = workers.to_string();
        let value = |name: &str| match name {
            WORKERS => Some(Cow::Borrowed(count.as_str())),
            name => values.get(name).copied().map(Cow::Borrowed),
        };
        let around = |template: &Option<Template>| {
            let words = template.as_ref().map(|template| (template, template.words(value)));
            words.map(|(template, words)| find(template, &words).map(|_| words)).transpose()
        };
        let words = command.words(value);
        let wire = WireCommand {
            program: find(command, &words)?,
            words,
            prepare: around(&self.prepare)?,
            cleanup: around(&self.cleanup)?,
            check_output: options.commands.check_output,
        };
        let planned = PlannedCommand { name: self.name(command, values), wire };
        let executor = Contender::Command(Box::new(planned));
        let id = group.cell_id(&executor, workers, options.chunk);
        Ok(PlannedCell { group: 0, executor, workers, id })
    }

    /// What a cell is known by: the command with its values filled in and `{workers}` left, so
    /// that it is one name for all numbers of workers. Values that only change what goes around
    /// the command are told behind it.
    fn name(&self, command: &Template, values: &Values<'_>) -> String {
        let value = |name: &str| values.get(name).copied().map(Cow::Borrowed);
        let (inside, around): (BTreeSet<_>, BTreeSet<_>) =
            (command.names(), self.around().flat_map(Template::names).collect());
        let outside: Vec<String> = values
            .iter()
            .filter(|(name, _)| around.contains(*name) && !inside.contains(*name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let name = command.named(value);
        if outside.is_empty() { name } else { format!("{name} [{}]", outside.join(", ")) }
    }
}

fn unknown_placeholder(template: &Template, name: &str, known: &[&str]) -> Error {
    let hint = nearest(name, known.iter().copied())
        .map_or(String::new(), |near| format!("did you mean {{{near}}}? "));
    let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
    Error::usage(format!(
        "{} '{}': there is no placeholder {{{name}}}; {hint}there are {}; -L {name}=a,b makes it \
         one, and {{{{{name}}}}} is no placeholder but the text {{{name}}}",
        template.flag,
        template.text,
        known.join(", "),
    ))
}

/// `name=a,b` of `-L`.
///
/// # Errors
/// What is not of that form, or names a placeholder that has its values already.
pub(crate) fn lists(typed: &[String]) -> Result<Vec<(String, Vec<String>)>, Error> {
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    for text in typed {
        let Some((name, values)) = text.split_once('=').filter(|(name, _)| is_name(name)) else {
            return Err(Error::usage(format!(
                "-L {text} is not NAME=VALUE,..; write it as in -L size=10,20"
            )));
        };
        if name == WORKERS {
            return Err(Error::usage("-L workers=...: {workers} has its values from -w 1,2,4"));
        }
        if lists.iter().any(|(other, _)| other == name) {
            return Err(Error::usage(format!(
                "-L {name} is given twice; give all its values at once: -L {name}=a,b"
            )));
        }
        lists.push((name.to_owned(), values.split(',').map(str::to_owned).collect()));
    }
    Ok(lists)
}

/// The program that a command line starts: the file that it names, or the first of that name on
/// the path, as a shell finds it.
///
/// # Errors
/// When there is none, or it may not be executed.
fn find(template: &Template, words: &[String]) -> Result<PathBuf, Error> {
    let place = || format!("{} '{}'", template.flag, template.text);
    let Some(name) = words.first().filter(|name| !name.is_empty()) else {
        return Err(Error::usage(format!("{}: it names no program; begin with one", place())));
    };
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(name)).collect()
    };
    let files: Vec<&PathBuf> = candidates.iter().filter(|path| is_file(path)).collect();
    match (files.iter().find(|path| is_executable(path)), files.first()) {
        (Some(found), _) => std::path::absolute(found)
            .map_err(|error| Error::failed(format!("{}: {error}", found.display()))),
        (None, Some(found)) => Err(Error::usage(format!(
            "{}: {} is not executable; chmod +x it, or begin with its interpreter",
            place(),
            found.display()
        ))),
        (None, None) => Err(Error::usage(format!(
            "{}: there is no program '{name}'; give a file that exists or a name on the PATH; a \
             shell's own words need sh -c '...'",
            place()
        ))),
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

impl Run<'_> {
    /// What takes the place of a sequential form's answer and time: those of the first command
    /// that comes through, each tried once in the order given. Where outputs are not compared the
    /// answer is known beforehand.
    pub(super) fn command_baseline(&mut self, number: usize) -> Result<Baseline, Stop> {
        let mut seen = BTreeSet::new();
        let of_group = self.plan.cells.iter().filter(|cell| cell.group == number);
        let cells: Vec<PlannedCell> =
            of_group.filter(|cell| seen.insert(&cell.id.executor)).cloned().collect();
        let mut tried = Vec::new();
        for cell in &cells {
            tried.push(self.try_command(cell)?);
            if tried.last().is_some_and(|baseline| baseline.failure.is_none()) {
                break;
            }
        }
        self.done += 1;
        // There is at least one: no plan of commands is without cells.
        let sound = tried.iter().position(|baseline| baseline.failure.is_none());
        let baseline = tried.swap_remove(sound.unwrap_or(0));
        if let (Some(answer), Some(cell)) = (&baseline.answer, cells.first()) {
            self.journal.append(Line::Reference(Reference {
                workload: cell.id.workload.clone(),
                parameters: cell.id.parameters.clone(),
                input: None,
                answer: answer.to_json(),
            }))?;
        }
        Ok(baseline)
    }

    fn try_command(&mut self, cell: &PlannedCell) -> Result<Baseline, Stop> {
        let what = format!("{} {}: whether it runs", cell.id.workload, cell.executor);
        self.observer.launching(self.done, self.total, &what);
        let order = Order {
            group: &self.plan.groups[cell.group],
            cell,
            mode: Mode::Time,
            reference: None,
            timeout: self.options.timeout.unwrap_or(BASELINE_TIMEOUT),
            start_timeout: BASELINE_TIMEOUT,
            slice: Duration::ZERO,
            samples: 0,
            hurried: false,
            sequence: 0,
            folder: None,
        };
        let began = Instant::now();
        let launched = self.launcher.launch(&order)?;
        // All of the launch and not its sample alone: time-outs follow from it, and what is
        // prepared before each sample counts there.
        let took = began.elapsed();
        Ok(baseline(launched.answer, launched.launch.failure, took, cell))
    }
}

fn baseline(
    answer: Option<Answer>,
    failure: Option<Failure>,
    took: Duration,
    cell: &PlannedCell,
) -> Baseline {
    let is_checked = cell.executor.command().is_some_and(|command| command.check_output);
    let known = (!is_checked).then(unchecked_answer);
    Baseline { answer: answer.or(known), wall: Some(took), start: Duration::ZERO, failure }
}
