//! `PROGRAM __manyhands worker PARENT SOCKET [MEMORY]`: the life of an exec'ed worker.

use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use manyhands_contract::{Catalogue, Context, Handover, InputError, Map, Parameters, Storage};
use manyhands_record::{Failure, FailureKind};

use super::super::{failed, panic_message};
use super::frames::{self, ArenaPlace, Preparation, ToWorker};
use super::serve::{self, Channel};
use super::{shm, sys};
use crate::executors::Recipe;
use crate::prepared::{Visitor, prepare};
use crate::trace::{self, Overseer};

/// Exit code for arguments that no coordinator passes: somebody typed them.
const USAGE: u8 = 2;

/// What a program does when it is started as a worker: `args` are those after `worker`.
///
/// It makes the workload that the coordinator names, runs what it is sent, and returns when the
/// coordinator closes the socket. Whatever goes wrong is reported over the socket.
pub fn worker_main(args: &[String], catalogue: &Catalogue) -> ExitCode {
    match Inherited::from_args(args) {
        Ok(Some(inherited)) => {
            inherited.work(catalogue);
            ExitCode::SUCCESS
        }
        // The coordinator died while this process started; there is nobody to tell.
        Ok(None) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("manyhands: a worker is started by `processes`, not by hand: {reason}");
            ExitCode::from(USAGE)
        }
    }
}

/// What a worker inherits from its coordinator.
struct Inherited {
    channel: Channel,
    storage: Storage,
}

impl Inherited {
    /// `None` when the coordinator is gone already.
    fn from_args(args: &[String]) -> Result<Option<Self>, String> {
        let numbers: Vec<u32> = args
            .iter()
            .map(|arg| arg.parse().map_err(|_| format!("'{arg}' is not a number")))
            .collect::<Result<_, _>>()?;
        let (parent, socket, memory) = match *numbers.as_slice() {
            [parent, socket] => (parent, socket, None),
            [parent, socket, memory] => (parent, socket, Some(memory)),
            _ => return Err(format!("{} arguments instead of 2 or 3", numbers.len())),
        };
        if !sys::die_with(parent) {
            return Ok(None);
        }
        let inherit = |fd: u32| {
            let inherited = sys::inherited(RawFd::try_from(fd).unwrap_or(-1));
            inherited.map_err(|error| format!("descriptor {fd}: {error}"))
        };
        let channel = Channel::new(UnixStream::from(inherit(socket)?));
        let memory = memory.map(inherit).transpose()?;
        let storage = memory.map_or_else(Storage::private, Storage::attached);
        Ok(Some(Self { channel, storage }))
    }

    fn work(mut self, catalogue: &Catalogue) {
        match self.preparation() {
            Ok(Some(preparation)) => self.prepare(catalogue, preparation),
            Ok(None) => {}
            Err(failure) => self.channel.fail(failure),
        }
    }

    /// The coordinator's first message; `None` when it is gone.
    fn preparation(&mut self) -> Result<Option<Preparation>, Failure> {
        loop {
            if let Some(mut frame) = self.channel.inbox.next() {
                return match frames::take_value(&mut frame)? {
                    ToWorker::Prepare(preparation) => Ok(Some(*preparation)),
                    _ => Err(failed(FailureKind::Protocol, "a worker was not told what to make")),
                };
            }
            if !self.channel.fill() {
                return Ok(None);
            }
        }
    }

    fn prepare(self, catalogue: &Catalogue, preparation: Preparation) {
        let Self { channel, storage } = self;
        let mut slot = Some(channel);
        let serve = Serve { channel: &mut slot, storage: &storage, arena: preparation.arena };
        let made = catch_unwind(AssertUnwindSafe(|| {
            make(catalogue, &preparation.recipe, &storage, serve)
        }));
        let failure = match made {
            Ok(Ok(())) => return,
            Ok(Err(error)) => failed(FailureKind::Input, error),
            Err(panic) => failed(FailureKind::Panic, panic_message(&*panic)),
        };
        if let Some(mut channel) = slot {
            channel.fail(Failure {
                reason: format!("a worker could not make the workload: {}", failure.reason),
                ..failure
            });
        }
    }
}

fn make(
    catalogue: &Catalogue,
    recipe: &Recipe,
    storage: &Storage,
    serve: Serve<'_>,
) -> Result<(), InputError> {
    let definition = catalogue.get(&recipe.workload).map_err(InputError)?.definition;
    let texts = recipe.parameters.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let parameters = Parameters::from_texts(definition, texts).map_err(InputError::new)?;
    let context = Context {
        parameters: &parameters,
        seed: recipe.seed,
        input: &recipe.input,
        storage,
        helper: &recipe.program,
        handover: Some(&recipe.handover),
    };
    let overseer = recipe.watch.as_ref().map(Overseer::join).transpose()?;
    let watcher = overseer.map(|overseer| trace::watcher(&Arc::new(overseer)));
    prepare(catalogue, &recipe.workload, &context, watcher, serve)
}

/// Serves with a prepared workload, whatever its type.
struct Serve<'a> {
    /// Taken when serving begins; until then a failure can still be reported through it.
    channel: &'a mut Option<Channel>,
    storage: &'a Storage,
    arena: Option<ArenaPlace>,
}

impl Visitor for Serve<'_> {
    type Output = ();

    fn visit<M: Map>(self, work: M, _: Handover, _: Vec<(&'static str, String)>) {
        let channel = self.channel.take().expect("visited once");
        match self.arena {
            None => serve::serve(&work, self.storage, channel),
            Some(place) => shm::worker::serve(&work, self.storage, channel, place),
        }
    }
}
