//! Members that are threads, which block on a channel of crossbeam, a pipe or a socket.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use manyhands_contract::{ProbeError, TaskError};

use super::{By, Lead, Token, Took, broken};
use crate::overhead::helpers::refused;

/// The end of a link that a member sends to.
#[derive(Debug)]
pub(super) enum Sending {
    Channel(Sender<Token>),
    Stream(File),
}

/// The end of a link that a member receives from.
#[derive(Debug)]
pub(super) enum Receiving {
    Channel(Receiver<Token>),
    Stream(File),
}

impl Sending {
    fn send(&mut self, token: Token) -> Result<(), TaskError> {
        match self {
            Self::Channel(channel) => channel.send(token).map_err(broken),
            Self::Stream(stream) => token.write(stream).map_err(broken),
        }
    }
}

impl Receiving {
    fn receive(&mut self) -> Result<Token, TaskError> {
        match self {
            Self::Channel(channel) => channel.recv().map_err(broken),
            Self::Stream(stream) => Token::read(stream).map_err(broken),
        }
    }
}

/// The two ends of a pipe or of a pair of sockets: to read from, to write to.
pub(super) fn stream(by: By) -> io::Result<(OwnedFd, OwnedFd)> {
    if by == By::Socket {
        let (reader, writer) = UnixStream::pair()?;
        return Ok((reader.into(), writer.into()));
    }
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}

fn link(by: By) -> io::Result<(Receiving, Sending)> {
    if by == By::Channel {
        let (sender, receiver) = bounded(1);
        return Ok((Receiving::Channel(receiver), Sending::Channel(sender)));
    }
    let (reader, writer) = stream(by)?;
    Ok((Receiving::Stream(reader.into()), Sending::Stream(writer.into())))
}

/// A member's two neighbours.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) from: Receiving,
    pub(super) to: Sending,
}

impl Place {
    /// Hands the token on so many times, from this member's own point of view.
    pub(super) fn lead(&mut self, mut token: Token, laps: u64) -> Result<Token, TaskError> {
        for _ in 0..laps {
            token.pass();
            self.to.send(token)?;
            token = self.from.receive()?;
        }
        Ok(token)
    }

    /// Sends a token round once and does nothing to it.
    pub(super) fn ask(&mut self, token: Token) -> Result<Token, TaskError> {
        self.to.send(token)?;
        self.from.receive()
    }

    /// A link from this member to itself.
    pub(super) fn alone(by: By) -> io::Result<Self> {
        link(by).map(|(from, to)| Self { from, to })
    }

    fn follow(mut self) {
        // The ring is closed from its lead, neighbour by neighbour.
        while let Ok(mut token) = self.from.receive() {
            token.pass();
            if self.to.send(token).is_err() {
                return;
            }
        }
    }
}

/// Times a ring, then as many sends and receives on one link of the same kind.
pub(super) fn both(
    ring: &mut Place,
    alone: &mut Place,
    members: usize,
    token: Token,
    laps: u64,
) -> Result<(Token, Took), TaskError> {
    let began = Instant::now();
    let back = ring.lead(token, laps)?;
    let ring = began.elapsed();
    let began = Instant::now();
    alone.lead(token, laps * members as u64)?;
    Ok((back, Took { ring, alone: began.elapsed() }))
}

/// `threads`, and with one member `sequential`: the lead is the main thread.
pub(super) struct Threads {
    lead: Place,
    alone: Place,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn start(by: By, members: usize) -> Result<Self, ProbeError> {
        let refused = |index, error| refused("thread", index, members, &error);
        let alone = Place::alone(by).map_err(|error| refused(0, error))?;
        let (mut from, first) = link(by).map_err(|error| refused(0, error))?;
        let mut threads = Vec::with_capacity(members - 1);
        for index in 1..members {
            let (next, to) = link(by).map_err(|error| refused(index, error))?;
            let place = Place { from, to };
            let thread = thread::Builder::new().spawn(move || place.follow());
            threads.push(thread.map_err(|error| refused(index, error))?);
            from = next;
        }
        Ok(Self { lead: Place { from, to: first }, alone, threads })
    }
}

impl Lead for Threads {
    fn run(&mut self, token: Token, laps: u64) -> Result<(Token, Took), TaskError> {
        let members = self.threads.len() + 1;
        both(&mut self.lead, &mut self.alone, members, token, laps)
    }

    fn actual(&self) -> (usize, usize) {
        (self.threads.len() + 1, 1)
    }

    fn construct(&self) -> &'static str {
        if self.threads.is_empty() { "one thread, to itself" } else { "std threads in a ring" }
    }

    fn transport(&self) -> &'static str {
        "a crossbeam channel of one place between neighbours"
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.lead); // its neighbour sees that, ends, and so on round the ring
        for thread in self.threads {
            thread.join().map_err(|_| TaskError::new("a member panicked"))?;
        }
        Ok(())
    }
}
