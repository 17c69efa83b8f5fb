//! The cell's side of the protocol: prepares, starts, samples, stops.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use manyhands_contract::{
    Catalogue, Code, Context, Definition, Handover, InputError, Map, Parameters, Storage,
};
use manyhands_record::{Card, Chunk, Failure, FailureKind, Mode, Trace, trace as files};

use super::probe::Probing;
use super::wire::{FromCell, PROTOCOL, ToCell, WirePrepare, WireReady, WireResult, encode};
use crate::executors::{self, ExecutorName, Recipe, Running, Setup};
use crate::measure::{Clock, Counters, Usage, own_tree};
use crate::prepared::{Visitor, prepare};
use crate::trace::{self, Overseer};
use crate::versions;

/// `PROGRAM __manyhands cell IN OUT`
pub(crate) fn cell_main(arguments: &[String], catalogue: &Catalogue) -> ExitCode {
    let Some((input, output)) = descriptors(arguments) else {
        eprintln!("a cell needs two inherited descriptors; it is started by a run");
        return ExitCode::FAILURE;
    };
    end_with_the_supervisor();
    let mut parent = Parent { input: BufReader::new(input), output, held: Vec::new() };
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
    /// Results that are told when no order waits any more.
    held: Vec<u8>,
}

impl Parent {
    fn say(&mut self, message: &FromCell) -> Result<(), Stop> {
        self.held.extend_from_slice(encode(message).as_bytes());
        let held = std::mem::take(&mut self.held);
        self.output.write_all(&held).map_err(|_| Stop::ParentGone)
    }

    /// As [`say`](Self::say), but not while another order is here already: the parent would wake
    /// up to read, on a core that the next sample may want.
    fn say_when_idle(&mut self, message: &FromCell) -> Result<(), Stop> {
        if self.input.buffer().is_empty() {
            return self.say(message);
        }
        self.held.extend_from_slice(encode(message).as_bytes());
        Ok(())
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
    let overseer = order.overseer()?;
    let (mut running, ready) = caught(|| start(&order, catalogue, overseer.as_ref()))?;
    parent.say(&FromCell::Ready(Box::new(ready)))?;
    let mut warm = false;
    loop {
        match parent.listen()? {
            ToCell::Sample { counted } => {
                let mut result = caught(|| sample(&mut *running, counted))?;
                // The first sample shows pages and connections being made, and not the workload.
                if let Some(overseer) = overseer.as_ref().filter(|_| warm) {
                    result.trace = order.traced(overseer, result.wall_ns);
                }
                warm = true;
                parent.say_when_idle(&FromCell::Result(Box::new(result)))?;
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
fn sample(running: &mut dyn Running, counted: bool) -> Result<WireResult, Failure> {
    running.reset()?;
    let counters = counted.then(|| Counters::attach(&own_tree()).ok()).flatten();
    // Workers are asked before our own reading is taken and after it: asking is not the sample's.
    let workers = running.workers_usage()?;
    let before = workers + own(running);
    let clock = Clock::start();
    let answer = running.sample()?;
    let wall_ns = clock.elapsed_ns();
    let used = (own(running) + running.workers_usage()?).since(&before);
    let counts = counters.map(Counters::detach).unwrap_or_default();
    running.after_sample()?;
    let (answer, tolerances) = answer.into_parts();
    let counters = running.counters();
    Ok(WireResult {
        wall_ns,
        user_ns: Some(used.user_ns),
        system_ns: Some(used.system_ns),
        voluntary: Some(used.voluntary),
        involuntary: Some(used.involuntary),
        migrations: counts.migrations,
        hardware: counts.hardware,
        counters: counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        trace: None,
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
    overseer: Option<&Arc<Overseer>>,
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
    if order.rate.is_some() {
        let unsupported = |reason| Failure { kind: FailureKind::Unsupported, reason, log: None };
        trace::check_open_loop(definition).map_err(unsupported)?;
    }
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
        overseer,
    };
    let watcher = overseer.map(trace::watcher);
    prepare(catalogue, &order.workload, &context, watcher, starter).map_err(input_failure)?
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
    overseer: Option<&'a Arc<Overseer>>,
}

impl Visitor for Starter<'_> {
    type Output = Result<(Box<dyn Running>, WireReady), Failure>;

    fn visit<M: Map>(
        self,
        work: M,
        handover: Handover,
        mut notes: Vec<(&'static str, String)>,
    ) -> Self::Output {
        let prepare_ns = self.clock.elapsed_ns();
        let before_bytes = self.order.pss();
        let setup = Setup {
            work: Arc::new(work),
            workers: self.workers,
            storage: Arc::clone(self.storage),
            recipe: self.executor.is_process_pool().then(|| self.recipe(handover)),
        };
        let chunk = self.order.handed_out();
        let clock = Clock::start();
        let running = executors::start(self.executor, setup, chunk, self.definition.max_chunk)?;
        let startup_ns = clock.elapsed_ns();
        if let Some(rate) = self.order.rate {
            notes.push(("arrivals", format!("{rate} per second, whether workers are free or not")));
        }
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

    /// Tasks come one at a time where they have a time of their own: a chunk's last task would
    /// wait for its first ones.
    fn handed_out(&self) -> Chunk {
        if self.rate.is_some() { Chunk::Tasks(1) } else { self.chunk }
    }

    /// Who watches the tasks, where anybody does.
    fn overseer(&self) -> Result<Option<Arc<Overseer>>, Failure> {
        let refuse = |rate: u32| Failure {
            kind: FailureKind::Protocol,
            reason: format!("{rate} tasks per second are no rate"),
            log: None,
        };
        let rate = self.rate.map(|rate| NonZeroU32::new(rate).ok_or_else(|| refuse(rate)));
        let rate = rate.transpose()?;
        let cap = self.trace.as_ref().map_or(files::CAP, |trace| trace.cap);
        let cap = (self.mode == Mode::Trace).then_some(cap);
        if rate.is_none() && cap.is_none() {
            return Ok(None);
        }
        let overseer = Overseer::new(rate, self.workers as usize, cap).map_err(input_failure)?;
        Ok(Some(Arc::new(overseer)))
    }

    /// What the tasks of the last sample did, with their events in the file that was asked for.
    fn traced(&self, overseer: &Overseer, wall_ns: u64) -> Option<Trace> {
        let (mut trace, mut events) = overseer.seen(wall_ns)?;
        let order = self.trace.as_ref();
        let written = order.and_then(|order| {
            let file = order.file.as_ref()?;
            let written = files::write(file, order.launch, &mut events);
            // Figures without a drawing are better than none.
            written.map_err(|error| eprintln!("cannot write {}: {error}", file.display())).ok()?;
            Some(file.to_string_lossy().into_owned())
        });
        if written.is_none() {
            trace.kept = 0;
        }
        trace.file = written;
        Some(trace)
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
            watch: self.overseer.map(|overseer| overseer.oversight()),
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
