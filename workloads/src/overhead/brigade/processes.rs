//! Members that are processes: each reads its standard input and writes its standard output.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use manyhands_contract::{ProbeError, TaskError};

use super::threads::{Place, Receiving, Sending, both, stream};
use super::{By, Lead, Token, Took};
use crate::overhead::helpers::{Helpers, Process, command, refused};
use crate::overhead::sys::{self, Usage};

/// Tokens with more passes left than this are no tokens: the last digit says which of the four
/// numbers of its usage each member is to add to x.
const USAGE: u64 = u64::MAX - 3;

/// `processes`: the lead is the process that started the others.
pub(super) struct Processes {
    lead: Place,
    alone: Place,
    helpers: Helpers,
    members: usize,
}

impl Processes {
    pub(super) fn start(helper: &Path, by: By, members: usize) -> Result<Self, ProbeError> {
        let refused = |index, error| refused("process", index, members, &error);
        let alone = Place::alone(by).map_err(|error| refused(0, error))?;
        let (mut from, first) = stream(by).map_err(|error| refused(0, error))?;
        let mut helpers = Helpers::default();
        for index in 1..members {
            let (next, to) = stream(by).map_err(|error| refused(index, error))?;
            // Both ends are closed here with the command: the child alone has them.
            let child = command(helper, "brigade").stdin(from).stdout(to).spawn();
            helpers.push(Process::Started(child.map_err(|error| refused(index, error))?));
            from = next;
        }
        let (from, to) = (Receiving::Stream(from.into()), Sending::Stream(first.into()));
        let mut this = Self { lead: Place { from, to }, alone, helpers, members };
        // Once round: the members have started when it comes back.
        this.lead.ask(Token::new(0)).map_err(|TaskError(why)| ProbeError::Failed(why))?;
        Ok(this)
    }
}

impl Lead for Processes {
    fn run(&mut self, token: Token, laps: u64) -> Result<(Token, Took), TaskError> {
        both(&mut self.lead, &mut self.alone, self.members, token, laps)
    }

    fn actual(&self) -> (usize, usize) {
        (self.members, self.members)
    }

    fn construct(&self) -> &'static str {
        "processes by exec in a ring"
    }

    fn transport(&self) -> &'static str {
        "none"
    }

    fn others_usage(&mut self) -> Result<[u64; 4], TaskError> {
        let mut sum = Usage::default();
        for (which, number) in sum.iter_mut().enumerate() {
            let question = Token { left: USAGE + which as u64, x: 0 };
            *number = self.lead.ask(question)?.x;
        }
        Ok(sum)
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.lead); // its neighbour sees that, ends, and so on round the ring
        self.helpers.end()
    }
}

/// `probe brigade`: a member's life.
pub(in crate::overhead) fn main() -> ExitCode {
    match follow() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("brigade: {error}");
            ExitCode::FAILURE
        }
    }
}

fn follow() -> io::Result<()> {
    // Not std's: those have buffers and locks.
    let mut from = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut to = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    loop {
        let mut token = match Token::read(&mut from) {
            Ok(token) => token,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        if token.left >= USAGE {
            let own = sys::own_usage()[(token.left - USAGE) as usize];
            token.x = token.x.wrapping_add(own);
        } else {
            token.pass();
        }
        match token.write(&mut to) {
            // The ring is being closed.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}
