//! The cell's side of the protocol: prepares, starts, samples, stops.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use manyhands_contract::{
    Catalogue, Code, Context, Definition, Handover, InputError, Map, Parameters, Storage,
};
use manyhands_record::{Card, Failure, FailureKind, Mode};

use super::probe::Probing;
use super::wire::{FromCell, PROTOCOL, ToCell, WirePrepare, WireReady, WireResult, encode};
use crate::executors::{self, ExecutorName, Recipe, Running, Setup};
use crate::measure::{Clock, Usage};
use crate::prepared::{Visitor, prepare};
use crate::versions;

/// `PROGRAM __manyhands cell IN OUT`
pub(crate) fn cell_main(arguments: &[String], catalogue: &Catalogue) -> ExitCode {
    let Some((input, output)) = descriptors(arguments) else {
        eprintln!("a cell needs two inherited descriptors; it is started by a run");
        return ExitCode::FAILURE;
    };
    end_with_the_supervisor();
    let mut parent = Parent { input: BufReader::new(input), output };
    match serve(&mut parent, catalogue) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Failed(Failure { kind, reason, .. })) => {
            // If even this cannot be said, the exit code says that something went wrong.
            let _ = parent.say(&FromCell::Failed { kind, reason });
            ExitCode::FAILURE
        }
        Err(Stop::ParentGone) => ExitCode::FAILURE,
    }
}

/// A cell whose supervisor was killed would outlive the run.
fn end_with_the_supervisor() {
    #[cfg(target_os = "linux")]
    {
        let kill = Some(rustix::process::Signal::KILL);
        let _ = rustix::process::set_parent_process_death_signal(kill);
    }
}

/// Why a cell ends early.
enum Stop {
    Failed(Failure),
    ParentGone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

struct Parent {
    input: BufReader<File>,
    output: File,
}

impl Parent {
    fn say(&mut self, message: &FromCell) -> Result<(), Stop> {
        self.output.write_all(encode(message).as_bytes()).map_err(|_| Stop::ParentGone)
    }

    fn listen(&mut self) -> Result<ToCell, Stop> {
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(1..) => serde_json::from_str(&line)
                .map_err(|error| protocol(format!("not a message: {error}"))),
            Ok(0) | Err(_) => Err(Stop::ParentGone),
        }
    }
}

fn protocol(reason: String) -> Stop {
    Stop::Failed(Failure { kind: FailureKind::Protocol, reason, log: None })
}

fn input_failure(InputError(reason): InputError) -> Failure {
    Failure { kind: FailureKind::Input, reason, log: None }
}

fn serve(parent: &mut Parent, catalogue: &Catalogue) -> Result<(), Stop> {
    let ToCell::Prepare(order) = parent.listen()? else {
        return Err(protocol("the first message is not 'prepare'".into()));
    };
    let (mut running, ready) = caught(|| start(&order, catalogue))?;
    parent.say(&FromCell::Ready(Box::new(ready)))?;
    loop {
        match parent.listen()? {
            ToCell::Sample => {
                let result = caught(|| sample(&mut *running))?;
                parent.say(&FromCell::Result(Box::new(result)))?;
            }
            ToCell::Finish => break,
            ToCell::Prepare(_) => return Err(protocol("'prepare' came twice".into())),
        }
    }
    let clock = Clock::start();
    caught(|| running.stop())?;
    parent.say(&FromCell::Bye { teardown_ns: clock.elapsed_ns() })
}

/// Executors catch the panics of tasks; what panics elsewhere, in a workload's `tasks` or in an
/// executor itself, is told as what it is, and not as a process that exited.
fn caught<T>(run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = format!("it panicked: {}", executors::panic_message(&*panic));
        Err(Failure { kind: FailureKind::Panic, reason, log: None })
    })
}

/// One sample: reset and usage outside the timed region, the answer sent to be checked.
fn sample(running: &mut dyn Running) -> Result<WireResult, Failure> {
    running.reset()?;
    // Workers are asked before our own reading is taken and after it: asking is not the sample's.
    let workers = running.workers_usage()?;
    let before = workers + own(running);
    let clock = Clock::start();
    let answer = running.sample()?;
    let wall_ns = clock.elapsed_ns();
    let used = (own(running) + running.workers_usage()?).since(&before);
    running.after_sample()?;
    let (answer, tolerances) = answer.into_parts();
    let counters = running.counters();
    Ok(WireResult {
        wall_ns,
        user_ns: Some(used.user_ns),
        system_ns: Some(used.system_ns),
        voluntary: Some(used.voluntary),
        involuntary: Some(used.involuntary),
        migrations: None,
        hardware: None,
        counters: counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        answer,
        tolerances,
    })
}

/// What this process has used, if it is part of what is measured.
fn own(running: &dyn Running) -> Usage {
    if running.works_elsewhere() { Usage::default() } else { Usage::now() }
}

fn start(
    order: &WirePrepare,
    catalogue: &Catalogue,
) -> Result<(Box<dyn Running>, WireReady), Failure> {
    let refuse = |reason: String| Failure { kind: FailureKind::Protocol, reason, log: None };
    if order.protocol != PROTOCOL {
        let reason = format!("protocol {} is not known, only {PROTOCOL}", order.protocol);
        return Err(refuse(reason));
    }
    if let Some(command) = &order.command {
        return super::command::start(order, command);
    }
    let entry = catalogue.get(&order.workload).map_err(|e| input_failure(InputError(e)))?;
    let definition = entry.definition;
    if definition.version != order.version {
        let (name, ours, theirs) = (definition.name, definition.version, order.version);
        return Err(refuse(format!("{name} is version {ours} here, {theirs} was asked for")));
    }
    let texts = order.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let parameters =
        Parameters::from_texts(definition, texts).map_err(|e| input_failure(InputError(e.0)))?;
    let executor: ExecutorName =
        order.executor.parse().map_err(|e: executors::UnknownExecutor| refuse(e.to_string()))?;
    let workers = NonZeroUsize::new(order.workers as usize)
        .ok_or_else(|| refuse("a cell needs at least one worker".into()))?;
    let seed = order.seed.parse().map_err(|_| refuse(format!("'{}' is no seed", order.seed)))?;
    let helper = std::env::current_exe().map_err(|error| {
        input_failure(InputError(format!("cannot find this program's own path: {error}")))
    })?;
    let empty_bytes = order.pss();
    if let Code::Probe { start, .. } = entry.code {
        let clock = Clock::start();
        let probing = Probing::start(start, order, &parameters, seed, &helper)?;
        let startup_ns = clock.elapsed_ns();
        let ready = WireReady {
            version: versions::MANYHANDS.to_owned(),
            card: probe_card(executor, &probing),
            prepare_ns: 0,
            startup_ns,
            empty_bytes,
            before_bytes: empty_bytes,
        };
        return Ok((Box::new(probing), ready));
    }
    let storage =
        if executor.needs_shared_storage() { Storage::shared() } else { Ok(Storage::private()) };
    let storage = Arc::new(storage.map_err(input_failure)?);
    let context = Context {
        parameters: &parameters,
        seed,
        input: &order.input,
        storage: &storage,
        helper: &helper,
        handover: None,
    };
    let clock = Clock::start();
    let starter = Starter {
        order,
        definition,
        executor,
        workers,
        seed,
        helper: &helper,
        storage: &storage,
        clock,
        empty_bytes,
    };
    prepare(catalogue, &order.workload, &context, starter).map_err(input_failure)?
}

/// Starts the executor once the workload is prepared.
struct Starter<'a> {
    order: &'a WirePrepare,
    definition: &'static Definition,
    executor: ExecutorName,
    workers: NonZeroUsize,
    seed: u64,
    helper: &'a PathBuf,
    storage: &'a Arc<Storage>,
    clock: Clock,
    empty_bytes: Option<u64>,
}

impl Visitor for Starter<'_> {
    type Output = Result<(Box<dyn Running>, WireReady), Failure>;

    fn visit<M: Map>(
        self,
        work: M,
        handover: Handover,
        notes: Vec<(&'static str, String)>,
    ) -> Self::Output {
        let prepare_ns = self.clock.elapsed_ns();
        let before_bytes = self.order.pss();
        let setup = Setup {
            work: Arc::new(work),
            workers: self.workers,
            storage: Arc::clone(self.storage),
            recipe: self.executor.is_process_pool().then(|| self.recipe(handover)),
        };
        let clock = Clock::start();
        let running =
            executors::start(self.executor, setup, self.order.chunk, self.definition.max_chunk)?;
        let startup_ns = clock.elapsed_ns();
        let ready = WireReady {
            version: versions::MANYHANDS.to_owned(),
            card: card(self.executor, &*running, notes),
            prepare_ns,
            startup_ns,
            empty_bytes: self.empty_bytes,
            before_bytes,
        };
        Ok((running, ready))
    }
}

impl WirePrepare {
    /// PSS of this process now, in the mode that asks for it.
    fn pss(&self) -> Option<u64> {
        (self.mode == Mode::Memory).then(crate::measure::own_pss).flatten()
    }
}

impl Starter<'_> {
    fn recipe(&self, handover: Handover) -> Recipe {
        Recipe {
            program: self.helper.clone(),
            workload: self.order.workload.clone(),
            parameters: self.order.parameters.clone(),
            seed: self.seed,
            input: self.order.input.clone(),
            handover,
        }
    }
}

/// The fairness card: what was really started, not what was asked for.
fn card(executor: ExecutorName, running: &dyn Running, notes: Vec<(&'static str, String)>) -> Card {
    let actual = running.actual();
    let (tasks, chunk) = running.tasks_and_chunk();
    let crates: Vec<_> =
        executor.crates().iter().map(|name| versions::with_version(name)).collect();
    let library = if crates.is_empty() { "std".to_owned() } else { crates.join(", ") };
    let notes: BTreeMap<_, _> = notes
        .into_iter()
        .map(|(key, value)| (key.to_owned(), versions::with_version(&value)))
        .collect();
    Card {
        construct: executor.construct().to_owned(),
        library,
        threads: actual.threads as u32,
        processes: actual.processes as u32,
        tasks: tasks as u64,
        chunk: chunk as u64,
        transport: executor.transport().to_owned(),
        notes,
    }
}

/// A probe says itself what it uses.
fn probe_card(executor: ExecutorName, probing: &Probing) -> Card {
    let notes = probing.card();
    let mut card = card(executor, probing, notes);
    for (name, field) in [("construct", &mut card.construct), ("transport", &mut card.transport)] {
        if let Some(own) = card.notes.remove(name) {
            *field = own;
        }
    }
    card
}

/// The two inherited descriptors, by their numbers.
#[allow(unsafe_code)]
fn descriptors(arguments: &[String]) -> Option<(File, File)> {
    let [input, output] = arguments else { return None };
    let own = |text: &str| {
        let number: RawFd = text.parse().ok().filter(|n| *n > 2)?;
        // SAFETY: the supervisor opened these two for this process, and this function, called
        // once at the start of `main`, is the only one to take them.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        // Workers and servers must not hold them open: the parent would wait for ever.
        rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC).ok()?;
        Some(File::from(descriptor))
    };
    Some((own(input)?, own(output)?))
}
